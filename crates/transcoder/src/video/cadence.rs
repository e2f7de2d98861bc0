//! Which pictures come out: an exact cadence, whatever comes in.
//!
//! On a grid, picture `slot` is shown at `slot / rate` since the epoch. A source's pictures lie
//! beside that grid, come at another rate, twice or not at all; each slot gets one picture, the
//! last one is held where none comes, and what lies before the slot that is due is only decoded.

use std::ops::Range;

use ladder::FrameRate;
use media::{Span, Timestamp};

/// A longer hole is not filled: it would take longer than it lasted.
const MOST_FILLED: Span = Span::from_secs(2);
/// How fast the grid's phase follows the source's.
const FOLLOW: f64 = 1.0 / 16.0;
/// How far, in slots, before the source has slipped by one.
const SLIP: f64 = 0.6;

/// What one picture makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fill {
    /// Slots that the picture before it is held for.
    pub(crate) held: Range<i64>,
    /// The slot of the picture itself, if it is shown.
    pub(crate) slot: Option<i64>,
}

/// The exact cadence of one rung.
#[derive(Debug)]
pub(crate) struct Grid {
    rate: FrameRate,
    gop: Span,
    /// The slot that is due.
    next: Option<i64>,
    /// Nothing at or before this time is shown.
    until: Option<Timestamp>,
    /// Where between slots the source's pictures lie, in slots.
    phase: Option<f64>,
}

impl Grid {
    /// A cadence whose first picture is the first one behind `until`.
    pub(crate) fn new(rate: FrameRate, gop_ms: u32, until: Option<Timestamp>) -> Self {
        Self {
            rate,
            gop: rate.gop(gop_ms),
            next: None,
            until,
            phase: None,
        }
    }

    /// Another source: its pictures lie elsewhere between the slots.
    pub(crate) const fn splice(&mut self) {
        self.phase = None;
    }

    /// A picture of the source.
    pub(crate) fn picture(&mut self, pts: Timestamp) -> Fill {
        let slot = self.place(pts);
        let first = self
            .until
            .map_or(slot, |until| slot.max(self.rate.slot(until) + 1));
        let due = *self.next.get_or_insert(first);
        if slot < due {
            return Fill {
                held: 0..0,
                slot: None,
            };
        }
        self.next = Some(slot + 1);
        let long = self.rate.time(slot) - self.rate.time(due) > MOST_FILLED;
        Fill {
            held: if long { slot..slot } else { due..slot },
            slot: Some(slot),
        }
    }

    /// No picture comes: the slots up to `until`, for which the last one is held.
    pub(crate) fn hold(&mut self, until: Timestamp) -> Range<i64> {
        let Some(due) = self.next else {
            return 0..0;
        };
        let end = self.rate.slot(until) + 1;
        if end <= due {
            return due..due;
        }
        self.next = Some(end);
        let from = due.max(self.rate.slot(until - MOST_FILLED));
        from..end
    }

    /// The slot nearest to a time, where half-way is wherever the source keeps away from.
    fn place(&mut self, pts: Timestamp) -> i64 {
        let below = self.rate.slot(pts);
        let into = pts - self.rate.time(below);
        let fraction = into.as_secs_f64() * self.rate.as_f64();
        let phase = *self.phase.get_or_insert(if fraction > 0.5 {
            fraction - 1.0
        } else {
            fraction
        });
        let up = i64::from(fraction - phase >= 0.5) - i64::from(fraction - phase < -0.5);
        #[expect(clippy::cast_precision_loss, reason = "it is -1, 0 or 1")]
        let rest = fraction - phase - up as f64;
        let moved = phase + rest * FOLLOW;
        self.phase = Some(if moved.abs() > SLIP {
            moved - moved.signum()
        } else {
            moved
        });
        below + up
    }

    pub(crate) fn time(&self, slot: i64) -> Timestamp {
        self.rate.time(slot)
    }

    /// Whether an IDR is due: at the first slot at or behind each point of the grid of keyframes.
    pub(crate) fn is_key(&self, slot: i64) -> bool {
        let gop = |slot: i64| {
            let at = self.rate.time(slot).as_nanos();
            // A slot's time is rounded down by less than that.
            at.saturating_add(1).div_euclid(self.gop.as_nanos().max(1))
        };
        gop(slot) != gop(slot - 1)
    }
}

/// The cadence beside a rung that passes the source on: its pictures at its own times.
#[derive(Debug)]
pub(crate) struct Follow {
    /// Pictures are no closer together than this, by the count.
    every: u32,
    count: u32,
    last: Option<Timestamp>,
}

impl Follow {
    /// Every picture of the source, or every second one.
    pub(crate) const fn new(half: bool, until: Option<Timestamp>) -> Self {
        Self {
            every: if half { 2 } else { 1 },
            count: 0,
            last: until,
        }
    }

    /// Whether this picture of the source is shown. One that a keyframe of the source shows always
    /// is, and the count begins with it.
    pub(crate) fn picture(&mut self, pts: Timestamp, keyframe: bool) -> bool {
        if self.last.is_some_and(|last| pts <= last) {
            return false;
        }
        if keyframe {
            self.count = 0;
        }
        let shown = self.count.is_multiple_of(self.every);
        self.count += 1;
        if shown {
            self.last = Some(pts);
        }
        shown
    }
}

#[cfg(test)]
mod tests;
