//! One reader: a cursor of its own, and a seat to wait in.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use media::{Span, Timestamp};
use tokio::task::coop;

use crate::broadcast::Shared;
use crate::counters::{Received, add, subtract};
use crate::cursor::Cursor;
use crate::event::Event;

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// With the newest group: a picture at once.
    #[default]
    Newest,
    /// With the next group: the lowest delay.
    Next,
    /// With the group of this id, or the first one after it.
    From(Timestamp),
}

/// How a subscriber reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Where it begins.
    pub join: Join,
    /// Further behind than this, by DTS, it goes on with the newest group if there is a newer one.
    pub max_latency: Span,
    /// Whether the source should be there for it: on-demand pulls and rungs.
    pub wanted: bool,
}

impl Default for Options {
    /// The newest group, 10 s, wanted.
    fn default() -> Self {
        Self {
            join: Join::Newest,
            max_latency: Span::from_secs(10),
            wanted: true,
        }
    }
}

/// Follows one broadcast. Dropping it is unsubscribing.
#[derive(Debug)]
pub struct Subscriber {
    shared: Arc<Shared>,
    cursor: Cursor,
    seat: usize,
    wanted: bool,
}

impl Subscriber {
    pub(crate) fn new(shared: Arc<Shared>, options: Options) -> Self {
        let mut state = shared.state.lock();
        let seat = state.seats.enrol();
        let next = state.window.next_group();
        let from = match options.join {
            Join::Newest => state.window.newest().map_or(next, |g| g.number),
            Join::Next => next,
            Join::From(id) => state.window.group_from(id),
        };
        drop(state);
        add(&shared.tally.subscribers, 1);
        if options.wanted {
            shared.demand.want();
        }
        Self {
            shared,
            cursor: Cursor::new(from, options.max_latency),
            seat,
            wanted: options.wanted,
        }
    }

    /// Waits until there is something and appends what is ready to `batch`, which the caller
    /// empties and passes again: in the steady state nothing is allocated.
    ///
    /// Appends at least one event and at most 64 frames; what is left beyond is ready for the next
    /// call. After [`Event::End`] it never returns. Cancelling it loses nothing.
    pub async fn next(&mut self, batch: &mut Vec<Event>) {
        poll_fn(|cx| self.poll_next(cx, batch)).await;
    }

    /// [`Subscriber::next`] for hand-written futures and bodies.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, batch: &mut Vec<Event>) -> Poll<()> {
        let turn = ready!(coop::poll_proceed(cx));
        let mut state = self.shared.state.lock();
        let before = self.cursor.received;
        if self.cursor.take(&state.window, batch) {
            drop(state);
            turn.made_progress();
            self.count(before);
            return Poll::Ready(());
        }
        // Under the same lock as the look: a wake-up between the two would be lost.
        let stale = (!self.cursor.is_done()).then(|| state.seats.wait(self.seat, cx.waker()));
        drop(state);
        drop(stale);
        Poll::Pending
    }

    /// As [`Subscriber::next`], without waiting. Whether anything was appended.
    pub fn try_next(&mut self, batch: &mut Vec<Event>) -> bool {
        let before = self.cursor.received;
        let taken = self.cursor.take(&self.shared.state.lock().window, batch);
        self.count(before);
        taken
    }

    /// Asks the source for a random-access point. One that opens answers all who asked before.
    pub fn ask_keyframe(&self) {
        self.shared.demand.ask_keyframe();
    }

    /// What this subscriber received and missed so far.
    #[must_use]
    pub const fn counters(&self) -> Received {
        self.cursor.received
    }

    fn count(&self, before: Received) {
        let (tally, now) = (&self.shared.tally, self.cursor.received);
        add(&tally.delivered, now.frames - before.frames);
        if now.skips > before.skips {
            add(&tally.skips, now.skips - before.skips);
            add(
                &tally.skipped_frames,
                now.skipped_frames - before.skipped_frames,
            );
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // A waker may own its task: it goes when the lock is free again.
        let waker = self.shared.state.lock().seats.withdraw(self.seat);
        drop(waker);
        subtract(&self.shared.tally.subscribers, 1);
        if self.wanted {
            self.shared.demand.release();
        }
    }
}
