//! Where samples belong: a count of samples since the epoch that never breaks.
//!
//! A source's sound comes in pieces whose times wobble, drift, leave holes and step back. What
//! comes out is one row of samples; packets of it lie on a grid since the epoch, so a worker that
//! follows another cuts them at the same places.

use media::{Span, Timestamp};

/// A piece further from where it belongs than this is moved there: less is heard as neither echo
/// nor gap, and clocks wobble by as much.
const TOLERANCE: Span = Span::from_millis(25);
/// Being off by less is left alone.
const CARE: Span = Span::from_millis(2);
/// A longer hole is not filled.
const MOST_FILLED: Span = Span::from_secs(2);
/// How exactly the end of the worker before this one is known.
const EXACT: Span = Span::from_millis(1);
/// The most that samples are stretched, in parts per thousand: nobody hears it.
const STRETCH: i64 = 2;

/// What becomes of one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Placing {
    /// Samples of silence before it.
    pub(crate) silence: usize,
    /// Samples of it that are left out at its start.
    pub(crate) skip: usize,
    /// Whether the row begins anew with it: what is not a whole packet yet is dropped.
    pub(crate) jump: bool,
}

/// One row of samples.
#[derive(Debug)]
pub(crate) struct SampleClock {
    rate: u32,
    /// Samples of a packet.
    packet: i64,
    /// Where the next sample belongs.
    next: Option<i64>,
    /// Nothing before this is heard.
    until: Option<i64>,
    /// How far off pieces are, of late, in samples.
    error: f64,
}

impl SampleClock {
    pub(crate) fn new(rate: u32, packet: u32, until: Option<Timestamp>) -> Self {
        let packet = i64::from(packet.max(1));
        Self {
            rate,
            packet,
            next: None,
            until: until.map(|t| (t - EXACT).to_ticks(rate)),
            error: 0.0,
        }
    }

    /// Where the next sample belongs, in samples since the epoch.
    pub(crate) const fn next(&self) -> Option<i64> {
        self.next
    }

    /// Another source: how far off the one before was says nothing.
    pub(crate) const fn splice(&mut self) {
        self.error = 0.0;
    }

    /// A piece of `samples` samples whose first one belongs at `at`.
    pub(crate) fn place(&mut self, at: Timestamp, samples: usize) -> Placing {
        let at = at.to_ticks(self.rate);
        let count = i64::try_from(samples).unwrap_or(i64::MAX);
        let Some(next) = self.next else {
            return self.begin(at, count);
        };
        let off = at - next;
        if off.abs() <= self.samples(TOLERANCE) {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
            let off = off as f64;
            self.error += (off - self.error) / 32.0;
            self.next = Some(next + count);
            return Placing::default();
        }
        self.error = 0.0;
        if off > self.samples(MOST_FILLED) {
            self.until = Some(next);
            return self.begin(at, count);
        }
        let skip = (-off).clamp(0, count);
        let silence = off.max(0);
        self.next = Some(next + silence + count - skip);
        Placing {
            silence: to_usize(silence),
            skip: to_usize(skip),
            jump: false,
        }
    }

    /// The row begins at a packet's edge.
    fn begin(&mut self, at: i64, count: i64) -> Placing {
        let edge = self.edge(self.until.map_or(at, |until| until.max(at)));
        let skip = (edge - at).clamp(0, count);
        if skip < count {
            self.next = Some(at + count);
        }
        Placing {
            silence: 0,
            skip: to_usize(skip),
            jump: true,
        }
    }

    /// Where the first packet begins at or after a sample.
    fn edge(&self, from: i64) -> i64 {
        (from + self.packet - 1).div_euclid(self.packet) * self.packet
    }

    /// No sound comes: samples of silence up to `until`. Where the worker before this one sent some,
    /// it goes on behind that.
    pub(crate) fn hold(&mut self, until: Timestamp) -> usize {
        let until = until.to_ticks(self.rate);
        let oldest = until - self.samples(MOST_FILLED);
        let begin = || self.until.map(|sent| self.edge(sent.max(oldest)));
        let Some(next) = self.next.or_else(begin) else {
            return 0;
        };
        let missing = until - next;
        let silence = missing.clamp(0, self.samples(MOST_FILLED));
        self.next = Some(next + silence);
        to_usize(silence)
    }

    /// By how many samples the next `over` ones shall be more (fewer, where negative) so that they
    /// come where they belong.
    pub(crate) fn correction(&self, over: u32) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "a few thousand at most")]
        let off = self.error as i64;
        if off.abs() <= self.samples(CARE) {
            return 0;
        }
        let most = i64::from(over) * STRETCH / 1_000;
        i32::try_from(off.clamp(-most, most)).unwrap_or(0)
    }

    const fn samples(&self, span: Span) -> i64 {
        span.as_nanos() / 1_000 * self.rate as i64 / 1_000_000
    }
}

fn to_usize(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 48_000;
    const BASE: i64 = 1_795_000_000_123;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(BASE + ms)
    }

    fn clock() -> SampleClock {
        SampleClock::new(RATE, 1_024, None)
    }

    #[test]
    fn a_row_begins_at_a_packets_edge() {
        let mut clock = clock();
        let placing = clock.place(at(0), 1_024);
        let next = clock.next().expect("it began");
        let first = next - 1_024 + i64::try_from(placing.skip).expect("small");
        assert_eq!(first % 1_024, 0);
        assert!(placing.jump);
    }

    #[test]
    fn wobbling_times_are_not_heard() {
        let mut clock = clock();
        clock.place(at(0), 1_024);
        for n in 1..1_000_i64 {
            let wobble = [0, 9, -7, 3][usize::try_from(n % 4).expect("small")];
            let placing = clock.place(at(n * 1_024 * 1_000 / 48_000 + wobble), 1_024);
            assert_eq!(placing, Placing::default(), "piece {n}");
        }
        assert_eq!(clock.correction(RATE), 0);
    }

    #[test]
    fn a_hole_is_filled_and_a_step_back_is_skipped() {
        let mut clock = clock();
        clock.place(at(0), 4_800);
        let hole = clock.place(at(300), 4_800);
        assert!((9_500..9_700).contains(&hole.silence), "{hole:?}");
        let back = clock.place(at(200), 4_800);
        assert_eq!((back.silence, back.skip), (0, 4_800));
        let over = clock.place(at(350), 4_800);
        assert!((2_300..2_500).contains(&over.skip), "{over:?}");
    }

    #[test]
    fn a_drift_is_stretched_away() {
        let mut clock = clock();
        let mut ahead = 0.0_f64;
        for n in 0..5_000_i64 {
            // 200 ppm slow; what the corrections make of it.
            let nominal = n * 1_024 * 1_000_000 / 48_000;
            let late = nominal / 5_000;
            let more = f64::from(clock.correction(1_024));
            ahead += more;
            #[expect(clippy::cast_possible_truncation, reason = "it is about 1024")]
            let samples = (1_024.0 + more) as i64;
            let at = Timestamp::from_nanos((BASE * 1_000 + nominal + late) * 1_000);
            let placing = clock.place(at, usize::try_from(samples).expect("positive"));
            assert!(
                n == 0 || placing == Placing::default(),
                "piece {n}: {placing:?}, {ahead}"
            );
        }
    }

    #[test]
    fn silence_is_filled_up_to_a_point() {
        let mut clock = clock();
        assert_eq!(clock.hold(at(0)), 0);
        clock.place(at(0), 4_800);
        assert!((4_700..=4_900).contains(&clock.hold(at(200))));
        assert_eq!(clock.hold(at(150)), 0);
        assert_eq!(clock.hold(at(3_600_000)), 96_000);
    }

    #[test]
    fn a_worker_that_follows_another_goes_on_behind_it() {
        let mut first = clock();
        first.place(at(0), 48_000);
        let sent = first.next().expect("it began") / 1_024 * 1_024;
        let until = Timestamp::from_ticks(sent, RATE);
        let mut second = SampleClock::new(RATE, 1_024, Some(until));
        let placing = second.place(at(0), 96_000);
        let begins =
            second.next().expect("it began") - 96_000 + i64::try_from(placing.skip).expect("small");
        assert_eq!(begins, sent);
    }

    #[test]
    fn a_worker_that_follows_another_holds_on_behind_it() {
        let sent = at(1_000);
        let mut clock = SampleClock::new(RATE, 1_024, Some(sent));
        clock.place(at(0), 4_800);
        assert_eq!(clock.next(), None, "all of that was heard");
        let held = clock.hold(at(2_000));
        assert!((46_900..=48_000).contains(&held), "{held}");
        assert_eq!(clock.next(), Some(at(2_000).to_ticks(RATE)));
    }

    proptest! {
        /// The row only grows, and by exactly what the caller puts into it.
        #[test]
        fn the_row_never_breaks(pieces in vec((-500..800_i64, 0..5_000_usize, any::<bool>()), 1..100)) {
            let mut clock = clock();
            let mut ms = 0;
            let mut row = None::<i64>;
            for (step, samples, hold) in pieces {
                ms += step;
                let (grown, jump) = if hold {
                    (clock.hold(at(ms)), false)
                } else {
                    let placing = clock.place(at(ms), samples);
                    prop_assert!(placing.skip <= samples);
                    (placing.silence + samples - placing.skip, placing.jump)
                };
                let grown = i64::try_from(grown).expect("small");
                if let (Some(row), Some(next), false) = (row, clock.next(), jump) {
                    prop_assert_eq!(row + grown, next);
                }
                if let (Some(before), Some(next)) = (row, clock.next()) {
                    prop_assert!(next >= before);
                }
                row = clock.next();
            }
        }
    }
}
