//! What DASH clients are told, as it happens: Periods, holes, numbers that will never be.

use std::sync::Arc;

use media::{Span, Timestamp, TrackKind};

use super::{Packager, Phase};
use crate::dash::{CLASSIC, Dash, HEARSAY, Hole, Period, PeriodMark, Representation};
use crate::numbering::{Grid, Restored, Start};
use crate::track::TrackPackager;

/// A number is given up so long after the last moment at which its segment could begin.
const LATE: Span = Span::from_millis(500);
/// More Periods are not told of, however often a source changes.
const MOST_PERIODS: usize = 32;

impl Packager {
    /// What DASH clients are told; replaced at each change.
    #[must_use]
    pub const fn dash(&self) -> &Arc<Dash> {
        &self.dash
    }

    /// Nothing is there yet, and clients of an earlier process may wait for what comes.
    pub(super) fn resume_dash(&mut self, restored: Restored, now: Timestamp) {
        let from = restored.as_of.unwrap_or(now).min(now);
        let closed = match self.start {
            Start::Resume(grid, first) => first.saturating_add(grid.ahead).checked_sub(1),
            Start::Append(first) => first.checked_sub(1),
            Start::Fresh => None,
        };
        let dash = self.change();
        dash.closed = closed;
        dash.longest = restored.row.longest();
        dash.hole = Some(Hole {
            from,
            to: None,
            oldest: from - dash.window,
        });
        self.mark = restored.period;
    }

    /// A segment begins in every track that is described, and a list perhaps.
    pub(super) fn describe(&mut self, number: u64, at: Timestamp, now: Timestamp, begins: bool) {
        let Some(row) = self.grid.map(|g| g.row) else {
            return;
        };
        let tracks = self.representations();
        if tracks.is_empty() {
            return;
        }
        if self.dash.longest != row.longest() {
            self.change().longest = row.longest();
        }
        let mut since = now;
        let known = match self.mark.take() {
            // One of other tracks is told of for its end alone: nobody is to fetch anything of it.
            Some(mark) => {
                let period = Period::resume(mark, tracks.clone(), &row, now);
                let same = period.mark() == mark;
                since = now - HEARSAY;
                self.change().periods.push(Arc::new(period));
                same
            }
            None => {
                let last = self.dash.periods.last();
                last.is_some_and(|p| p.is_of(&tracks, &row))
            }
        };
        let last = self.dash.periods.last();
        match last.filter(|p| known && p.fits(number, at, begins)) {
            Some(period) => {
                let mut period = Period::clone(period);
                if period.observe((number, at), &tracks) {
                    let periods = &mut self.change().periods;
                    periods.pop();
                    periods.push(Arc::new(period));
                }
            }
            None => {
                let first = last.is_none();
                let period = Period::begin(tracks, &row, (number, at), first, since);
                self.forget_periods(now);
                self.change().periods.push(Arc::new(period));
            }
        }
    }

    /// A new list is there for readers.
    pub(super) fn describe_list(&mut self) {
        let begun = self.lead_track().map(TrackPackager::begun);
        let now = self.lead.arrival.unwrap_or_default();
        for (place, (number, at)) in begun.unwrap_or_default().into_iter().enumerate() {
            self.describe(number, at, now, place == 0);
        }
        self.remember();
    }

    fn change(&mut self) -> &mut Dash {
        Arc::make_mut(&mut self.dash)
    }

    /// Periods of which nothing is served any more.
    fn forget_periods(&mut self, now: Timestamp) {
        let oldest = now - self.config.window.times(2);
        let in_front = self.dash.hole.filter(|hole| self.is_looked_at(hole, now));
        let oldest = in_front.map_or(oldest, |hole| hole.oldest.min(oldest));
        let periods = &mut self.change().periods;
        let gone = periods.iter().skip(1).take_while(|p| p.start < oldest);
        let gone = gone
            .count()
            .max((periods.len() + 1).saturating_sub(MOST_PERIODS));
        periods.drain(..gone);
    }

    /// Whether clients may still be in front of this hole at `now`.
    fn is_looked_at(&self, hole: &Hole, now: Timestamp) -> bool {
        hole.to
            .is_none_or(|to| now < to + self.patience().times(CLASSIC))
    }

    fn representations(&self) -> Vec<Representation> {
        let last = self.dash.periods.last();
        let told = |t: &TrackPackager| last.is_some_and(|p| p.tracks.iter().any(|r| r.id == t.id));
        let mut tracks: Vec<_> = self
            .renditions
            .iter()
            .flat_map(|r| r.tracks.iter().map(move |t| (r.place, t)))
            .filter(|(_, t)| t.has_complete() || told(t) && !t.lost)
            .collect();
        tracks.sort_by_key(|(place, t)| (t.track.kind != TrackKind::Video, *place));
        tracks
            .into_iter()
            .map(|(_, t)| t.representation())
            .collect()
    }

    pub(super) fn period_mark(&self) -> Option<PeriodMark> {
        let period = self.dash.periods.last();
        period.map(|p| p.mark()).or(self.mark)
    }

    /// Media is away.
    pub(super) fn note_hole(&mut self) {
        let Some(from) = self.lead.end else {
            return;
        };
        let oldest = match self.dash.hole {
            Some(Hole { to: None, .. }) => return,
            Some(hole) if self.is_looked_at(&hole, from) => hole.oldest,
            _ => self.dash.since.max(from - self.config.window),
        };
        self.change().hole = Some(Hole {
            from,
            to: None,
            oldest,
        });
    }

    /// Another window is served from now on; what left the one before is gone.
    pub(super) fn note_window(&mut self, served: Span) {
        let (edge, window) = (self.lead.end, self.config.window);
        let dash = self.change();
        dash.window = window;
        if let Some(edge) = edge {
            dash.since = dash.since.max(edge - served);
        }
    }

    /// Media is back at `at`, with segment `number`; none before it will be any more.
    pub(super) fn note_return(&mut self, number: u64, at: Timestamp) {
        let dash = self.change();
        dash.since = at;
        dash.closed = dash.closed.max(number.checked_sub(1));
        if let Some(hole) = &mut dash.hole {
            hole.to = Some(at);
        }
    }

    /// Gives up the numbers whose time is over while media is away.
    pub(super) fn close_numbers(&mut self, now: Timestamp) {
        let Some(grid) = self.grid.filter(|_| self.phase == Phase::Waiting) else {
            return;
        };
        let over = grid.row.index(now - LATE - grid.row.d) + grid.ahead;
        let last = self.last.max(self.dash.closed);
        if last.is_some_and(|last| over > last) {
            self.change().closed = Some(over);
        }
    }

    /// When the next number is given up.
    pub(super) fn next_closing(&self) -> Option<Timestamp> {
        let grid: Grid = self.grid?;
        let last = self.last.max(self.dash.closed)?;
        let half = Span::from_nanos(grid.row.d.as_nanos() / 2);
        Some(grid.time(last + 1) + half + LATE)
    }

    /// The stream has ended.
    pub(super) fn note_end(&mut self) {
        let end = self.lead.end;
        let dash = self.change();
        (dash.ended, dash.closed) = (end, Some(u64::MAX));
    }
}
