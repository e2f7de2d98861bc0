//! Control packets: what was read is written as it was.

use crate::control::{self, Ack};
use crate::packet::{HEAD, Head, MOST};

/// One datagram; its body is read as every kind in turn.
pub fn control(data: &[u8]) {
    let Some(head) = Head::read(data) else {
        return;
    };
    let again = match head {
        Head::Data(data) => data.write(),
        Head::Control(control) => control.write(),
    };
    assert_eq!(Head::read(&again), Some(head));
    let cif = &data[HEAD..];
    if let Some(ack) = Ack::read(cif) {
        assert_eq!(Ack::read(&ack.write()), Some(ack));
    }
    losses(cif);
    if let Some((first, last)) = control::dropped(cif) {
        assert!(last.since(first) >= 0);
        let told = control::write_dropped(first, last);
        assert_eq!(control::dropped(&told), Some((first, last)));
    }
}

fn losses(cif: &[u8]) {
    let ranges: Vec<_> = control::losses(cif).collect();
    assert!(ranges.len() <= cif.len() / 4);
    assert!(ranges.iter().all(|(first, last)| last.since(*first) >= 0));
    let all = control::write_losses(ranges.iter().copied(), usize::MAX);
    assert!(control::losses(&all).eq(ranges.iter().copied()));
    let report = control::write_losses(ranges.iter().copied(), MOST);
    assert!(report.len() <= MOST && all.starts_with(&report));
}
