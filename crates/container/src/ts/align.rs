//! Finds packets of 188 bytes in whatever pieces the stream comes.

use mpeg2ts_reader::packet::Packet;

const SIZE: usize = Packet::SIZE;
const SYNC: u8 = Packet::SYNC_BYTE;

/// Holds less than two packets between pieces.
#[derive(Debug, Default)]
pub(super) struct Aligner {
    carry: Vec<u8>,
    synced: bool,
    /// How often packets did not follow each other.
    pub(super) losses: u64,
}

impl Aligner {
    pub(super) fn push(&mut self, data: &[u8], mut each: impl FnMut(&Packet<'_>)) {
        if self.carry.is_empty() {
            let used = self.walk(data, &mut each);
            self.carry.extend_from_slice(&data[used..]);
            return;
        }
        let mut joined = std::mem::take(&mut self.carry);
        joined.extend_from_slice(data);
        let used = self.walk(&joined, &mut each);
        self.carry.extend_from_slice(&joined[used..]);
    }

    /// The last packet has none behind it that would confirm it. What comes next begins anew.
    pub(super) fn flush(&mut self, mut each: impl FnMut(&Packet<'_>)) {
        let carry = std::mem::take(&mut self.carry);
        self.synced = false;
        if carry.len() == SIZE
            && let Some(packet) = Packet::try_new(&carry)
        {
            each(&packet);
        }
    }

    /// Returns how much is done with.
    fn walk(&mut self, data: &[u8], each: &mut impl FnMut(&Packet<'_>)) -> usize {
        let mut at = 0;
        loop {
            if !self.synced && !self.hunt(data, &mut at) {
                return at;
            }
            let Some(packet) = data.get(at..at + SIZE) else {
                return at;
            };
            let Some(packet) = Packet::try_new(packet) else {
                self.synced = false;
                self.losses += 1;
                continue;
            };
            each(&packet);
            at += SIZE;
        }
    }

    /// Moves to the next sync byte that has another one a packet later.
    fn hunt(&mut self, data: &[u8], at: &mut usize) -> bool {
        while let Some(skip) = data[*at..].iter().position(|b| *b == SYNC) {
            *at += skip;
            match data.get(*at + SIZE) {
                Some(&SYNC) => {
                    self.synced = true;
                    return true;
                }
                Some(_) => *at += 1,
                None => return false,
            }
        }
        *at = data.len();
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packets(count: u8) -> Vec<u8> {
        (0..count)
            .flat_map(|n| [vec![SYNC], vec![n; SIZE - 1]].concat())
            .collect()
    }

    fn found(aligner: &mut Aligner, data: &[u8], piece: usize) -> Vec<u8> {
        let mut seen = Vec::new();
        for piece in data.chunks(piece) {
            aligner.push(piece, |p| seen.push(p.buffer()[5]));
        }
        aligner.flush(|p| seen.push(p.buffer()[5]));
        seen
    }

    #[test]
    fn junk_between_packets_costs_at_most_one() {
        let mut data = packets(10);
        data.splice(5 * SIZE..5 * SIZE, [0, SYNC, 1, 2, 3]);
        let mut aligner = Aligner::default();
        assert_eq!(
            found(&mut aligner, &data, 1_000),
            (0..10).collect::<Vec<_>>()
        );
        assert_eq!(aligner.losses, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn pieces_of_any_size(piece in 1_usize..800, count in 1_u8..40, junk in 0_usize..400) {
            let data = [vec![0x11; junk], packets(count)].concat();
            let mut aligner = Aligner::default();
            prop_assert_eq!(found(&mut aligner, &data, piece), (0..count).collect::<Vec<_>>());
            prop_assert!(aligner.carry.is_empty());
        }
    }
}
