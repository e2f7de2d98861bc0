//! Pacing of what comes in bursts: frames leave at the pace of their timestamps.

use crate::{Span, Timestamp};

/// A source whose DTS leap further than this, forward or backward, has changed its clock.
const LEAP: Span = Span::from_secs(10);
/// Frames later than this were missed for lack of media, not by a slow timer.
const LATE: Span = Span::from_millis(200);
/// How long the level is watched before it is corrected, in time of the source: longer than a
/// segment.
const WATCH: Span = Span::from_secs(10);
/// A level this near to the wanted one is left alone.
const NEAR: Span = Span::from_millis(20);
/// One part in so many is the most that time is stretched or pressed.
const GENTLY: i64 = 100;

/// Tells when each frame of one source shall leave, so that frames leave at the pace of their DTS,
/// `buffer` behind their arrival. The frames are given in the order in which they leave.
///
/// Bursts may come as they like as long as each is there before its first frame is due. Where the
/// media runs out, or its clock leaps, pacing begins anew with the frame at hand. The source's
/// clock is not ours: the least by which frames were early is watched and brought back towards
/// `buffer` by at most one per cent.
#[derive(Debug, Clone)]
pub struct Pacer {
    buffer: Span,
    anchor: Option<Anchor>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    /// The highest DTS so far, and when it is due.
    dts: Timestamp,
    due: Timestamp,
    /// DTS at which the watch began, and the least that a frame was early since.
    since: Timestamp,
    early: Span,
    /// What is still to be taken off, little by little.
    excess: Span,
}

impl Pacer {
    /// Frames wait `buffer` before they leave. Without a buffer nothing is corrected: the pace is
    /// that of the clock, as for a file.
    #[must_use]
    pub const fn new(buffer: Span) -> Self {
        Self {
            buffer,
            anchor: None,
        }
    }

    /// When a frame with this DTS shall leave, on the clock of `now`, at which it is there. Never
    /// before the frame ahead of it; a time that has passed means at once.
    pub fn due(&mut self, dts: Timestamp, now: Timestamp) -> Timestamp {
        let Some(mut a) = self.anchor else {
            return self.begin(dts, now + self.buffer, now);
        };
        let step = dts - a.dts;
        if step.abs() > LEAP {
            return self.begin(dts, a.due.max(now), now);
        }
        a.advance(step.max(Span::ZERO));
        if now - a.due > LATE {
            return self.begin(dts.max(a.dts), now, now);
        }
        a.early = a.early.min(a.due - now);
        if a.dts - a.since >= WATCH {
            self.correct(&mut a);
        }
        self.anchor = Some(a);
        a.due
    }

    /// How long it takes until all that came has left.
    #[must_use]
    pub fn level(&self, now: Timestamp) -> Span {
        self.anchor
            .map_or(Span::ZERO, |a| a.due - now)
            .max(Span::ZERO)
    }

    fn begin(&mut self, dts: Timestamp, due: Timestamp, now: Timestamp) -> Timestamp {
        self.anchor = Some(Anchor {
            dts,
            due,
            since: dts,
            early: due - now,
            excess: Span::ZERO,
        });
        due
    }

    fn correct(&self, a: &mut Anchor) {
        let off = a.early - self.buffer;
        let correctable = self.buffer > Span::ZERO && off.abs() > NEAR;
        a.excess = if correctable { off } else { Span::ZERO };
        (a.since, a.early) = (a.dts, Span::from_nanos(i64::MAX));
    }
}

impl Anchor {
    /// What comes late within the interleaving leaves with what it comes behind.
    fn advance(&mut self, step: Span) {
        let most = step.as_nanos() / GENTLY;
        let part = Span::from_nanos(self.excess.as_nanos().clamp(-most, most));
        self.excess -= part;
        self.dts += step;
        self.due += step - part;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    const fn ms(ms: i64) -> Span {
        Span::from_millis(ms)
    }

    #[test]
    fn a_burst_leaves_at_its_pace() {
        let mut p = Pacer::new(ms(3_000));
        for i in 0..50 {
            assert_eq!(p.due(at(7_000 + i * 40), at(100)), at(3_100 + i * 40));
        }
        assert_eq!(p.level(at(100)), ms(3_000 + 49 * 40));
        assert_eq!(p.due(at(9_000), at(2_100)), at(5_100));
    }

    #[test]
    fn disorder_within_the_interleaving_leaves_at_once() {
        let mut p = Pacer::new(Span::ZERO);
        assert_eq!(p.due(at(1_000), at(0)), at(0));
        assert_eq!(p.due(at(100), at(0)), at(0));
        assert_eq!(p.due(at(1_040), at(0)), at(40));
        assert_eq!(p.due(at(140), at(40)), at(40));
        // A timer that is late costs nothing for good.
        assert_eq!(p.due(at(1_080), at(95)), at(80));
        assert_eq!(p.due(at(1_120), at(96)), at(120));
    }

    #[test]
    fn underruns_and_leaps_begin_anew() {
        let mut p = Pacer::new(ms(1_000));
        assert_eq!(p.due(at(0), at(0)), at(1_000));
        assert_eq!(p.due(at(40), at(5_000)), at(5_000));
        assert_eq!(p.due(at(80), at(5_000)), at(5_040));
        assert_eq!(
            p.due(at(900_000), at(5_001)),
            at(5_040),
            "behind what waits"
        );
        assert_eq!(p.due(at(900_040), at(5_001)), at(5_080));
        assert_eq!(p.due(at(0), at(5_500)), at(5_500));
        assert_eq!(p.due(at(40), at(5_500)), at(5_540));
    }

    /// Segments of 2 s from a source whose clock is off by a part in a thousand.
    #[test]
    fn a_foreign_clock_is_followed() {
        for skew in [-1, 1] {
            let mut p = Pacer::new(ms(2_000));
            for i in 0..3_000_i64 {
                let arrival = i / 50 * 2_000;
                let arrival = at(arrival + skew * arrival / 1_000);
                let level = p.due(at(i * 40), arrival) - arrival - ms(i % 50 * 40);
                assert!((level - ms(2_000)).abs() < ms(80), "{level:?} at {i}");
            }
        }
    }

    #[test]
    fn too_much_is_worked_off() {
        let mut p = Pacer::new(ms(500));
        p.due(at(0), at(0));
        p.due(at(40), at(2_000));
        // All that was missing comes at once, then in time.
        let mut last = Span::ZERO;
        for i in 0..10_000_i64 {
            let now = at(2_000 + (i * 40 - 2_000).max(0));
            last = p.due(at(80 + i * 40), now) - now;
        }
        assert!((last - ms(500)).abs() < ms(60), "{last:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn leaves_in_order_and_never_long_after(
            buffer in 0_i64..8_000,
            steps in prop::collection::vec(
                (prop_oneof![9 => -300_i64..300, 1 => -(1_i64 << 40)..1 << 40], 0_i64..2_000),
                1..300,
            ),
        ) {
            let mut p = Pacer::new(ms(buffer));
            let (mut dts, mut now, mut last) = (at(0), at(0), at(0));
            for (step, pause) in steps {
                dts += ms(step);
                now += ms(pause);
                let due = p.due(dts, now);
                prop_assert!(due >= last && due >= now - LATE, "{due:?} at {now:?}");
                prop_assert!(due - last.max(now) <= ms(buffer) + LEAP.times(2));
                last = due;
            }
        }
    }
}
