//! Waking a thousand readers is not the writer's work: it rings a bell, and the relay answers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::broadcast::Shared;

/// Readers that found nothing. Seats are reused, so that waiting allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    waiting: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Seats {
    /// A place to wait in, for the life of a subscriber.
    pub(crate) fn enrol(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.waiting.push(None);
            self.waiting.len() - 1
        })
    }

    #[must_use = "wakers are dropped outside the lock"]
    pub(crate) fn withdraw(&mut self, seat: usize) -> Option<Waker> {
        self.free.push(seat);
        self.waiting.get_mut(seat)?.take()
    }

    #[must_use = "wakers are dropped outside the lock"]
    pub(crate) fn wait(&mut self, seat: usize, waker: &Waker) -> Option<Waker> {
        match self.waiting.get_mut(seat)? {
            Some(known) if known.will_wake(waker) => None,
            seat => seat.replace(waker.clone()),
        }
    }

    fn empty(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.waiting.iter_mut().filter_map(Option::take));
    }
}

#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: bool,
    closed: bool,
    /// The relay is gone: whoever rings wakes the readers.
    orphaned: bool,
    waker: Option<Waker>,
}

impl Shared {
    /// Tells the relay that there is something to read, or that nothing more will come.
    pub(crate) fn ring(&self, closed: bool) {
        let mut bell = self.bell.lock();
        bell.rung = true;
        bell.closed |= closed;
        let (orphaned, waker) = (bell.orphaned, bell.waker.take());
        drop(bell);
        if let Some(waker) = waker {
            waker.wake();
        }
        if orphaned {
            self.wake_readers(&mut Vec::new());
        }
    }

    /// Ready each time that the bell was rung since, with whether it was the last time.
    fn poll_bell(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut bell = self.bell.lock();
        if std::mem::take(&mut bell.rung) || bell.closed {
            return Poll::Ready(bell.closed);
        }
        let stale = bell.waker.replace(cx.waker().clone());
        drop(bell);
        drop(stale);
        Poll::Pending
    }

    /// Wakes all readers that wait. `spare` is reused, so that nothing is allocated.
    fn wake_readers(&self, spare: &mut Vec<Waker>) {
        self.state.lock().seats.empty(spare);
        spare.drain(..).for_each(Waker::wake);
    }
}

/// Wakes the readers of one broadcast for its writer. Whoever publishes lets it run beside; it
/// ends when the publisher is gone. Without it, once it was dropped, the writer wakes them itself.
#[derive(Debug)]
#[must_use = "the relay must run, or the writer does its work"]
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

impl Drop for Relay {
    fn drop(&mut self) {
        let mut bell = self.shared.bell.lock();
        bell.orphaned = true;
        let stale = bell.waker.take();
        drop(bell);
        drop(stale);
        // What was rung and not answered would be lost with it.
        self.shared.wake_readers(&mut Vec::new());
    }
}
