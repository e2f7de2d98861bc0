//! Commits what was told: in order, in batches, again until the database takes it.

use std::sync::Arc;
use std::time::Duration;

use store::{EventRecord, NewEvent, Store};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Events;
use super::record::Committed;
use crate::runtime::utc_ms;

/// How long the first event of a batch waits for others.
const GATHER: Duration = Duration::from_millis(20);
/// Events of one transaction.
const BATCH: usize = 1_000;
const RETRY: Duration = Duration::from_millis(500);
/// What is still told when the server stops has so long to be committed.
const FAREWELL: Duration = Duration::from_secs(3);
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Events that go in one transaction, and the pause after it while there are more.
const PRUNED: u32 = 500;
const BREATH: Duration = Duration::from_millis(100);
/// Names that are no stream any more number nothing for so long, and are forgotten.
const NUMBERING_KEPT_MS: i64 = 7 * 86_400_000;

/// How much of the past is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) days: u32,
    pub(crate) events: u32,
}

/// Who wants which event delivered.
pub(crate) trait Subscribers: Send + Sync {
    /// The hooks that an event is for.
    fn of(&self, event: &NewEvent) -> Vec<String>;
    /// Some were committed.
    fn committed(&self);
}

/// The one task that writes events.
pub(crate) struct Journal {
    pub(crate) events: Events,
    pub(crate) store: Store,
    pub(crate) hooks: Arc<dyn Subscribers>,
    pub(crate) keep: Keep,
}

impl Journal {
    /// Runs until told to stop, then commits what is left.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let overdue = async {
            stop.cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = overdue => {
                let waiting = self.events.figures().waiting;
                tracing::warn!(waiting, "events were not committed before the end");
            }
        }
    }

    async fn work(&self, stop: &CancellationToken) {
        let mut prune = Instant::now() + PRUNE_EVERY;
        loop {
            tokio::select! {
                () = self.events.0.queue.filled.notified() => {
                    sleep(GATHER).await;
                    self.drain().await;
                }
                () = sleep_until(prune) => {
                    // A little at a time, so that others get at the database too.
                    let more = self.prune().await;
                    prune = Instant::now() + if more { BREATH } else { PRUNE_EVERY };
                }
                () = stop.cancelled() => return self.drain().await,
            }
        }
    }

    async fn drain(&self) {
        while !self.events.0.queue.is_empty() {
            let mut batch = self.events.0.queue.take(BATCH);
            for event in &mut batch {
                event.hooks = self.hooks.of(event);
            }
            self.commit(batch).await;
        }
    }

    /// Again and again: the token tells the database that it may have them already.
    async fn commit(&self, batch: Vec<NewEvent>) {
        let token: i64 = rand::random();
        let known = *self.events.last().borrow();
        let mut failed = false;
        let numbers = loop {
            match self.store.append_events(token, known, &batch).await {
                Ok(numbers) => break numbers,
                // Once is enough: the ledger says how the database is.
                Err(error) if !failed => {
                    failed = true;
                    tracing::warn!(%error, "events wait for the database");
                }
                Err(_) => {}
            }
            sleep(RETRY).await;
        };
        self.publish(batch, &numbers);
    }

    fn publish(&self, batch: Vec<NewEvent>, numbers: &[(i64, i64)]) {
        self.hooks.committed();
        let committed = batch.into_iter().zip(numbers).map(|(event, (id, seq))| {
            Arc::new(Committed::from(EventRecord {
                id: *id,
                stream: event.stream,
                seq: *seq,
                kind: event.kind,
                time_ms: event.time_ms,
                data: event.data,
            }))
        });
        self.events.0.recent.add(committed.collect());
    }

    /// Whether there is more that is old.
    async fn prune(&self) -> bool {
        let before = utc_ms() - i64::from(self.keep.days) * 86_400_000;
        let keep = i64::from(self.keep.events);
        match self.store.prune_events(before, keep, PRUNED).await {
            Ok(gone) if gone >= u64::from(PRUNED) => return true,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "old events stay for now"),
        }
        let before = utc_ms() - NUMBERING_KEPT_MS;
        if let Err(error) = self.store.prune_numbering(before, PRUNED).await {
            tracing::debug!(%error, "old numbering stays for now");
        }
        false
    }
}
