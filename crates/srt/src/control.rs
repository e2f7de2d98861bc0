//! What control packets carry (draft-sharabayko-srt-01, 3.2).

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::packet::word;
use crate::seq::Seq;

/// A full acknowledgement (3.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ack {
    /// All before this number is there, or was given up.
    pub(crate) upto: Seq,
    /// The receiver's estimates, in microseconds; `None` in a light acknowledgement.
    pub(crate) rtt: Option<(u32, u32)>,
    /// Room, in packets.
    pub(crate) room: Option<u32>,
    /// Packets and bytes per second of late.
    pub(crate) rate: (u32, u32),
}

impl Ack {
    pub(crate) fn read(cif: &[u8]) -> Option<Self> {
        if cif.len() < 4 {
            return None;
        }
        let full = cif.len() >= 16;
        Some(Self {
            upto: Seq::new(word(cif, 0)),
            rtt: full.then(|| (word(cif, 4), word(cif, 8))),
            room: full.then(|| word(cif, 12)),
            rate: (word(cif, 16), word(cif, 24)),
        })
    }

    pub(crate) fn write(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(28);
        out.put_u32(self.upto.raw());
        if let (Some((rtt, var)), Some(room)) = (self.rtt, self.room) {
            let (packets, bytes) = self.rate;
            for word in [rtt, var, room, packets, packets, bytes] {
                out.put_u32(word);
            }
        }
        out.freeze()
    }
}

const RANGE: u32 = 1 << 31;

/// The ranges of a loss report, both ends in it (3.2.5 and appendix A). What is not in order is
/// left out.
pub(crate) fn losses(cif: &[u8]) -> impl Iterator<Item = (Seq, Seq)> {
    let mut words = cif.chunks_exact(4).map(|w| word(w, 0));
    std::iter::from_fn(move || {
        let first = words.next()?;
        let last = if first & RANGE == 0 {
            first
        } else {
            words.next()?
        };
        Some((Seq::new(first), Seq::new(last)))
    })
    .filter(|(first, last)| last.since(*first) >= 0)
}

/// Writes ranges, both ends in them, into at most `most` bytes.
pub(crate) fn write_losses(ranges: impl Iterator<Item = (Seq, Seq)>, most: usize) -> Bytes {
    let mut out = BytesMut::new();
    for (first, last) in ranges {
        if out.len() + 8 > most {
            break;
        }
        if first == last {
            out.put_u32(first.raw());
        } else {
            out.put_u32(first.raw() | RANGE);
            out.put_u32(last.raw());
        }
    }
    out.freeze()
}

/// The numbers that will not come, both ends in it (3.2.9).
pub(crate) fn dropped(cif: &[u8]) -> Option<(Seq, Seq)> {
    let (first, last) = (Seq::new(word(cif, 0)), Seq::new(word(cif, 4)));
    (cif.len() >= 8 && last.since(first) >= 0).then_some((first, last))
}

pub(crate) fn write_dropped(first: Seq, last: Seq) -> Bytes {
    let mut out = BytesMut::with_capacity(8);
    out.put_u32(first.raw());
    out.put_u32(last.raw());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_back() {
        let ack = Ack {
            upto: Seq::new(5),
            rtt: Some((100, 50)),
            room: Some(8192),
            rate: (700, 1_000_000),
        };
        assert_eq!(Ack::read(&ack.write()), Some(ack));
        let light = Ack {
            upto: Seq::new(5),
            ..Ack::default()
        };
        assert_eq!(Ack::read(&light.write()), Some(light));
        assert_eq!(Ack::read(&[0; 3]), None);

        let seq = Seq::new;
        let ranges = [(seq(1), seq(1)), (seq(0x7fff_ffff), seq(2))];
        let bytes = write_losses(ranges.into_iter(), 100);
        assert_eq!(losses(&bytes).collect::<Vec<_>>(), ranges);
        assert_eq!(write_losses(ranges.into_iter(), 11).len(), 4);
        let backwards = [(RANGE | 9).to_be_bytes(), 3_u32.to_be_bytes()].concat();
        assert_eq!(losses(&backwards).count(), 0);
        assert_eq!(losses(&backwards[..4]).count(), 0);

        let both = (seq(7), seq(9));
        assert_eq!(dropped(&write_dropped(both.0, both.1)), Some(both));
        assert_eq!(dropped(&[0; 7]), None);
    }
}
