//! One reader: a cursor, a patience, and the rules by which it moves.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use media::Span;

use crate::broadcast::{Shared, State};
use crate::counters::add;
use crate::event::Event;
use crate::window::Window;

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// With the newest group: a picture at once.
    #[default]
    Newest,
    /// With the next group: the lowest delay.
    Next,
}

/// How a subscriber reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Where it begins.
    pub join: Join,
    /// Further behind than this it goes on with the newest group, if there is a newer one.
    pub max_latency: Span,
    /// Whether the source should be there for it: on-demand pulls and rungs.
    pub wanted: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            join: Join::Newest,
            max_latency: Span::from_secs(10),
            wanted: true,
        }
    }
}

/// The most frames taken under one lock, so that a reader who catches up stalls nobody.
const BATCH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// Waits for a group with at least this number.
    Group(u64),
    /// The next frame.
    Frame(u64),
    Done,
}

/// Follows one broadcast. Dropping it is unsubscribing.
#[derive(Debug)]
pub struct Subscriber {
    shared: Arc<Shared>,
    options: Options,
    cursor: Cursor,
    seat: usize,
    /// The next group is the first one after a join or a skip.
    joined: bool,
    /// Leading pictures of that group cannot be decoded.
    skip_leading: bool,
}

impl Subscriber {
    pub(crate) fn new(shared: Arc<Shared>, options: Options) -> Self {
        let mut state = shared.state.lock();
        let seat = state.enrol();
        let next = state.window.next_group();
        let from = match options.join {
            Join::Newest => state.window.newest().map_or(next, |g| g.number),
            Join::Next => next,
        };
        drop(state);
        add(&shared.tally.subscribers, 1);
        if options.wanted {
            shared.demand.set_wanted(true);
        }
        Self {
            shared,
            options,
            cursor: Cursor::Group(from),
            seat,
            joined: true,
            skip_leading: false,
        }
    }

    /// Waits until there is something and appends all that is ready to `batch`, which the caller
    /// empties and passes again: in the steady state nothing is allocated. Appends at least one
    /// event; after [`Event::End`] it never returns. Cancelling it loses nothing.
    pub async fn next(&mut self, batch: &mut Vec<Event>) {
        poll_fn(|cx| self.poll_next(cx, batch)).await;
    }

    /// As [`Subscriber::next`], without waiting. Whether anything was appended.
    pub fn try_next(&mut self, batch: &mut Vec<Event>) -> bool {
        let shared = Arc::clone(&self.shared);
        let state = shared.state.lock();
        self.take(&state.window, batch)
    }

    /// Asks the source for a random-access point.
    pub fn ask_keyframe(&self) {
        self.shared.demand.ask_keyframe();
    }

    fn poll_next(&mut self, cx: &Context<'_>, batch: &mut Vec<Event>) -> Poll<()> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let state: &mut State = &mut state;
        if self.take(&state.window, batch) {
            return Poll::Ready(());
        }
        if self.cursor != Cursor::Done {
            state.wait(self.seat, cx.waker());
        }
        Poll::Pending
    }

    fn take(&mut self, window: &Window, batch: &mut Vec<Event>) -> bool {
        let before = batch.len();
        self.enter(window);
        self.skip_if_late(window, batch);
        let mut taken = 0;
        while let Cursor::Frame(next) = self.cursor {
            if taken == BATCH || !self.take_frame(window, next, batch) {
                break;
            }
            taken += 1;
        }
        add(&self.shared.tally.delivered, taken as u64);
        self.finish(window, batch);
        batch.len() > before
    }

    /// Begins with the awaited group once it is there.
    fn enter(&mut self, window: &Window) {
        if let Cursor::Group(wanted) = self.cursor
            && let Some(group) = window.join(wanted)
        {
            self.cursor = Cursor::Frame(group.first);
            self.joined = true;
        }
    }

    /// The one skip rule.
    fn skip_if_late(&mut self, window: &Window, batch: &mut Vec<Event>) {
        let Cursor::Frame(next) = self.cursor else {
            return;
        };
        let evicted = next < window.base;
        let newest = window.newest();
        let newer = newest.filter(|g| g.first > next);
        let late = newer.is_some() && window.behind(next) > self.options.max_latency;
        if !evicted && !late {
            return;
        }
        let (to, groups) = match newer {
            Some(group) => (Cursor::Frame(group.first), group.number),
            // What is left of the newest group cannot be joined.
            None => (Cursor::Group(window.next_group()), window.next_group()),
        };
        let end = match to {
            Cursor::Frame(first) => first,
            _ => window.end(),
        };
        let mine = window
            .group_at(next)
            .map_or_else(|| groups.saturating_sub(1), |g| g.number);
        let groups = groups.saturating_sub(mine).max(1);
        let frames = end.saturating_sub(next);
        add(&self.shared.tally.skips, 1);
        add(&self.shared.tally.skipped_frames, frames);
        batch.push(Event::Skipped { groups, frames });
        self.cursor = to;
        self.joined = true;
    }

    fn take_frame(&mut self, window: &Window, next: u64, batch: &mut Vec<Event>) -> bool {
        let Some(frame) = window.frame(next) else {
            return false;
        };
        if let Some(group) = window.group_at(next).filter(|g| g.first == next) {
            batch.push(Event::Group {
                id: group.id,
                tracks: Arc::clone(&group.tracks),
            });
            // A group that is reached in order has its predecessor to refer to.
            self.skip_leading = std::mem::take(&mut self.joined);
        }
        self.cursor = Cursor::Frame(next + 1);
        if !(frame.leading && self.skip_leading) {
            batch.push(Event::Frame(frame.clone()));
        }
        true
    }

    fn finish(&mut self, window: &Window, batch: &mut Vec<Event>) {
        let Some(reason) = window.ended else {
            return;
        };
        let drained = match self.cursor {
            Cursor::Group(_) => true,
            Cursor::Frame(next) => next >= window.end(),
            Cursor::Done => false,
        };
        if drained {
            self.cursor = Cursor::Done;
            batch.push(Event::End(reason));
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.withdraw(self.seat);
        drop(state);
        let subscribers = &self.shared.tally.subscribers;
        let left = subscribers.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) - 1;
        if left == 0 {
            self.shared.demand.set_wanted(false);
        }
    }
}
