//! What became of numbered datagrams. Pure.

use std::ops::Range;
use std::time::Duration;

use super::payload::Stamp;

/// Half a day at 8 Mb/s: more than that is not counted.
const MOST: u64 = 1 << 25;

/// Takes what arrives, in any order.
#[derive(Debug, Default)]
pub struct Account {
    /// Microseconds that each took, and one more; none where it did not come.
    took: Vec<u32>,
    /// Those that came twice.
    again: Vec<u64>,
    /// Those that came behind a later one.
    overtaken: Vec<u64>,
    damaged: u64,
}

/// What arrived of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// How many there were to come.
    pub sent: u64,
    /// Never came.
    pub missing: u64,
    /// Came more than once, once for each time.
    pub duplicate: u64,
    /// Came behind a later one.
    pub reordered: u64,
    /// What is not what anybody sent, at any time.
    pub damaged: u64,
    /// Microseconds from sender to here, of each that came.
    pub delays: Vec<i64>,
}

impl Account {
    /// A datagram came at that time of the sender's clock.
    pub fn take(&mut self, datagram: &[u8], now: Duration) {
        match Stamp::of(datagram) {
            Some(stamp) if stamp.number < MOST => self.count(stamp, now),
            _ => self.damaged += 1,
        }
    }

    fn count(&mut self, stamp: Stamp, now: Duration) {
        let at = stamp.number as usize;
        let micros = now.saturating_sub(stamp.sent).as_micros();
        let took = u32::try_from(micros).unwrap_or(u32::MAX - 1).max(1);
        if at < self.took.len() {
            if self.took[at] != 0 {
                self.again.push(stamp.number);
                return;
            }
            self.overtaken.push(stamp.number);
        } else {
            self.took.resize(at + 1, 0);
        }
        self.took[at] = took;
    }

    /// One more than the highest number that came.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.took.len() as u64
    }

    /// What came of those.
    #[must_use]
    pub fn of(&self, range: Range<u64>) -> Arrivals {
        let size = self.took.len();
        let part = |n: u64| usize::try_from(n).unwrap_or(size).min(size);
        let took = self
            .took
            .get(part(range.start)..part(range.end))
            .unwrap_or_default();
        let delays: Vec<_> = took
            .iter()
            .filter(|t| **t != 0)
            .map(|t| i64::from(*t))
            .collect();
        let sent = range.end.saturating_sub(range.start);
        let within = |all: &[u64]| all.iter().filter(|n| range.contains(n)).count() as u64;
        Arrivals {
            sent,
            missing: sent - delays.len() as u64,
            duplicate: within(&self.again),
            reordered: within(&self.overtaken),
            damaged: self.damaged,
            delays,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sent(number: u64) -> Stamp {
        Stamp {
            number,
            sent: MS * number as u32,
        }
    }

    #[test]
    fn each_is_missing_or_came_once_more_or_late() {
        let mut account = Account::default();
        for number in [0, 1, 3, 2, 3, 6, 3] {
            let bytes = sent(number).datagram();
            account.take(&bytes, MS * (number as u32 + 5));
        }
        account.take(b"something else", MS * 20);
        assert_eq!(account.end(), 7);
        let all = account.of(0..8);
        assert_eq!((all.sent, all.missing), (8, 3));
        assert_eq!((all.duplicate, all.reordered, all.damaged), (2, 1, 1));
        assert_eq!(all.delays, [5_000; 5]);
        let part = account.of(4..7);
        assert_eq!(
            (part.sent, part.missing, part.duplicate, part.reordered),
            (3, 2, 0, 0)
        );
        assert_eq!(
            account.of(9..9),
            Arrivals {
                damaged: 1,
                ..Arrivals::default()
            }
        );
    }
}
