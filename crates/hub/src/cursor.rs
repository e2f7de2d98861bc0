//! Where a reader is, and the rules by which it moves. Pure: what it reads is locked by others.

use std::sync::Arc;

use media::Span;

use crate::counters::Received;
use crate::event::Event;
use crate::window::{Mark, Window};

/// The most frames taken under one lock, so that a reader who catches up stalls nobody.
pub(crate) const BATCH: usize = 64;

#[derive(Debug)]
pub(crate) struct Cursor {
    place: Place,
    max_latency: Span,
    /// The group that opens next for this reader.
    opening: u64,
    /// That group is the first one after a join or a skip.
    joined: bool,
    /// Leading pictures of this group cannot be decoded.
    skip_leading: bool,
    pub(crate) received: Received,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Awaits group `number` or a later one; `missed` is the first frame left out, if any is.
    Awaiting {
        number: u64,
        missed: Option<u64>,
    },
    /// The next frame.
    At(u64),
    Done,
}

impl Cursor {
    /// Begins with group `number`, or a later one where that is gone or too far behind.
    pub(crate) fn new(number: u64, max_latency: Span) -> Self {
        Self {
            place: Place::Awaiting {
                number,
                missed: None,
            },
            max_latency,
            opening: number,
            joined: true,
            skip_leading: false,
            received: Received::default(),
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.place, Place::Done)
    }

    /// Appends what there is to read, within [`BATCH`]. Whether that was anything.
    pub(crate) fn take(&mut self, window: &Window, batch: &mut Vec<Event>) -> bool {
        let before = batch.len();
        self.leave_if_late(window);
        self.enter(window, batch);
        for _ in 0..BATCH {
            if !self.take_frame(window, batch) {
                break;
            }
        }
        self.finish(window, batch);
        batch.len() > before
    }

    /// The one skip rule: evicted, or too far behind while there is a newer group.
    fn leave_if_late(&mut self, window: &Window) {
        let Place::At(next) = self.place else {
            return;
        };
        let newer = window.newest().filter(|g| g.first > next);
        let evicted = next < window.base();
        let late = newer.is_some() && window.behind(next) > self.max_latency;
        if evicted || late {
            self.place = Place::Awaiting {
                number: newer.map_or_else(|| window.next_group(), |g| g.number),
                missed: Some(next),
            };
        }
    }

    /// Goes on with the awaited group once it is there.
    fn enter(&mut self, window: &Window, batch: &mut Vec<Event>) {
        let Place::Awaiting { number, missed } = self.place else {
            return;
        };
        let Some(group) = self.entry(window, number) else {
            return;
        };
        if let Some(from) = missed {
            self.report(group.number, group.first - from, batch);
        }
        self.place = Place::At(group.first);
        self.opening = group.number;
        self.joined = true;
    }

    /// The awaited group where it is still worth reading, else the newest one.
    fn entry<'a>(&self, window: &'a Window, number: u64) -> Option<&'a Mark> {
        let newest = window.newest().filter(|g| g.number >= number)?;
        let awaited = window.group(number);
        let awaited = awaited.filter(|g| window.behind(g.first) <= self.max_latency);
        Some(awaited.unwrap_or(newest))
    }

    fn report(&mut self, to: u64, frames: u64, batch: &mut Vec<Event>) {
        let groups = (to + 1).saturating_sub(self.opening);
        self.received.skips += 1;
        self.received.skipped_groups += groups;
        self.received.skipped_frames += frames;
        batch.push(Event::Skipped { groups, frames });
    }

    fn take_frame(&mut self, window: &Window, batch: &mut Vec<Event>) -> bool {
        let Place::At(next) = self.place else {
            return false;
        };
        let Some(frame) = window.frame(next) else {
            return false;
        };
        self.open_group(window, next, batch);
        self.place = Place::At(next + 1);
        if frame.leading && self.skip_leading {
            self.received.leading += 1;
        } else {
            self.received.frames += 1;
            batch.push(Event::Frame(frame.clone()));
        }
        true
    }

    fn open_group(&mut self, window: &Window, next: u64, batch: &mut Vec<Event>) {
        let opening = window.group(self.opening);
        if let Some(group) = opening.filter(|g| g.first == next) {
            self.opening += 1;
            // A group that is reached in order has its predecessor to refer to.
            self.skip_leading = std::mem::take(&mut self.joined);
            batch.push(Event::Group {
                id: group.id,
                tracks: Arc::clone(&group.tracks),
                spliced: group.spliced,
            });
        }
    }

    fn finish(&mut self, window: &Window, batch: &mut Vec<Event>) {
        let Some(reason) = window.ended() else {
            return;
        };
        match self.place {
            Place::At(next) if next < window.head() => return,
            Place::Done => return,
            Place::Awaiting {
                missed: Some(from), ..
            } => self.report(window.next_group(), window.head() - from, batch),
            Place::At(_) | Place::Awaiting { .. } => {}
        }
        self.place = Place::Done;
        batch.push(Event::End(reason));
    }
}
