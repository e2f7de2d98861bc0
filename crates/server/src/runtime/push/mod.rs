//! Where a stream is pushed to: a task for each place, and what they tell of themselves.

mod course;
mod face;
mod outlet;
mod task;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::future::join_all;
use hub::{Broadcast, Hub};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use course::Phase;
pub(crate) use outlet::Outlet;

use self::task::{Source, Task};
use super::lock;
use super::pull::Means;
use super::remuxing::Remuxing;
use crate::events::Events;
use crate::model::{Push, StreamConfig};

/// The places that one stream is pushed to.
#[derive(Debug)]
pub(crate) struct Pushes {
    source: Source,
    means: Means,
    events: Events,
    /// In the order of the configuration.
    outlets: RwLock<Vec<Arc<Outlet>>>,
    running: Mutex<Vec<Running>>,
}

/// A task that goes on until it is stopped.
#[derive(Debug)]
struct Running {
    push: Push,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Pushes {
    /// `programme` is what is pushed where no ladder makes renditions.
    pub(super) fn new(
        stream: &str,
        (hub, remuxing): (&Hub, &Remuxing),
        programme: Option<Broadcast>,
        (means, events): (&Means, &Events),
    ) -> Self {
        Self {
            source: Source {
                stream: stream.to_owned(),
                hub: hub.clone(),
                programme,
                remuxing: remuxing.clone(),
            },
            means: means.clone(),
            events: events.clone(),
            outlets: RwLock::default(),
            running: Mutex::default(),
        }
    }

    /// What is pushed as before goes on.
    pub(super) fn follow(&self, config: &StreamConfig) {
        let pushes = config.pushes();
        self.replace_outlets(pushes);
        let mut running = lock(&self.running);
        let (kept, mut gone): (Vec<_>, Vec<_>) = std::mem::take(&mut *running)
            .into_iter()
            .partition(|r| r.push.is_enabled() && pushes.contains(&r.push));
        gone.iter().for_each(|gone| gone.stop.cancel());
        *running = kept;
        for push in pushes {
            if running.iter().any(|r| r.push == *push) {
                continue;
            }
            let before = gone.iter().position(|gone| gone.push.id == push.id);
            let before = before.map(|at| gone.swap_remove(at).task);
            running.extend(self.start(push, before));
        }
    }

    /// Once the one before has said goodbye: far ends take one at a time.
    fn start(&self, push: &Push, before: Option<JoinHandle<()>>) -> Option<Running> {
        let outlet = self.all().into_iter().find(|o| o.id() == push.id)?;
        if !push.is_enabled() {
            outlet.begin(Phase::Disabled);
            return None;
        }
        let task = Task {
            push: push.clone(),
            pen: outlet.begin(Phase::Idle),
            source: self.source.clone(),
            means: self.means.clone(),
            events: self.events.clone(),
        };
        let (push, stop) = (push.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            task.run(stopped).await;
        });
        Some(Running { push, stop, task })
    }

    fn replace_outlets(&self, pushes: &[Push]) {
        let mut outlets = self.outlets.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *outlets);
        let kept = |push: &Push| {
            let known = before.iter().find(|outlet| outlet.id() == push.id);
            known.map_or_else(|| Arc::new(Outlet::new(&push.id)), Arc::clone)
        };
        *outlets = pushes.iter().map(kept).collect();
    }

    /// All of them, in the order of the configuration.
    pub(crate) fn all(&self) -> Vec<Arc<Outlet>> {
        let outlets = self.outlets.read().unwrap_or_else(PoisonError::into_inner);
        outlets.clone()
    }

    /// Far ends are told that it is over.
    pub(super) async fn finish(&self) {
        let running = std::mem::take(&mut *lock(&self.running));
        running.iter().for_each(|r| r.stop.cancel());
        join_all(running.into_iter().map(|r| r.task)).await;
    }
}

impl Drop for Pushes {
    fn drop(&mut self) {
        lock(&self.running).iter().for_each(|r| r.stop.cancel());
    }
}
