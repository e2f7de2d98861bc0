//! Follows one media playlist: playlists in, "fetch this" and "reload then" out. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use media::{Span, Timestamp};

use super::playlist::{Key, Map, Media, Resource, Segment};
use super::taken::Taken;

/// Segments whose look is remembered, to tell an old copy of a playlist from a restarted server.
const REMEMBERED: usize = 64;
/// After so many old copies in a row the server began anew under the same names.
const OLD_COPIES: u32 = 3;

/// One continuous clock of the source: how often it began anew, and discontinuities since.
pub(crate) type Region = (u64, u64);

/// What to fetch next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: Resource,
    /// The segment's number.
    pub(crate) number: u64,
    /// Which part of it; `None` is the whole segment.
    pub(crate) part: Option<usize>,
    pub(crate) region: Region,
    pub(crate) duration: Span,
    pub(crate) map: Option<Arc<Map>>,
    pub(crate) key: Option<Arc<Key>>,
    /// The wall clock at its first sample.
    pub(crate) utc: Option<Timestamp>,
    /// There is nothing to be had.
    pub(crate) gap: bool,
}

/// When to ask for the playlist again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reload {
    pub(crate) at: Timestamp,
    /// The segment, and part of it, that the answer may wait for.
    pub(crate) block: Option<(u64, Option<usize>)>,
}

/// The next segment, and how many of its parts are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    number: u64,
    parts: usize,
}

/// One rendition's place in its playlist.
#[derive(Debug)]
pub(crate) struct Follow {
    low_latency: bool,
    /// How many segments before the newest one to begin.
    back: u64,
    media: Option<Media>,
    next: Cursor,
    epoch: u64,
    /// Number, look and region of segments seen.
    known: VecDeque<(u64, u64, u64)>,
    old_copies: u32,
    asked: Timestamp,
    changed: bool,
    /// When there was last anything new.
    news: Timestamp,
    failed: bool,
    missed: u64,
}

impl Follow {
    /// Begins `back` segments before the newest, or in the newest at a part to start from.
    pub(crate) fn new(low_latency: bool, back: u64) -> Self {
        Self {
            low_latency,
            back,
            media: None,
            next: Cursor {
                number: 0,
                parts: 0,
            },
            epoch: 0,
            known: VecDeque::new(),
            old_copies: 0,
            asked: Timestamp::ZERO,
            changed: false,
            news: Timestamp::ZERO,
            failed: false,
            missed: 0,
        }
    }

    /// A playlist that was asked for at `asked`.
    pub(crate) fn playlist(&mut self, mut media: Media, asked: Timestamp) {
        self.failed = false;
        self.asked = asked;
        if self.media.is_none() {
            self.join(&media);
        } else if end(&media) < self.next.number {
            if self.resembles(&media) && self.old_copies < OLD_COPIES {
                self.old_copies += 1;
                self.changed = false;
                return;
            }
            self.epoch += 1;
            self.known.clear();
            self.join(&media);
        }
        self.old_copies = 0;
        self.mend_regions(&mut media);
        self.remember(&media);
        self.changed = self.media.as_ref().is_none_or(|old| differs(old, &media));
        if self.changed {
            self.news = asked;
        }
        if self.next.number < media.first {
            self.fall_in(&media);
        }
        self.media = Some(media);
        self.settle();
    }

    /// Goes on behind what a pull before this one took, where the first playlist lists that still;
    /// no further from the newest than who joins.
    pub(crate) fn resume(&mut self, taken: &Taken) {
        let number = taken.number;
        let listed = self.listed(number).filter(|s| taken.is_of(s));
        let Some(segment) = listed.filter(|_| !self.is_vod()) else {
            return;
        };
        let parts = taken.part.map_or(usize::MAX, |part| part + 1);
        let behind = if segment.at.is_some() && parts >= segment.parts.len() {
            let number = number.saturating_add(1);
            Cursor { number, parts: 0 }
        } else {
            Cursor { number, parts }
        };
        self.next = self.next.max(behind);
    }

    /// The playlist could not be had when it was asked for at `asked`.
    pub(crate) const fn failed(&mut self, asked: Timestamp) {
        self.asked = asked;
        self.changed = false;
        self.failed = true;
    }

    /// What comes next, if it is there.
    pub(crate) fn next(&self) -> Option<Piece> {
        let (segment, low_latency) = self.segment()?;
        let part = low_latency
            .then(|| segment.parts.get(self.next.parts))
            .flatten();
        let whole = segment.at.as_ref().filter(|_| self.next.parts == 0);
        let (at, part, duration, gap) = match (whole, part) {
            (Some(at), _) => (at, None, segment.duration, segment.gap),
            (None, Some(p)) => (
                &p.at,
                Some(self.next.parts),
                p.duration,
                p.gap || segment.gap,
            ),
            (None, None) => return None,
        };
        let before = segment.parts.iter().take(self.next.parts);
        let into = before.fold(Span::ZERO, |sum, p| sum + p.duration);
        Some(Piece {
            at: at.clone(),
            number: self.next.number,
            part,
            region: (self.epoch, segment.region),
            duration,
            map: segment.map.clone(),
            key: segment.key.clone(),
            utc: segment.utc.map(|utc| utc + into),
            gap,
        })
    }

    /// What will come next, as far as the server tells, once there is nothing left to fetch.
    pub(crate) fn hint(&self) -> Option<&Resource> {
        let hint = self.media.as_ref()?.hint.as_ref();
        hint.filter(|_| self.low_latency && self.next().is_none())
    }

    /// What came next is done with, fetched or not.
    pub(crate) fn advance(&mut self) {
        match self.next() {
            Some(Piece { part: Some(_), .. }) => self.next.parts += 1,
            Some(_) => self.go_to(self.next.number.saturating_add(1)),
            None => {}
        }
        self.settle();
    }

    /// When to load the playlist again; never once it has ended (RFC 8216 6.3.4).
    pub(crate) fn reload(&self) -> Option<Reload> {
        let Some(media) = &self.media else {
            return Some(Reload {
                at: self.asked,
                block: None,
            });
        };
        if media.ended {
            return None;
        }
        let parts = media.part_target.filter(|_| self.low_latency);
        // No part is longer than a segment, whatever a playlist says.
        let usual = parts.unwrap_or(media.target).min(media.target);
        let usual = usual.max(Span::from_millis(20));
        let half = Span::from_nanos(usual.as_nanos() / 2);
        let block = media.can_block && !self.failed && self.old_copies == 0;
        let wait = match (block, self.changed) {
            _ if self.failed => Span::from_nanos(media.target.as_nanos() / 2),
            (true, true) => Span::ZERO,
            (false, true) => usual,
            (_, false) => half,
        };
        Some(Reload {
            at: self.asked + wait,
            block: block.then(|| edge(media, parts.is_some())),
        })
    }

    /// Everything there will ever be is taken.
    pub(crate) fn is_done(&self) -> bool {
        self.media.as_ref().is_some_and(|m| m.ended) && self.next().is_none()
    }

    /// Whether it was there as a whole from the first.
    pub(crate) fn is_vod(&self) -> bool {
        self.media.as_ref().is_some_and(|m| m.vod || m.ended)
    }

    /// Parts are what is followed.
    pub(crate) fn is_low_latency(&self) -> bool {
        self.media.as_ref().is_some_and(|m| self.parts_of(m))
    }

    /// The target duration.
    pub(crate) fn target(&self) -> Span {
        self.media.as_ref().map_or(Span::ZERO, |m| m.target)
    }

    /// How irregularly segments come: as the playlist is asked for, or as they are made where the
    /// server answers once there is another.
    pub(crate) fn unevenness(&self) -> Span {
        let blocking = self.media.as_ref().filter(|m| m.can_block);
        let segments = blocking.into_iter().flat_map(|m| &m.segments);
        let longest = segments
            .filter(|s| s.at.is_some())
            .map(|s| s.duration)
            .max();
        longest.unwrap_or_else(|| self.target())
    }

    /// The target duration of parts.
    pub(crate) fn part_target(&self) -> Option<Span> {
        self.media.as_ref().and_then(|m| m.part_target)
    }

    /// When the playlist that last brought anything new was asked for.
    pub(crate) const fn news(&self) -> Timestamp {
        self.news
    }

    /// Segments that left the playlist before they were taken, since the last time this was asked.
    pub(crate) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    fn parts_of(&self, media: &Media) -> bool {
        self.low_latency
            && media.part_target.is_some()
            && media
                .segments
                .iter()
                .any(|s| !s.parts.is_empty() && s.key.is_none())
    }

    /// The segment of the cursor, and whether its parts may be taken one by one. Those of an
    /// encrypted segment cannot be decrypted alone.
    fn segment(&self) -> Option<(&Segment, bool)> {
        let segment = self.listed(self.next.number)?;
        let parts = self.low_latency && segment.key.is_none();
        Some((segment, parts))
    }

    fn listed(&self, number: u64) -> Option<&Segment> {
        let media = self.media.as_ref()?;
        let index = number.checked_sub(media.first)?;
        media.segments.get(usize::try_from(index).ok()?)
    }

    const fn go_to(&mut self, number: u64) {
        self.next = Cursor { number, parts: 0 };
    }

    /// Leaves a segment that is complete and of which parts were taken, once no part is left.
    fn settle(&mut self) {
        if let Some((segment, _)) = self.segment()
            && segment.at.is_some()
            && self.next.parts > 0
            && self.next.parts >= segment.parts.len()
        {
            if segment.parts.is_empty() {
                self.missed += 1;
            }
            self.go_to(self.next.number.saturating_add(1));
        }
    }

    fn join(&mut self, media: &Media) {
        if media.vod || media.ended {
            return self.go_to(media.first);
        }
        if self.back == 0
            && self.parts_of(media)
            && let Some(cursor) = newest_independent(media)
        {
            self.next = cursor;
            return;
        }
        let whole = media
            .segments
            .iter()
            .rposition(|s| s.at.is_some() && !s.gap);
        let newest = media.first + whole.map_or(0, |at| at as u64);
        self.go_to(newest.saturating_sub(self.back).max(media.first));
    }

    /// The place in the playlist is gone: what came since is lost.
    fn fall_in(&mut self, media: &Media) {
        let from = self.next.number;
        self.join(media);
        self.missed += self.next.number.saturating_sub(from);
    }

    fn resembles(&self, media: &Media) -> bool {
        let numbered = (media.first..).zip(&media.segments);
        let mut complete = numbered.filter(|(_, s)| s.at.is_some());
        complete.any(|(number, segment)| {
            let print = segment.print();
            self.known
                .iter()
                .any(|(n, p, _)| *n == number && *p == print)
        })
    }

    /// Servers forget to count the discontinuities that left the playlist.
    fn mend_regions(&self, media: &mut Media) {
        let numbered = (media.first..).zip(&media.segments);
        let seen = |(number, segment): (u64, &Segment)| {
            let known = self.known.iter().find(|(n, ..)| *n == number)?;
            Some((known.2, segment.region))
        };
        let Some((known, told)) = { numbered }.find_map(seen) else {
            return;
        };
        for segment in &mut media.segments {
            segment.region = segment.region.wrapping_sub(told).wrapping_add(known);
        }
    }

    fn remember(&mut self, media: &Media) {
        let from = media.segments.len().saturating_sub(REMEMBERED);
        let numbered = (media.first..).zip(&media.segments).skip(from);
        for (number, segment) in numbered {
            let last = self.known.back().map(|(n, ..)| *n);
            match (segment.at.is_some(), last) {
                (true, last) if last.is_none_or(|n| n < number) => {
                    self.known
                        .push_back((number, segment.print(), segment.region));
                }
                _ => {}
            }
        }
        while self.known.len() > REMEMBERED {
            self.known.pop_front();
        }
    }
}

/// The number after the last complete segment.
fn end(media: &Media) -> u64 {
    media.first + media.segments.iter().filter(|s| s.at.is_some()).count() as u64
}

/// What a blocking reload is to wait for.
fn edge(media: &Media, parts: bool) -> (u64, Option<usize>) {
    let open = media.segments.last().filter(|s| s.at.is_none());
    (end(media), parts.then(|| open.map_or(0, |s| s.parts.len())))
}

fn newest_independent(media: &Media) -> Option<Cursor> {
    let numbered = (media.first..).zip(&media.segments);
    let numbered: Vec<_> = numbered.collect();
    for (number, segment) in numbered.into_iter().rev() {
        let part = segment.parts.iter().rposition(|p| p.independent && !p.gap);
        if let Some(parts) = part {
            return Some(Cursor { number, parts });
        }
        if segment.at.is_some() {
            return Some(Cursor { number, parts: 0 });
        }
    }
    None
}

fn differs(old: &Media, new: &Media) -> bool {
    let face = |m: &Media| {
        let last = m.segments.last();
        let last = last.map(|s| (s.parts.len(), s.at.is_some()));
        (m.first, m.segments.len(), last, m.ended)
    };
    face(old) != face(new)
}

#[cfg(test)]
mod tests;
