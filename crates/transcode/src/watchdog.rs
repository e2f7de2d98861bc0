//! Whether a worker that lives also works.

use std::time::Duration;

use ladder::Health;
use tokio::time::Instant;

/// It tells four times a second how it does; one that says nothing for so long hangs.
const SILENT: Duration = Duration::from_secs(3);
/// With media before it and encoders open, something comes out within this time.
const IDLE: Duration = Duration::from_secs(10);
/// One that takes nothing in because what it has is stuck is given longer: slow encoders look ahead.
const STUCK: Duration = Duration::from_secs(30);

/// Watches one worker.
#[derive(Debug)]
pub(crate) struct Watchdog {
    heard: Instant,
    /// What had been sent, and when there was less.
    sent: u64,
    moved: Instant,
    /// What it had taken in when something last came out.
    received: u64,
    taken: u64,
    /// What waits within it.
    queue: u64,
}

impl Watchdog {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            heard: now,
            sent: 0,
            moved: now,
            received: 0,
            taken: 0,
            queue: 0,
        }
    }

    /// It said something.
    pub(crate) const fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// It told how it does.
    pub(crate) fn note(&mut self, health: &Health, now: Instant) {
        if self.taken == self.received && self.queue == 0 {
            self.moved = now;
        }
        let sent = health.outputs.iter().map(|o| o.sent);
        let sent = sent.fold(0, u64::saturating_add);
        self.taken = health.received;
        self.queue = health.queue;
        if sent != self.sent || self.sent == 0 {
            (self.sent, self.moved, self.received) = (sent, now, health.received);
        }
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn verdict(&self, now: Instant) -> Option<&'static str> {
        if now >= self.heard + SILENT {
            return Some("it says nothing");
        }
        let patience = match (self.taken > self.received, self.queue > 0) {
            (true, _) => IDLE,
            (false, true) => STUCK,
            (false, false) => return None,
        };
        (now >= self.moved + patience).then_some("nothing comes out")
    }

    /// When to look again.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        (self.heard + SILENT).min(now + IDLE / 4)
    }
}

#[cfg(test)]
mod tests {
    use ladder::OutputHealth;

    use super::*;

    const LEAST: Duration = Duration::from_millis(1);

    fn health(received: u64, sent: u64) -> Health {
        Health {
            received,
            outputs: vec![OutputHealth {
                sent,
                ..OutputHealth::default()
            }],
            ..Health::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_standstill_are_noticed_and_waiting_is_neither() {
        let start = Instant::now();
        let mut dog = Watchdog::new(start);
        assert_eq!(dog.verdict(start + Duration::from_secs(2)), None);
        assert!(dog.verdict(start + SILENT).is_some());
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            dog.hear(now);
            dog.note(&health(second, 0), now);
            assert_eq!(dog.verdict(now), None, "nothing was ever encoded");
        }
        let now = start + Duration::from_secs(60);
        dog.note(&health(60, 5), now);
        let later = now + IDLE;
        dog.hear(later);
        dog.note(&health(60, 5), later);
        assert_eq!(dog.verdict(later), None, "nothing came in either");
        dog.note(&health(90, 5), later);
        assert_eq!(dog.verdict(later), None, "it came just now");
        let later = later + IDLE;
        dog.hear(later);
        dog.note(&health(180, 5), later);
        assert!(dog.verdict(later).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_stuck_and_takes_nothing_in_is_noticed() {
        let start = Instant::now();
        let mut dog = Watchdog::new(start);
        let stuck = Health {
            queue: 64,
            ..health(90, 5)
        };
        dog.note(&stuck, start);
        let later = start + STUCK;
        dog.hear(later);
        dog.note(&stuck, later);
        assert_eq!(dog.verdict(later - LEAST), None, "it may be slow");
        assert!(dog.verdict(later).is_some());
    }
}
