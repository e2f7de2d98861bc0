//! Repair of source timestamps: wraps, jumps, duplicates and disorder, mended once at ingest.
//!
//! Every bridge passes each frame's times through one [`Repair`] per input, so that all that lies
//! beyond sees DTS that strictly increase within a track, on a clock that goes at the pace of
//! arrival, with sound and pictures as far apart as the source sent them.

use crate::{Span, Timestamp, TrackId};

/// Extends a counter of `bits` bits to one that does not wrap.
#[derive(Debug, Clone)]
pub struct Unwrap {
    bits: u32,
    last: Option<i64>,
}

impl Unwrap {
    /// For counters of 1..=62 bits: 32 for RTP and RTMP, 33 for MPEG-TS.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self { bits, last: None }
    }

    /// The value nearest to the last one that is `raw` modulo 2^bits.
    pub fn extend(&mut self, raw: u64) -> i64 {
        let modulus = 1_i64 << self.bits.clamp(1, 62);
        let raw = i64::try_from(raw % modulus.unsigned_abs()).unwrap_or(0);
        let value = self.last.map_or(raw, |last| {
            let forward = (raw - last).rem_euclid(modulus);
            let step = if forward > modulus / 2 {
                forward - modulus
            } else {
                forward
            };
            last.saturating_add(step)
        });
        self.last = Some(value);
        value
    }
}

/// What was wrong with a frame's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fix {
    /// The source's clock leapt, forward or backward: all its tracks moved together.
    Jump,
    /// DTS did not increase within the track.
    Backward,
    /// The same DTS twice.
    Duplicate,
    /// PTS before DTS, or further behind it than any reordering.
    Offset,
}

impl Fix {
    /// All of them, for metrics that list each.
    pub const ALL: [Self; 4] = [Self::Jump, Self::Backward, Self::Duplicate, Self::Offset];

    /// The lower-case name, as used in metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jump => "jump",
            Self::Backward => "backward",
            Self::Duplicate => "duplicate",
            Self::Offset => "offset",
        }
    }
}

/// A frame's times after repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// Strictly above the track's last one.
    pub dts: Timestamp,
    /// Not before `dts`.
    pub pts: Timestamp,
    /// What had to be mended, if anything.
    pub fix: Option<Fix>,
}

/// The least step between two frames of a track: below one tick at 90 kHz nothing can be told.
const STEP: Span = Span::from_millis(1);
/// A clock that strays this far from arrival within one step has leapt.
const LEAP: Span = Span::from_secs(3);
/// Tracks of one source are interleaved less coarsely than this.
const DISORDER: Span = Span::from_secs(3);
/// No encoder reorders further.
const REORDER: Span = Span::from_secs(5);
/// Half of what can be told, to either side.
const REACH: Span = Span::from_nanos(i64::MAX / 2);

/// Repairs the timestamps of one input.
#[derive(Debug, Default)]
pub struct Repair {
    /// What is added to the source's clock.
    offset: Span,
    /// Repaired DTS of the latest frame of any track, with its arrival.
    latest: Option<(Timestamp, Timestamp)>,
    tracks: Vec<(TrackId, Timestamp)>,
}

impl Repair {
    /// A repair without history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The mended times of a frame with these on the source's clock, which arrived at `now` on
    /// any monotonic clock.
    pub fn frame(
        &mut self,
        track: TrackId,
        dts: Timestamp,
        pts: Timestamp,
        now: Timestamp,
    ) -> Repaired {
        let reorder = pts - dts;
        let leapt = self.follow_leap(dts, now);
        let wanted = dts + self.offset;
        let (dts, order) = self.in_order(track, wanted);
        let composed = reorder.max(Span::ZERO).min(REORDER);
        let latest = self.latest.map_or(dts, |(at, _)| at.max(dts));
        self.latest = Some((latest, now));
        Repaired {
            dts,
            // What the order cost is taken back where the offset allows: the picture's time holds.
            pts: (wanted + composed).max(dts),
            fix: leapt
                .or(order)
                .or_else(|| (composed != reorder).then_some(Fix::Offset)),
        }
    }

    /// The same for a track of data, whose frames come seldom and tell nothing of the clock: it
    /// follows that of the media, is put in order without a word, and may be due long after it
    /// came. Its times are those of the media around it on the same clock; a frame for which that
    /// cannot be is told as one that comes now.
    pub fn sparse(&mut self, track: TrackId, dts: Timestamp, pts: Timestamp) -> Repaired {
        let moved = dts + self.offset;
        let near = |latest: Timestamp| {
            let far = (moved - latest).abs() > LEAP;
            if far { latest } else { moved }
        };
        let wanted = self.latest.map_or(moved, |(latest, _)| near(latest));
        let (ordered, _) = self.in_order(track, wanted);
        Repaired {
            dts: ordered,
            pts: (wanted + (pts - dts)).max(ordered),
            fix: None,
        }
    }

    /// Moves the offset where the clock leapt against arrival, so that time goes on at the pace
    /// of arrival.
    fn follow_leap(&mut self, dts: Timestamp, now: Timestamp) -> Option<Fix> {
        let Some((latest, arrived)) = self.latest else {
            return self.within_reach(dts);
        };
        let passed = now - arrived;
        let moved = dts + self.offset - latest;
        // A network stall lets time pass and then delivers frames that are not late at all.
        let forward = moved > passed + LEAP;
        let backward = -moved > DISORDER;
        if !forward && !backward {
            return None;
        }
        let due = latest + passed.max(STEP);
        self.offset = due - dts;
        Some(Fix::Jump)
    }

    /// A clock that begins near the end of what can be told would have nowhere to go.
    fn within_reach(&mut self, dts: Timestamp) -> Option<Fix> {
        let since = dts - Timestamp::ZERO;
        if since.abs() <= REACH {
            return None;
        }
        self.offset = -since;
        Some(Fix::Jump)
    }

    fn in_order(&mut self, track: TrackId, dts: Timestamp) -> (Timestamp, Option<Fix>) {
        let Some((_, last)) = self.tracks.iter_mut().find(|(id, _)| *id == track) else {
            self.tracks.push((track, dts));
            return (dts, None);
        };
        let fix = match dts.cmp(last) {
            std::cmp::Ordering::Greater => {
                *last = dts;
                return (dts, None);
            }
            std::cmp::Ordering::Equal => Fix::Duplicate,
            std::cmp::Ordering::Less => Fix::Backward,
        };
        *last += STEP;
        (*last, Some(fix))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VIDEO: TrackId = TrackId(0);
    const AUDIO: TrackId = TrackId(1);

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn counters_wrap_both_ways() {
        let mut rtmp = Unwrap::new(32);
        assert_eq!(rtmp.extend(u64::from(u32::MAX) - 9), 4_294_967_286);
        assert_eq!(rtmp.extend(23), 4_294_967_319);
        assert_eq!(rtmp.extend(u64::from(u32::MAX) - 9), 4_294_967_286);
        let mut ts = Unwrap::new(33);
        ts.extend((1 << 33) - 1);
        assert_eq!(ts.extend(5), (1 << 33) + 5);
    }

    #[test]
    fn a_leap_moves_all_tracks_together() {
        let mut r = Repair::new();
        r.frame(VIDEO, at(1000), at(1000), at(0));
        r.frame(AUDIO, at(1010), at(1010), at(5));
        let v = r.frame(VIDEO, at(900_000), at(900_066), at(40));
        assert_eq!(v.fix, Some(Fix::Jump));
        let a = r.frame(AUDIO, at(900_010), at(900_010), at(41));
        assert_eq!(a.fix, None);
        assert_eq!(a.dts - v.dts, Span::from_millis(10));
        assert_eq!(v.pts - v.dts, Span::from_millis(66));
        let back = r.frame(VIDEO, at(0), at(0), at(80));
        assert_eq!(back.fix, Some(Fix::Jump));
        assert!(back.dts > v.dts);
    }

    #[test]
    fn an_absence_is_no_leap() {
        let mut r = Repair::new();
        r.frame(VIDEO, at(0), at(0), at(0));
        let v = r.frame(VIDEO, at(10_000), at(10_000), at(10_020));
        assert_eq!((v.dts, v.fix), (at(10_000), None));
        // A stall of the network delays frames and leaves their times alone.
        let v = r.frame(VIDEO, at(10_033), at(10_033), at(15_000));
        assert_eq!((v.dts, v.fix), (at(10_033), None));
    }

    #[test]
    fn a_clock_at_the_end_of_time_goes_on() {
        for end in [Timestamp::MAX, Timestamp::from_nanos(i64::MIN)] {
            let mut r = Repair::new();
            let first = r.frame(VIDEO, end, end, at(0));
            assert_eq!(
                (first.dts.as_millis().abs() <= 1, first.fix),
                (true, Some(Fix::Jump))
            );
            assert!(r.frame(VIDEO, end, end, at(40)).dts > first.dts);
        }
    }

    #[test]
    fn data_follows_the_clock_of_the_media() {
        const CUES: TrackId = TrackId(0x4000);
        let mut r = Repair::new();
        r.frame(VIDEO, at(900_000), at(900_000), at(0));
        r.frame(VIDEO, at(0), at(0), at(40));
        let cue = r.sparse(CUES, at(10), at(8_010));
        assert_eq!(cue.fix, None);
        assert_eq!(cue.dts, at(900_050));
        assert_eq!(cue.pts - cue.dts, Span::from_secs(8));
        let again = r.sparse(CUES, at(10), at(8_010));
        assert!(again.dts > cue.dts);
        assert_eq!((again.pts, again.fix), (cue.pts, None));
        // What it tells is not believed, and moves nobody.
        assert_eq!(
            r.sparse(CUES, at(50_000), at(58_000)).dts,
            at(900_040).max(again.dts + STEP)
        );
        assert_eq!(r.frame(VIDEO, at(40), at(40), at(80)).fix, None);
        let late = r.sparse(CUES, at(20), at(0));
        assert_eq!(late.pts, late.dts);
    }

    #[test]
    fn duplicates_and_disorder_are_nudged() {
        let mut r = Repair::new();
        r.frame(VIDEO, at(0), at(0), at(0));
        assert_eq!(
            r.frame(VIDEO, at(0), at(0), at(1)).fix,
            Some(Fix::Duplicate)
        );
        assert_eq!(
            r.frame(VIDEO, at(-40), at(-40), at(2)).fix,
            Some(Fix::Backward)
        );
        assert_eq!(
            r.frame(VIDEO, at(33), at(20), at(33)).fix,
            Some(Fix::Offset)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn times_increase_and_keep_pace(
            steps in prop::collection::vec(
                (0_u16..2, prop_oneof![8 => 0_i64..60, 1 => -(1_i64 << 34)..1 << 34], -100_i64..9_000, 0_i64..60),
                1..400,
            )
        ) {
            let mut r = Repair::new();
            let (mut source, mut now) = (at(0), at(0));
            let mut last = [Timestamp::from_nanos(i64::MIN); 2];
            let mut first = None;
            for (track, step, reorder, pause) in steps {
                source += Span::from_millis(step);
                now += Span::from_millis(pause);
                let pts = source + Span::from_millis(reorder);
                let out = r.frame(TrackId(track), source, pts, now);
                let last = &mut last[usize::from(track)];
                prop_assert!(out.dts > *last, "{:?} after {:?}", out.dts, last);
                prop_assert!(out.pts >= out.dts);
                *last = out.dts;
                let (dts0, now0) = *first.get_or_insert((out.dts, now));
                // Each frame may run ahead of arrival by its own step, never by a leap.
                prop_assert!((out.dts - dts0) - (now - now0) <= Span::from_secs(3 * 400));
            }
        }
    }
}
