//! Hooks: events are delivered to receivers of the operator, in order for each stream, until they
//! are taken. The queue is in the database.

mod body;
mod outbox;
mod tally;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::Value;
use store::{Kind, NewEvent, Store};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::events::{Event, Events, Seldom, Subscribers};
use crate::model::{Hook, HookDefinition, Overflow};
use crate::runtime::lock;
pub(crate) use tally::{HookFigures, Tally};
pub(crate) use worker::Tested;
use worker::{Order, Worker};

const ORDERS: usize = 8;

/// What all deliveries share.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) client: webhook::Client,
    /// Files are written below here.
    pub(crate) files: PathBuf,
    /// Names this database in CloudEvents.
    pub(crate) instance: Arc<str>,
}

/// All hooks of this node.
pub(crate) struct Hooks {
    store: Store,
    events: Events,
    means: Means,
    all: RwLock<BTreeMap<String, Arc<Running>>>,
    seldom: Mutex<Seldom>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

/// A hook and what delivers for it.
struct Running {
    hook: Arc<Hook>,
    tally: Arc<Tally>,
    /// There is something new to deliver.
    more: Arc<Notify>,
    orders: mpsc::Sender<Order>,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Hooks {
    pub(crate) fn new(store: Store, events: Events, means: Means) -> Self {
        Self {
            store,
            events,
            means,
            all: RwLock::default(),
            seldom: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Those of the store, and what waits for them.
    pub(crate) async fn load(&self, store: &Store) -> Result<(), store::Error> {
        let backlog = store.backlog().await?;
        let records = store.all(Kind::Hook).await?;
        for record in &records {
            match HookDefinition::read(&record.config) {
                Ok(definition) => {
                    let is_new = self.get(&record.name).is_none();
                    self.put(&definition);
                    let found = backlog.iter().find(|b| b.hook == record.name);
                    let found = found.filter(|_| is_new);
                    if let (Some(found), Some(running)) = (found, self.get(&record.name)) {
                        running.tally.counted(Some(found));
                    }
                }
                Err(problem) => {
                    let error = problem.detail;
                    tracing::error!(hook = record.name, error, "unreadable in the database");
                }
            }
        }
        let known: Vec<_> = self.read().keys().cloned().collect();
        for gone in known
            .iter()
            .filter(|id| !records.iter().any(|r| r.name == **id))
        {
            self.remove(gone);
        }
        Ok(())
    }

    /// Delivers as this one says, from now on: to its target, with its secret.
    pub(crate) fn put(&self, definition: &HookDefinition) {
        let hook = Arc::new(definition.hook().clone());
        let before = self.get(&hook.id);
        if before.as_ref().is_some_and(|running| running.hook == hook) {
            return;
        }
        let tally = before.map(|running| Arc::clone(&running.tally));
        let running = self.start(hook, tally.unwrap_or_default());
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(running.hook.id.clone(), Arc::new(running));
    }

    fn start(&self, hook: Arc<Hook>, tally: Arc<Tally>) -> Running {
        let stop = self.stop.child_token();
        let more = Arc::new(Notify::new());
        let (orders, received) = mpsc::channel(ORDERS);
        if hook.is_enabled() {
            let worker = Worker::new(
                Arc::clone(&hook),
                (self.store.clone(), self.events.clone(), self.means.clone()),
                (Arc::clone(&tally), Arc::clone(&more)),
            );
            tokio::spawn(worker.run(received, stop.clone()));
        }
        Running {
            hook,
            tally,
            more,
            orders,
            stop,
        }
    }

    pub(crate) fn remove(&self, id: &str) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(id);
    }

    /// Nothing more is sent. What was not delivered waits for the next start.
    pub(crate) fn end(&self) {
        self.stop.cancel();
    }

    /// Sends something of no meaning, and tells what came of it; `None` where nothing is sent.
    pub(crate) async fn test(&self, id: &str) -> Option<Tested> {
        let running = self.get(id)?;
        let (answer, told) = oneshot::channel();
        running.orders.send(Order::Test(answer)).await.ok()?;
        told.await.ok()
    }

    /// What waits in the store is no longer what it was: dead letters were revived.
    pub(crate) async fn reload(&self, id: &str) {
        let Some(running) = self.get(id) else {
            return;
        };
        let (done, counted) = oneshot::channel();
        if running.orders.send(Order::Reload(done)).await.is_ok() {
            let _ = counted.await;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.read().len()
    }

    pub(crate) fn figures(&self, id: &str) -> Option<HookFigures> {
        Some(self.get(id)?.tally.figures())
    }

    /// All of them, by id.
    pub(crate) fn all_figures(&self) -> Vec<(String, HookFigures)> {
        let all = self.read();
        let figures = all.iter().map(|(id, r)| (id.clone(), r.tally.figures()));
        figures.collect()
    }

    fn get(&self, id: &str) -> Option<Arc<Running>> {
        self.read().get(id).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one more, or room is made for it.
    fn admits(&self, running: &Running) -> bool {
        let full = running.tally.waiting() >= running.hook.max_waiting();
        if !full || running.hook.overflow() == Overflow::DropOldest {
            return true;
        }
        running.tally.dropped(1);
        self.tell_dropped(&running.hook.id);
        false
    }

    fn tell_dropped(&self, hook: &str) {
        let told = lock(&self.seldom).note(hook, Instant::now());
        if let Some(count) = told {
            let hook = hook.to_owned();
            self.events.tell_all(&Event::HookDropped { hook, count });
        }
    }
}

impl Subscribers for Hooks {
    fn of(&self, event: &NewEvent) -> Vec<String> {
        let about = about(event);
        let all = self.read();
        let wanting = all.values().filter(|running| {
            let hook = &running.hook;
            // What is told of a hook is not told to it: it would have no end.
            about.as_deref() != Some(hook.id.as_str()) && hook.wants(&event.stream, &event.kind)
        });
        let admitted = wanting.filter(|running| self.admits(running));
        // Counted before it can be delivered, so that no more go than came.
        admitted
            .inspect(|running| running.tally.more())
            .map(|running| running.hook.id.clone())
            .collect()
    }

    fn committed(&self) {
        let all = self.read();
        for running in all.values().filter(|running| running.tally.waiting() > 0) {
            running.more.notify_one();
        }
    }
}

/// The hook that an event is about.
fn about(event: &NewEvent) -> Option<String> {
    if !event.kind.starts_with("hook.") {
        return None;
    }
    let data: Value = serde_json::from_str(&event.data).ok()?;
    Some(data.get("hook")?.as_str()?.to_owned())
}
