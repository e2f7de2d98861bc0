//! One broadcast: the window behind its lock, and how readers are woken.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use media::Track;

use crate::counters::{Counters, Tally};
use crate::demand::Board;
use crate::subscriber::{Options, Subscriber};
use crate::sync::Mutex;
use crate::window::{Limits, Window};

/// A broadcast as readers hold it. Cloning it counts a reference.
#[derive(Debug, Clone)]
pub struct Broadcast {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    relay: Mutex<Bell>,
    pub(crate) tally: Tally,
    pub(crate) demand: Board,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) window: Window,
    /// Readers that found nothing; slots are reused, so that waiting allocates nothing.
    waiting: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// The writer rings, the relay answers: waking a thousand readers is not the writer's work.
#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::new(State {
                window: Window::new(limits),
                waiting: Vec::new(),
                free: Vec::new(),
            }),
            relay: Mutex::new(Bell::default()),
            tally: Tally::default(),
            demand: Board::default(),
        }
    }

    /// Tells the relay that there is something to read, or that nothing more will come.
    pub(crate) fn ring(&self, closed: bool) {
        let mut bell = self.relay.lock();
        bell.rung = true;
        bell.closed |= closed;
        let waker = bell.waker.take();
        drop(bell);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_bell(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut bell = self.relay.lock();
        if std::mem::take(&mut bell.rung) {
            return Poll::Ready(bell.closed);
        }
        if bell.closed {
            return Poll::Ready(true);
        }
        bell.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Wakes all readers that wait. The spare list changes hands, so nothing is allocated.
    fn wake_readers(&self, spare: &mut Vec<Waker>) {
        let mut state = self.state.lock();
        spare.extend(state.waiting.iter_mut().filter_map(Option::take));
        drop(state);
        spare.drain(..).for_each(Waker::wake);
    }
}

impl State {
    /// A place to wait in, for the life of a subscriber.
    pub(crate) fn enrol(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.waiting.push(None);
            self.waiting.len() - 1
        })
    }

    pub(crate) fn withdraw(&mut self, seat: usize) {
        self.waiting[seat] = None;
        self.free.push(seat);
    }

    /// Must be called while the lock is held under which nothing was found: a wake-up between
    /// the look and the wait would be lost.
    pub(crate) fn wait(&mut self, seat: usize, waker: &Waker) {
        match &mut self.waiting[seat] {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }
}

/// Wakes the readers of one broadcast for its writer. Whoever publishes lets it run beside; it
/// ends when the publisher is gone.
#[derive(Debug)]
#[must_use = "without its relay nobody hears of new frames"]
pub struct Relay {
    pub(crate) shared: Arc<Shared>,
}

impl Relay {
    /// Runs until the publisher is gone and the readers know.
    pub async fn run(self) {
        let mut spare = Vec::new();
        loop {
            let closed = poll_fn(|cx| self.shared.poll_bell(cx)).await;
            self.shared.wake_readers(&mut spare);
            if closed {
                return;
            }
        }
    }
}

impl Broadcast {
    /// Follows the broadcast from the newest group, or the next one.
    #[must_use]
    pub fn subscribe(&self, options: Options) -> Subscriber {
        Subscriber::new(Arc::clone(&self.shared), options)
    }

    /// The tracks of the newest group; empty before the first one.
    #[must_use]
    pub fn tracks(&self) -> Arc<[Track]> {
        Arc::clone(self.shared.state.lock().window.tracks())
    }

    /// Whether the publisher is gone.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.state.lock().window.ended.is_some()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let held = self.shared.state.lock().window.bytes();
        self.shared.tally.read(held)
    }
}
