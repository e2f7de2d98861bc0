//! When what was received is played: the sender's pace, a constant while later (TSBPD,
//! draft-sharabayko-srt-01, 4.5).

use media::repair::Unwrap;
use media::{Span, Timestamp};

/// A drift is told from jitter by so many samples: ten seconds of them.
const SAMPLES: i64 = 1_000;

/// The sender's clock, on ours.
#[derive(Debug)]
pub(crate) struct Playout {
    /// When the sender's clock was at zero.
    base: Timestamp,
    latency: Span,
    clock: Unwrap,
    /// The round trip when `base` was found.
    first_rtt: Option<Span>,
    sum: i64,
    samples: i64,
}

const fn micros(n: i64) -> Span {
    Span::from_nanos(n.saturating_mul(1_000))
}

impl Playout {
    /// From the handshake's timestamp, and when it came.
    pub(crate) fn new(timestamp: u32, now: Timestamp, latency: Span) -> Self {
        let mut clock = Unwrap::new(32);
        let sent = micros(clock.extend(timestamp.into()));
        Self {
            base: now - sent,
            latency,
            clock,
            first_rtt: None,
            sum: 0,
            samples: 0,
        }
    }

    pub(crate) const fn latency(&self) -> Span {
        self.latency
    }

    /// When a packet with this timestamp is to be played.
    pub(crate) fn time(&mut self, timestamp: u32) -> Timestamp {
        self.base + micros(self.clock.extend(timestamp.into())) + self.latency
    }

    /// A packet that is sent without waiting came just now: how far the clocks have moved.
    pub(crate) fn sample(&mut self, timestamp: u32, now: Timestamp, rtt: Span) {
        let first = *self.first_rtt.get_or_insert(rtt);
        let sent = self.base + micros(self.clock.extend(timestamp.into()));
        // A longer way is no slower clock.
        let way = Span::from_nanos((rtt - first).as_nanos() / 2);
        self.sum = self.sum.saturating_add((now - sent - way).as_nanos());
        self.samples += 1;
        if self.samples == SAMPLES {
            self.base += Span::from_nanos(self.sum / SAMPLES);
            (self.sum, self.samples) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_nanos(micros * 1_000)
    }

    #[test]
    fn packets_keep_their_distance_over_a_wrap() {
        let latency = Span::from_millis(120);
        let mut playout = Playout::new(u32::MAX - 999, at(5_000_000), latency);
        assert_eq!(playout.time(u32::MAX), at(5_000_000 + 999) + latency);
        assert_eq!(playout.time(500), at(5_000_000 + 1_500) + latency);
        assert_eq!(playout.time(u32::MAX), at(5_000_000 + 999) + latency);
    }

    #[test]
    fn a_drifting_clock_is_followed() {
        // Ours is 100 ppm faster than the sender's.
        let mut playout = Playout::new(0, at(0), Span::ZERO);
        for n in 1..=60_000_i64 {
            let sent = u32::try_from(n * 10_000).unwrap();
            playout.sample(sent, at(n * 10_001), Span::from_millis(10));
        }
        let off = playout.time(600_000_000) - at(600_060_000);
        assert!(off.abs() < Span::from_millis(2), "{off:?}");
    }

    #[test]
    fn a_longer_way_is_no_drift() {
        let mut playout = Playout::new(0, at(0), Span::ZERO);
        playout.sample(0, at(0), Span::from_millis(10));
        for n in 1..=2_000_i64 {
            let sent = u32::try_from(n * 10_000).unwrap();
            playout.sample(sent, at(n * 10_000 + 45_000), Span::from_millis(100));
        }
        let off = playout.time(20_000_000) - at(20_000_000);
        assert!(off.abs() < Span::from_millis(1), "{off:?}");
    }
}
