//! How long to wait before the next worker.

use std::time::Duration;

/// One that lived for so long did not fail at once.
const LIVED: Duration = Duration::from_secs(5);
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Begins at nothing, doubles up to half a minute, and never gives up.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A worker ended that lived for so long: the wait before the next one.
    pub(crate) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= LIVED {
            self.failures = 0;
        }
        let before = self.failures;
        self.failures = before.saturating_add(1);
        match before.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST.saturating_mul(1 << doublings.min(16)).min(LONGEST),
        }
    }

    /// Whether the last ones all failed at once.
    pub(crate) const fn is_looping(&self) -> bool {
        self.failures >= 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait() {
        let mut backoff = Backoff::default();
        let mut waits = || backoff.after(Duration::from_millis(100)).as_millis();
        let first: Vec<u128> = (0..10).map(|_| waits()).collect();
        assert_eq!(
            first,
            [
                0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000
            ]
        );
        assert!(backoff.is_looping());
        assert_eq!(backoff.after(LIVED), Duration::ZERO);
        assert!(!backoff.is_looping());
    }
}
