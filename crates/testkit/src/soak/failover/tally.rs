//! What a viewer saw, told by the numbers of its frames. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::actors::{Counted, Kind, Number, Seen};

/// Of one kind of media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) frames: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    /// Decoding times that did not grow.
    pub(super) backward: u64,
    /// Frames that no encoder sent.
    pub(super) unknown: u64,
    /// The longest time between two arrivals.
    pub(super) silence: Duration,
    /// Milliseconds by which the clock of decoding times is ahead of ours, from where both began:
    /// of the frame that came soonest.
    pub(super) ahead: Option<i64>,
}

/// Counts the frames of one kind, all of which were sent when they were due.
#[derive(Debug)]
pub(super) struct Tally {
    kind: Kind,
    /// When frame 0 was due.
    clock: Instant,
    last: Option<(Seen, Place)>,
    count: Count,
}

/// A frame's number since the clock began, and how many of its rate there are in a loop.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: i64,
    each: i64,
}

impl Place {
    /// How many frames of our rate it is from the other to this one; one where none is between.
    const fn from(self, other: Self) -> i64 {
        let ahead = self.at * other.each - other.at * self.each;
        -(-ahead).div_euclid(other.each)
    }
}

impl Tally {
    pub(super) fn new(kind: Kind, clock: Instant) -> Self {
        Self {
            kind,
            clock,
            last: None,
            count: Count::default(),
        }
    }

    /// Since it was last taken.
    pub(super) const fn count(&self) -> Count {
        self.count
    }

    pub(super) fn take(&mut self) -> Count {
        std::mem::take(&mut self.count)
    }

    /// When the last frame came.
    pub(super) fn last(&self) -> Option<Instant> {
        self.last.as_ref().map(|(seen, _)| seen.at)
    }

    pub(super) fn add(&mut self, seen: Seen, number: Option<Number>) {
        let Some(number) = number.filter(|n| n.kind == self.kind) else {
            self.count.unknown += 1;
            return;
        };
        self.count.frames += 1;
        let since = i64::try_from((seen.at - self.clock).as_millis()).unwrap_or(i64::MAX);
        self.count.ahead = self.count.ahead.max(Some(seen.dts - since));
        let place = self.place(number, seen.at);
        if let Some((before, last)) = &self.last {
            let step = place.from(*last);
            self.count.lost += u64::try_from(step - 1).unwrap_or(0);
            self.count.repeated += u64::try_from(1 - step).unwrap_or(0);
            self.count.backward += u64::from(seen.dts <= before.dts);
            self.count.silence = self.count.silence.max(seen.at - before.at);
        }
        self.last = Some((seen, place));
    }

    /// What repeats is told apart by when it came.
    fn place(&self, number: Number, at: Instant) -> Place {
        let each = i64::from(number.of);
        let seconds = (at - self.clock).as_secs_f64() / Counted::LENGTH.as_secs_f64();
        #[expect(clippy::cast_possible_truncation, reason = "frames of some hours")]
        let due = (seconds * each as f64) as i64;
        let ahead = (i64::from(number.index) - due).rem_euclid(each);
        let behind = if ahead > each / 2 { each } else { 0 };
        Place {
            at: due + ahead - behind,
            each,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of which each came when it was due, and `late` ms after that.
    fn count(frames: &[(u32, u64)]) -> Count {
        let clock = Instant::now();
        let mut tally = Tally::new(Kind::Video, clock);
        for (dts, (frame, late)) in frames.iter().enumerate() {
            let at = clock + Duration::from_millis(u64::from(*frame) * 1_000 / 30 + late);
            let dts = i64::try_from(dts).unwrap_or(0);
            let hash = String::new();
            tally.add(Seen { at, dts, hash }, Some(picture(*frame, 480)));
        }
        tally.take()
    }

    fn picture(frame: u32, of: u32) -> Number {
        Number {
            kind: Kind::Video,
            index: frame % of,
            of,
        }
    }

    #[test]
    fn frames_of_another_rate_go_on_after_the_last() {
        let clock = Instant::now();
        let mut tally = Tally::new(Kind::Video, clock);
        // 30 a second until 300 ms, then 25 a second from 320 ms, from 440 ms and from 400 ms.
        let frames = [(8, 480), (9, 480), (8, 400), (11, 400), (10, 400)];
        for (dts, (frame, of)) in (0..).zip(frames) {
            let at = clock + Duration::from_millis(u64::from(frame) * 16_000 / u64::from(of));
            let hash = String::new();
            tally.add(Seen { at, dts, hash }, Some(picture(frame, of)));
        }
        let seen = tally.take();
        assert_eq!((seen.frames, seen.lost, seen.repeated), (5, 2, 2));
    }

    #[test]
    fn frames_in_order_are_neither_lost_nor_repeated() {
        let all: Vec<_> = (0..2_000).map(|n| (n, 50)).collect();
        let seen = count(&all);
        assert_eq!((seen.frames, seen.lost, seen.repeated), (2_000, 0, 0));
        assert_eq!((seen.backward, seen.unknown), (0, 0));
    }

    #[test]
    fn what_is_left_out_or_comes_again_is_counted_over_the_end_of_the_loop_too() {
        let seen = count(&[(478, 0), (482, 0), (483, 0)]);
        assert_eq!((seen.lost, seen.repeated), (3, 0));
        // 470 to 481, once more, after a silence.
        let again: Vec<_> = (460..482)
            .map(|n| (n, 0))
            .chain((470..490).map(|n| (n, 900)))
            .collect();
        let seen = count(&again);
        assert_eq!((seen.lost, seen.repeated), (0, 12));
    }

    #[test]
    fn silence_is_the_longest_and_a_clock_that_stands_goes_back() {
        let clock = Instant::now();
        let mut tally = Tally::new(Kind::Audio, clock);
        for (index, ms) in [(0, 0), (1, 21), (2, 521), (3, 540)] {
            let at = clock + Duration::from_millis(ms);
            let kind = Kind::Audio;
            let dts = i64::from(index.min(2));
            let hash = String::new();
            let of = 750;
            tally.add(Seen { at, dts, hash }, Some(Number { kind, index, of }));
        }
        let seen = tally.take();
        assert_eq!(seen.silence, Duration::from_millis(500));
        assert_eq!(seen.backward, 1);
        assert_eq!(seen.ahead, Some(0));
        assert_eq!(tally.count(), Count::default());
    }
}
