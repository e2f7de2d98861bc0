//! Which numbers lie where in a Period, and of which tracks it is made.

use std::sync::Arc;

use media::{Span, Timestamp, Track};

use crate::numbering::Row;
use crate::segment::{Init, fnv1a};

/// What every Period begins on: whole ticks at all common timescales.
const STEP: Span = Span::from_millis(10);
/// Sound may begin so much before the pictures that it belongs to.
const EARLY: Span = Span::from_millis(10);
/// How exactly it is told when segments are there.
const LATENESS: Span = Span::from_millis(50);

/// What outlives the process of a Period: its players go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodMark {
    /// Where it starts, on the programme timeline.
    pub start: Timestamp,
    /// Its first number.
    pub number: u64,
    /// Of its tracks, their initialisation sections and the segment duration.
    pub fingerprint: u64,
}

/// One Representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Representation {
    /// `Media::id`.
    pub(crate) id: Arc<str>,
    pub(crate) track: Track,
    pub(crate) init: Arc<Init>,
    pub(crate) timescale: u32,
    /// How long what goes out by itself is.
    pub(crate) chunk: Span,
    pub(crate) frame_rate: Option<(u32, u32)>,
    /// Peak over a segment, bits per second; only ever raised within a Period.
    pub(crate) bandwidth: u64,
}

/// Segments of one duration, one set of tracks and one initialisation section each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) start: Timestamp,
    /// The number of its first segment.
    pub(crate) number: u64,
    pub(crate) d: Span,
    /// Whether every segment of pictures begins with a keyframe.
    pub(crate) regular: bool,
    /// Of its tracks and their segment duration.
    fingerprint: u64,
    pub(crate) tracks: Vec<Representation>,
    /// How much later than the grid says segments begin at most.
    pub(crate) late: Span,
    /// Whether the latest segment began as late as one where a keyframe was waited for.
    strayed: bool,
    /// When it was begun.
    pub(crate) since: Timestamp,
}

impl Period {
    /// Begins with segment `number` at `at`. The first one of a stream begins with the epoch, where
    /// that is true, so that all nodes and all times agree.
    pub(crate) fn begin(
        tracks: Vec<Representation>,
        row: &Row,
        (number, at): (u64, Timestamp),
        first: bool,
        now: Timestamp,
    ) -> Self {
        let period = Self::at((0, Timestamp::ZERO), tracks, row, now);
        let d = row.d;
        let whole = |r: &Representation| Timestamp::ZERO + d == Timestamp::ZERO + r.duration(d);
        if first && period.tracks.iter().all(whole) && period.fits(number, at, true) {
            return period;
        }
        let step = STEP.as_nanos();
        let start = (at - EARLY).as_nanos().div_euclid(step) * step;
        Self {
            start: Timestamp::from_nanos(start),
            number,
            ..period
        }
    }

    /// One that began in an earlier process with these tracks.
    pub(crate) fn resume(
        mark: PeriodMark,
        tracks: Vec<Representation>,
        row: &Row,
        now: Timestamp,
    ) -> Self {
        Self::at((mark.number, mark.start), tracks, row, now)
    }

    fn at(
        (number, start): (u64, Timestamp),
        tracks: Vec<Representation>,
        row: &Row,
        now: Timestamp,
    ) -> Self {
        Self {
            start,
            number,
            d: row.d,
            regular: row.regular,
            fingerprint: fingerprint(&tracks, row.d),
            tracks,
            late: Span::ZERO,
            strayed: false,
            since: now,
        }
    }

    pub(crate) const fn mark(&self) -> PeriodMark {
        PeriodMark {
            start: self.start,
            number: self.number,
            fingerprint: self.fingerprint,
        }
    }

    /// Whether segment `number` at `at` lies where a client of this Period looks for it: half a
    /// segment before or after; once three quarters after, where a keyframe was waited for, but not
    /// where a list begins: what does so stays there.
    pub(crate) fn fits(&self, number: u64, at: Timestamp, begins: bool) -> bool {
        let half = self.d.as_nanos() / 2;
        let grace = if begins || self.strayed { 0 } else { half / 2 };
        let fits = |track| {
            let off = (at - self.nominal(number, track)).as_nanos();
            (-half..=half + grace).contains(&off)
        };
        number >= self.number && self.tracks.iter().all(fits)
    }

    /// Whether clients need to be told nothing to go on with these.
    pub(crate) fn is_of(&self, tracks: &[Representation], row: &Row) -> bool {
        let same = |(a, b): (&Representation, &Representation)| {
            a.id == b.id && a.init.hash == b.init.hash && a.track == b.track
        };
        let alike = (self.d, self.regular) == (row.d, row.regular);
        alike && self.tracks.len() == tracks.len() && self.tracks.iter().zip(tracks).all(same)
    }

    /// Where the grid that is told has a segment of this track.
    fn nominal(&self, number: u64, track: &Representation) -> Timestamp {
        let count = i64::try_from(number - self.number).unwrap_or(i64::MAX);
        let ticks = count.saturating_mul(track.ticks(self.d));
        self.start + (Timestamp::from_ticks(ticks, track.timescale) - Timestamp::ZERO)
    }

    /// Takes note of a segment that began: whether anything changed that clients are told.
    pub(crate) fn observe(
        &mut self,
        (number, at): (u64, Timestamp),
        now: &[Representation],
    ) -> bool {
        let mut changed = false;
        if let Some(track) = self.tracks.first() {
            let late = (at - self.nominal(number, track)).as_nanos().max(0);
            let strayed = late > self.d.as_nanos() / 2;
            changed = std::mem::replace(&mut self.strayed, strayed) != strayed;
            let step = LATENESS.as_nanos();
            let late = Span::from_nanos((late + step - 1) / step * step);
            if late > self.late || self.late - late > LATENESS.times(2) {
                changed |= late != self.late;
                self.late = late;
            }
        }
        for (told, now) in self.tracks.iter_mut().zip(now) {
            changed |= now.bandwidth > told.bandwidth || now.frame_rate != told.frame_rate;
            told.bandwidth = told.bandwidth.max(now.bandwidth);
            (told.frame_rate, told.chunk) = (now.frame_rate, now.chunk);
        }
        changed
    }
}

impl Representation {
    /// `SegmentTemplate@duration`.
    pub(crate) fn ticks(&self, d: Span) -> i64 {
        d.to_ticks(self.timescale)
    }

    fn duration(&self, d: Span) -> Span {
        Span::from_ticks(self.ticks(d), self.timescale)
    }
}

/// The same in every process that makes the same.
fn fingerprint(tracks: &[Representation], d: Span) -> u64 {
    let mut names: Vec<_> = tracks
        .iter()
        .map(|t| format!("{} {};", t.id, t.init.hash))
        .collect();
    names.sort();
    names.push(d.as_nanos().to_string());
    fnv1a(names.concat().as_bytes())
}
