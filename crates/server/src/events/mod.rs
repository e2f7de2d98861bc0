//! Events: what happened, told once and never lost.
//!
//! Whoever sees something tells it (`tell`) and goes on. One task commits what was told, in batches,
//! and gives each event its number; from then on it is never lost. Who listens, listens to what was
//! committed: hooks from a queue in the database, subscribers from here.

mod catalogue;
mod journal;
mod pattern;
mod queue;
mod recent;
mod record;
mod seldom;

use std::sync::Arc;
use std::time::Duration;

use store::{EventQuery, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use catalogue::{Event, KINDS, StopReason};
pub(crate) use journal::{Journal, Keep, Subscribers};
pub(crate) use pattern::{any_fits, fits};
use queue::Queue;
pub(crate) use queue::QueueFigures;
use recent::Recent;
pub(crate) use record::{Committed, rfc3339};
pub(crate) use seldom::Seldom;

/// How long who has much to tell waits for the database, in moments.
const PATIENCE: u32 = 100;
const MOMENT: Duration = Duration::from_millis(10);

/// Where events are told, and where those that were committed are heard.
#[derive(Debug, Clone)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Queue,
    recent: Recent,
    store: Store,
    seats: Arc<Semaphore>,
    end: CancellationToken,
}

impl Events {
    /// `last` is the number of the last event of all, `waiting` how many may wait for the
    /// database, `sessions` whether what players do counts, `seats` how many may follow along.
    pub(crate) fn new(
        store: Store,
        last: i64,
        (waiting, sessions): (usize, bool),
        seats: usize,
    ) -> Self {
        Self(Arc::new(Shared {
            queue: Queue::new(waiting, sessions),
            recent: Recent::new(last),
            store,
            seats: Arc::new(Semaphore::new(seats)),
            end: CancellationToken::new(),
        }))
    }

    /// A place among those who follow along, if there is one.
    pub(crate) fn seat(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.seats).try_acquire_owned().ok()
    }

    /// Who follows along is let go.
    pub(crate) fn end(&self) {
        self.0.end.cancel();
    }

    pub(crate) async fn ended(&self) {
        self.0.end.cancelled().await;
    }

    /// Tells of something that happened to a stream. Never waits.
    pub(crate) fn tell(&self, stream: &str, event: &Event) {
        self.0.queue.push(queue::new(stream, event));
    }

    /// Tells of something that happened to the server.
    pub(crate) fn tell_all(&self, event: &Event) {
        self.tell("", event);
    }

    /// Waits while many wait for the database: for those who have very many to tell. Not for ever:
    /// it may be away.
    pub(crate) async fn room(&self) {
        for _ in 0..PATIENCE {
            if self.0.queue.has_room() {
                return;
            }
            tokio::time::sleep(MOMENT).await;
        }
    }

    pub(crate) fn figures(&self) -> QueueFigures {
        self.0.queue.figures()
    }

    /// The number of the last event, as it grows.
    pub(crate) fn last(&self) -> watch::Receiver<i64> {
        self.0.recent.last()
    }

    /// At most so many events after this one, from memory or else from the database.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn after(
        &self,
        id: i64,
        most: usize,
    ) -> Result<Vec<Arc<Committed>>, store::Error> {
        if let Some(recent) = self.0.recent.after(id, most) {
            return Ok(recent);
        }
        let query = EventQuery {
            after: Some(id),
            limit: u32::try_from(most).unwrap_or(u32::MAX),
            ..EventQuery::default()
        };
        let records = self.0.store.events(&query).await?;
        Ok(records
            .into_iter()
            .map(Committed::from)
            .map(Arc::new)
            .collect())
    }
}
