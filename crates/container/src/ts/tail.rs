//! Where a PES packet ends that does not tell its length.
//!
//! A multiplexer fills up the last transport packet of each PES packet by stuffing, and seldom any
//! other. Where a stream has done so long enough, stuffing is taken for the end, so that a picture
//! need not wait for the one behind it. Where it ever was not, that ends for good.

use mpeg2ts_reader::packet::Packet;

/// PES packets in a row, a second of pictures or so, that ended with stuffing and had none before.
const ENOUGH: u8 = 25;

#[derive(Debug, Default)]
pub(super) struct Tail {
    agreed: u8,
    /// The open PES packet has had its stuffing, and was taken for whole.
    stuffed: bool,
    told: bool,
    never: bool,
}

/// A PES packet that was taken for whole was not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistaken;

impl Tail {
    /// A packet with payload of a PES packet without length; whether it is the last one of it.
    pub(super) fn packet(&mut self, packet: &Packet<'_>) -> Result<bool, Mistaken> {
        let mut mistaken = false;
        if packet.payload_unit_start_indicator() {
            if self.stuffed {
                self.agreed = self.agreed.saturating_add(1);
            }
            (self.stuffed, self.told) = (false, false);
        } else if self.stuffed {
            mistaken = self.told;
            self.never |= mistaken;
            (self.agreed, self.told) = (0, false);
        }
        if !is_stuffed(packet.buffer()) {
            return if mistaken { Err(Mistaken) } else { Ok(false) };
        }
        self.stuffed = true;
        self.told = self.agreed >= ENOUGH && !self.never;
        if mistaken {
            Err(Mistaken)
        } else {
            Ok(self.told)
        }
    }

    /// Packets are missing: of the open PES packet nothing is known.
    pub(super) const fn lost(&mut self) {
        (self.stuffed, self.told) = (false, false);
    }
}

/// Whether the adaptation field is longer than what it says (2.4.3.4).
fn is_stuffed(packet: &[u8]) -> bool {
    let [_, _, _, control, len, flags, rest @ ..] = packet else {
        return false;
    };
    if control & 0x20 == 0 {
        return false;
    }
    if *len == 0 {
        return true;
    }
    let has = |flag: u8| flags & flag != 0;
    let clocks = 6 * (usize::from(has(0x10)) + usize::from(has(0x08)));
    let mut used = 1 + clocks + usize::from(has(0x04));
    // Private data and the extension tell their own lengths.
    for flag in [0x02, 0x01] {
        if has(flag) {
            used += 1 + rest.get(used - 1).map_or(0, |b| usize::from(*b));
        }
    }
    usize::from(*len) > used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(begins: bool, field: &[u8]) -> [u8; 188] {
        let mut p = [0xff; 188];
        p[..4].copy_from_slice(&[0x47, u8::from(begins) << 6, 1, 0x10]);
        if !field.is_empty() {
            p[3] |= 0x20;
            p[4..4 + field.len()].copy_from_slice(field);
        }
        p
    }

    #[test]
    fn stuffing_is_told_from_what_else_there_is() {
        let stuffed = |field: &[u8]| is_stuffed(&packet(false, field));
        for full in [
            &[][..],
            &[1, 0x40],
            &[7, 0x10, 1, 2, 3, 4, 5, 6],
            &[5, 0x02, 3, 1, 2, 3],
            &[6, 0x03, 1, 9, 2, 1, 2],
        ] {
            assert!(!stuffed(full), "{full:?}");
        }
        for long in [
            &[0][..],
            &[2, 0x40, 0xff],
            &[8, 0x10],
            &[9, 0x02, 3, 1, 2, 3],
        ] {
            assert!(stuffed(long), "{long:?}");
        }
    }

    #[test]
    fn it_is_learnt_and_given_up() {
        let mut tail = Tail::default();
        let mut push = |begins, stuffed: bool| {
            let field: &[u8] = if stuffed { &[0] } else { &[] };
            tail.packet(&Packet::new(&packet(begins, field)))
        };
        for n in 0..30 {
            assert_eq!(push(true, false), Ok(false));
            assert_eq!(push(false, true), Ok(n >= 25), "{n}");
        }
        // One that fills its last packet changes nothing.
        assert_eq!(push(true, false), Ok(false));
        assert_eq!(push(true, true), Ok(true));
        assert_eq!(push(false, false), Err(Mistaken));
        for _ in 0..60 {
            assert_eq!(push(true, true), Ok(false));
        }
        // Stuffing in the midst of each is never taken for the end.
        let mut tail = Tail::default();
        for _ in 0..60 {
            for (begins, field) in [(true, &[][..]), (false, &[0]), (false, &[0])] {
                assert_eq!(tail.packet(&Packet::new(&packet(begins, field))), Ok(false));
            }
        }
    }
}
