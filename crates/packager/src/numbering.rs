//! Which number belongs to which time.
//!
//! A number is never a counter: it is read off the programme time, which counts from the Unix
//! epoch. So every node that shares the row, before and after a restart, gives the same segment
//! the same number, and none is ever used twice.

use media::{Span, Timestamp};

use crate::dash::PeriodMark;

/// A numbering row: segment `n` belongs to `t0 + (n - n0) * d` on the programme timeline.
///
/// The first row of a stream is `(0, 0, d)`. A row is never changed; where the keyframe interval
/// outgrows `d`, another one is appended that starts at its own first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Programme time of segment `n0`.
    pub t0: Timestamp,
    /// The first number of the row.
    pub n0: u64,
    /// Duration of a segment on the grid.
    pub d: Span,
    /// `EXT-X-TARGETDURATION` in seconds, as long as the row holds.
    pub target_duration: u32,
    /// Whether keyframes come at one interval of which `d` is a whole multiple.
    pub regular: bool,
    /// The configured segment duration that `d` was chosen for.
    pub segment: Span,
}

impl Row {
    /// The number whose window, grid time ± d/2, holds `t`. Times before the row give `n0`.
    #[must_use]
    pub fn index(&self, t: Timestamp) -> u64 {
        let d = self.d.as_nanos().max(1);
        let k = (t - self.t0).as_nanos().saturating_add(d / 2).div_euclid(d);
        self.n0.saturating_add(u64::try_from(k).unwrap_or(0))
    }

    /// What no segment lasts longer than.
    pub(crate) fn longest(&self) -> Span {
        self.d.max(Span::from_secs(i64::from(self.target_duration)))
    }

    /// The grid time of segment `number`, of which `ahead` were issued beyond the grid.
    #[must_use]
    pub(crate) fn time(&self, number: u64, ahead: u64) -> Timestamp {
        let k = i128::from(number) - i128::from(self.n0) - i128::from(ahead);
        let k = i64::try_from(k).unwrap_or(i64::MAX);
        self.t0 + self.d.times(k)
    }
}

/// What a store remembers of a stream's numbering, and what a restart begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The row in force.
    pub row: Row,
    /// How many numbers were issued beyond the grid.
    pub run_ahead: u64,
    /// The discontinuity number of the newest segment.
    pub discontinuity: u64,
    /// The highest number known to have been issued.
    pub highest: u64,
    /// UTC when `highest` was written; `None` where it is exact.
    pub as_of: Option<Timestamp>,
    /// The Period that DASH clients were told of last.
    pub period: Option<PeriodMark>,
}

/// How much longer than it says `Restored::highest` may have been the last to be written.
const WRITTEN_EVERY: Span = Span::from_secs(5);
/// No segments follow each other faster for long.
const FASTEST: Span = Span::from_millis(250);

/// Where numbering begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// No history: the first row is learned from the source.
    Fresh,
    /// The row goes on, with the first window whose index is at least this.
    Resume(Grid, u64),
    /// The row cannot go on: the next one takes numbers from here.
    Append(u64),
}

/// The row in force and the number of segments that were issued beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) row: Row,
    pub(crate) ahead: u64,
}

impl Grid {
    pub(crate) fn time(&self, number: u64) -> Timestamp {
        self.row.time(number, self.ahead)
    }

    /// The number of a segment that begins at `t` after a hole: on the grid where it is free.
    pub(crate) fn after_hole(&self, last: Option<u64>, t: Timestamp) -> u64 {
        let on_grid = self.row.index(t);
        last.map_or(on_grid, |last| on_grid.max(last + 1))
    }
}

/// Decides how to go on after a restart at `now` (UTC), so that no number is used twice although
/// nothing was written when the last ones were issued: none above
/// `index(UTC + max_lead) + run_ahead` ever is.
pub(crate) fn resume(
    restored: Option<Restored>,
    segment: Span,
    max_lead: Span,
    now: Timestamp,
) -> Start {
    let Some(r) = restored else {
        return Start::Fresh;
    };
    let horizon = r.row.index(now + max_lead);
    let bound = horizon.saturating_add(r.run_ahead);
    let stepped_back = r.as_of.is_some_and(|at| now < at);
    if stepped_back || r.highest > bound || r.row.segment != segment {
        // Whatever was issued since then, under whatever row.
        let since = r.as_of.map(|at| (now - at).abs() + WRITTEN_EVERY);
        let unwritten = since.unwrap_or(Span::ZERO).as_nanos() / FASTEST.as_nanos() + 2;
        let beyond = r.highest.saturating_add(unwritten.unsigned_abs());
        return Start::Append(beyond.max(bound.saturating_add(1)));
    }
    let grid = Grid {
        row: r.row,
        ahead: r.run_ahead,
    };
    Start::Resume(grid, horizon.saturating_add(1))
}
