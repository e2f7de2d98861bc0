//! Continuity counters (ITU-T H.222.0 2.4.3.3), with what the reading crate leaves out: repeated
//! packets and announced discontinuities.

use mpeg2ts_reader::packet::Packet;

/// Where a packet has its clock reference, if it has one.
const PCR: std::ops::Range<usize> = 6..12;

/// How a packet follows the one before it on its PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Next,
    /// The same packet again, which is allowed once.
    Repeated,
    /// The counter leaps, and said that it would.
    Announced,
    /// Packets are missing.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct Continuity {
    last: Option<Box<[u8; Packet::SIZE]>>,
}

impl Continuity {
    pub(super) fn step(&mut self, packet: &Packet<'_>) -> Step {
        let data = packet.buffer();
        let Some(last) = self.last.as_deref_mut() else {
            self.last = data.try_into().ok().map(Box::new);
            return Step::Next;
        };
        let counter = |packet: &[u8]| packet[3] & 0x0f;
        let has_payload = packet.adaptation_control().has_payload();
        let step = u8::from(has_payload);
        let expected = (counter(last) + step) & 0x0f;
        let told = packet.adaptation_field();
        let found = if counter(data) == expected {
            Step::Next
        } else if told.is_some_and(|a| a.discontinuity_indicator()) {
            Step::Announced
        } else if has_payload && is_same(last, data) {
            Step::Repeated
        } else {
            Step::Lost
        };
        last.copy_from_slice(data);
        found
    }
}

/// A packet sent again has every byte of the first one but those of its clock reference, which may
/// tell when it was sent.
fn is_same(packet: &[u8; Packet::SIZE], again: &[u8]) -> bool {
    let tells =
        packet[3] & 0x20 != 0 && usize::from(packet[4]) > PCR.len() && packet[5] & 0x10 != 0;
    let differs = |at: usize| packet.get(at) != again.get(at);
    let mut differing = (0..Packet::SIZE).filter(|at| differs(*at));
    differing.all(|at| tells && PCR.contains(&at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(counter: u8, payload: u8, flags: Option<u8>) -> [u8; 188] {
        let mut p = [payload; 188];
        p[..4].copy_from_slice(&[0x47, 1, 0, 0x10 | counter]);
        if let Some(flags) = flags {
            p[3] |= 0x20;
            p[4..6].copy_from_slice(&[1, flags]);
        }
        p
    }

    #[test]
    fn steps() {
        let mut c = Continuity::default();
        let mut step = |p: [u8; 188]| c.step(&Packet::new(&p));
        assert_eq!(step(packet(15, 0, None)), Step::Next);
        assert_eq!(step(packet(0, 1, None)), Step::Next);
        assert_eq!(step(packet(0, 1, None)), Step::Repeated);
        assert_eq!(step(packet(0, 2, None)), Step::Lost, "another packet");
        assert_eq!(step(packet(2, 1, None)), Step::Lost);
        assert_eq!(step(packet(9, 1, Some(0x80))), Step::Announced);
        assert_eq!(step(packet(10, 1, Some(0x00))), Step::Next);
        let mut no_payload = packet(10, 1, Some(0x10));
        no_payload[3] &= !0x10;
        no_payload[4] = 183;
        assert_eq!(step(no_payload), Step::Next);
        assert_eq!(step(packet(11, 1, None)), Step::Next);
    }
    #[test]
    fn a_packet_sent_again_may_tell_another_time() {
        let with_pcr = |counter, pcr: u8, flags| {
            let mut p = packet(counter, 7, Some(flags));
            p[4] = 7;
            p[6..12].fill(pcr);
            p
        };
        for (flags, changed, found) in [
            (0x10, 6, Step::Repeated),
            (0x10, 11, Step::Repeated),
            (0x10, 12, Step::Lost),
            (0x10, 187, Step::Lost),
            (0x00, 6, Step::Lost),
        ] {
            let mut c = Continuity::default();
            let mut again = with_pcr(3, 1, flags);
            c.step(&Packet::new(&again));
            again[changed] ^= 1;
            assert_eq!(c.step(&Packet::new(&again)), found, "{flags:#x} {changed}");
        }
        // Without a clock reference those bytes are payload.
        let mut c = Continuity::default();
        let mut again = packet(3, 7, None);
        c.step(&Packet::new(&again));
        again[6] ^= 1;
        assert_eq!(c.step(&Packet::new(&again)), Step::Lost);
    }
}
