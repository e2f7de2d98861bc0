//! What is known of one Representation: where its numbers have got to, and what they were.

use std::collections::BTreeMap;

use media::{Span, Timestamp};

use super::line::Line;
use super::mpd::{Mpd, Representation, Set};
use super::segment::{Seen, Waits};
use super::wanted::{Wanted, What};
use crate::lint::report::{Chunks, Quantiles};

/// How long before the promise ends a number is asked for once more.
const BEFORE_END: Span = Span::from_millis(500);

/// A number that was answered; times of the run.
/// The first segment of a Period, or behind a hole in it.
#[derive(Debug)]
pub(super) struct Anchor {
    pub(super) period: String,
    pub(super) first: u64,
    pub(super) start: Timestamp,
    pub(super) last: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) at: Timestamp,
    pub(super) uri: String,
    /// `None` where it had no media.
    pub(super) seen: Option<Seen>,
}

#[derive(Debug, Default)]
pub(super) struct Track {
    /// What is asked for next, and what is asked for again next.
    pub(super) next: u64,
    pub(super) again: u64,
    pub(super) numbers: BTreeMap<u64, Kept>,
    /// The highest bit rate of a segment, and since when that is known.
    pub(super) peak: Option<(u64, Timestamp)>,
    /// D5: where segments are counted from.
    pub(super) anchor: Option<Anchor>,
    /// D7: how far the newest segments of that Period began from where they belong.
    pub(super) phases: Vec<Span>,
    waits: Waits,
}

/// A number as an MPD promises it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promised<'a> {
    pub(super) set: &'a Set,
    pub(super) representation: &'a Representation,
    pub(super) line: Line,
    pub(super) number: u64,
}

/// The first number from `number` on that is promised, whenever that is.
pub(super) fn promised<'a>(mpd: &'a Mpd, id: &str, number: u64) -> Option<Promised<'a>> {
    let begun = mpd.period_of(id, number).filter(|p| {
        let last = p.find(id).and_then(|(_, r)| r.template.last);
        last.is_none_or(|last| number <= last)
    });
    let later = || {
        let mut all = mpd.periods.iter();
        all.find(|p| p.find(id).is_some_and(|(_, r)| r.template.first > number))
    };
    let period = begun.or_else(later)?;
    let (set, representation) = period.find(id)?;
    let line = Line::of(mpd, period, &representation.template)?;
    let number = number.max(representation.template.first);
    let over = mpd.end.zip(mpd.available);
    let over = over.is_some_and(|(end, zero)| line.nominal(number) >= zero + end);
    (!over).then_some(Promised {
        set,
        representation,
        line,
        number,
    })
}

impl Promised<'_> {
    pub(super) fn wanted(&self, what: What) -> Wanted {
        let one = self.representation;
        Wanted::of(what, &one.template.uri(self.number), &one.id, self.number)
    }
}

impl Track {
    /// Numbers that may be asked for at `utc`, and when the next one may.
    pub(super) fn fresh(
        &mut self,
        mpd: &Mpd,
        id: &str,
        utc: Timestamp,
    ) -> (Vec<Wanted>, Option<Timestamp>) {
        let mut due = Vec::new();
        let oldest = utc - mpd.depth.unwrap_or(Span::from_secs(60));
        while let Some(found) = promised(mpd, id, self.next) {
            let at = found.line.available(found.number);
            if at > utc {
                return (due, Some(at));
            }
            // Who was away for so long begins anew.
            if found.line.nominal(found.number + 1) > oldest {
                due.push(found.wanted(What::Segment));
            }
            self.next = found.number + 1;
        }
        (due, None)
    }

    /// Numbers that are about to leave the time shift buffer.
    pub(super) fn leaving(
        &mut self,
        mpd: &Mpd,
        id: &str,
        utc: Timestamp,
    ) -> (Vec<Wanted>, Option<Timestamp>) {
        let mut due = Vec::new();
        let depth = mpd.depth.unwrap_or(Span::from_secs(60));
        while self.again < self.next {
            let Some(found) = promised(mpd, id, self.again) else {
                break;
            };
            let end = found.line.nominal(found.number + 1) + depth;
            if end - BEFORE_END > utc {
                return (due, Some(end - BEFORE_END));
            }
            if end > utc && found.number < self.next {
                due.push(found.wanted(What::Again));
            }
            self.again = found.number + 1;
        }
        (due, None)
    }

    /// What a player that comes now finds: the newest number, and some of what it may go back to.
    pub(super) fn begin(&mut self, mpd: &Mpd, id: &str, utc: Timestamp) -> Vec<Wanted> {
        let Some(first) = mpd
            .periods
            .last()
            .and_then(|p| promised(mpd, id, p.first()?))
        else {
            return Vec::new();
        };
        let newest = first.line.newest(utc).unwrap_or(0);
        self.next = newest.max(first.number);
        self.again = self.next;
        let oldest = utc - mpd.depth.unwrap_or(Span::ZERO) + Span::from_secs(1);
        let whole = |n: &u64| promised(mpd, id, *n).is_some_and(|p| p.line.nominal(*n) > oldest);
        let there: Vec<_> = (0..self.next).rev().take_while(whole).collect();
        let some = there.iter().rev().step_by(there.len().div_ceil(5).max(1));
        let found = some.filter_map(|n| promised(mpd, id, *n).filter(|p| p.number == *n));
        found.map(|p| p.wanted(What::Again)).collect()
    }

    pub(super) fn note(&mut self, seen: &Seen, whole: Span, at: Timestamp) {
        let long = (seen.until - seen.from).times(2) >= whole;
        if long && self.peak.is_none_or(|(peak, _)| seen.rate > peak) {
            self.peak = Some((seen.rate, at));
        }
    }

    pub(super) fn waited(&mut self, waits: Waits) {
        self.waits.gaps.extend(waits.gaps);
        self.waits.behind.extend(waits.behind);
    }

    pub(super) fn figures(&self) -> Chunks {
        let media = self.numbers.values().filter(|k| k.seen.is_some()).count();
        Chunks {
            segments: media,
            fillers: self.numbers.len() - media,
            chunks: self.waits.behind.len(),
            gap_ms: Quantiles::of(&self.waits.gaps),
            behind_ms: Quantiles::of(&self.waits.behind),
        }
    }
}
