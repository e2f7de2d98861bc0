//! A datagram of seven TS packets that knows its number and when it was sent. Pure.

use std::time::Duration;

/// Bytes of one: seven packets of 188.
pub const LENGTH: usize = 7 * PACKET;

const PACKET: usize = 188;
const SYNC: u8 = 0x47;
const PID: u16 = 0x100;
/// Of a packet's header; what follows is ours.
const HEADER: usize = 4;
const MAGIC: [u8; 8] = *b"weir-num";
/// Magic, number, nanoseconds.
const STAMP: usize = 24;

/// What a datagram says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Counts from 0.
    pub number: u64,
    /// On the machine's monotonic clock.
    pub sent: Duration,
}

impl Stamp {
    /// The datagram: 188-byte packets of PID 0x100 whose continuity counters go on (ISO/IEC 13818-1
    /// §2.4.3.2), filled with what follows from the number.
    #[must_use]
    pub fn datagram(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut fill = Fill::of(self.number);
        for (packet, n) in bytes.chunks_exact_mut(PACKET).zip(0..) {
            packet[..HEADER].copy_from_slice(&header(self.number * 7 + n));
            for word in packet[HEADER..].chunks_exact_mut(4) {
                word.copy_from_slice(&fill.next());
            }
        }
        let nanos = u64::try_from(self.sent.as_nanos()).unwrap_or(u64::MAX);
        let stamp = &mut bytes[HEADER..HEADER + STAMP];
        stamp[..8].copy_from_slice(&MAGIC);
        stamp[8..16].copy_from_slice(&self.number.to_be_bytes());
        stamp[16..].copy_from_slice(&nanos.to_be_bytes());
        bytes
    }

    /// What it says of itself; none where any byte of it is not what was sent.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        let stamp = datagram.get(HEADER..HEADER + STAMP)?;
        let word = |at: usize| {
            stamp
                .get(at..at + 8)?
                .try_into()
                .ok()
                .map(u64::from_be_bytes)
        };
        let (number, nanos) = (word(8)?, word(16)?);
        let found = Self {
            number,
            sent: Duration::from_nanos(nanos),
        };
        // A number that nobody counts to would overflow what is counted with it.
        (number < 1 << 40 && found.datagram() == datagram).then_some(found)
    }
}

fn header(packet: u64) -> [u8; HEADER] {
    let [high, low] = PID.to_be_bytes();
    let counter = (packet % 16) as u8;
    // The payload begins a unit, and there is no adaptation field.
    [SYNC, 0x40 | high, low, 0x10 | counter]
}

/// Xorshift: cheap, and no two datagrams look alike.
struct Fill(u32);

impl Fill {
    fn of(number: u64) -> Self {
        let [high, low] = [(number >> 32) as u32, number as u32];
        Self((low ^ high.rotate_left(16)).wrapping_mul(0x9e37_79b9) | 1)
    }

    fn next(&mut self) -> [u8; 4] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_ts_and_says_what_it_is(number in 0_u64..1 << 40, nanos: u64) {
            let stamp = Stamp { number, sent: Duration::from_nanos(nanos) };
            let bytes = stamp.datagram();
            prop_assert!(bytes.chunks_exact(PACKET).all(|p| p[0] == SYNC));
            let counters: Vec<_> = bytes.chunks_exact(PACKET).map(|p| p[3] & 15).collect();
            prop_assert!(counters.windows(2).all(|w| w[1] == (w[0] + 1) % 16));
            let next = Stamp { number: number + 1, ..stamp }.datagram();
            prop_assert_eq!(next[3] & 15, (counters[6] + 1) % 16);
            prop_assert_eq!(Stamp::of(&bytes), Some(stamp));
        }

        #[test]
        fn one_bit_that_is_wrong_is_seen(number in 0_u64..1 << 20, at in 0..LENGTH * 8) {
            let stamp = Stamp { number, sent: Duration::from_secs(7) };
            let mut bytes = stamp.datagram();
            bytes[at / 8] ^= 1 << (at % 8);
            // The time alone says nothing that could be checked.
            let time = (HEADER + 16) * 8..(HEADER + STAMP) * 8;
            prop_assert!(time.contains(&at) || Stamp::of(&bytes).is_none());
            prop_assert!(Stamp::of(&bytes[..at / 8]).is_none());
        }
    }
}
