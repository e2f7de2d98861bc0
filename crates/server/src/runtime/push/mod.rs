//! Where a stream is pushed to: a task for each place, and what they tell of themselves.

mod course;
mod face;
mod outlet;
mod task;
mod tasks;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hub::{Broadcast, Hub};

pub(crate) use course::Phase;
pub(crate) use outlet::Outlet;

use self::task::{Source, Task};
use self::tasks::Tasks;
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
    tasks: Mutex<Tasks>,
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
            tasks: Mutex::default(),
        }
    }

    /// What is pushed as before goes on.
    pub(super) fn follow(&self, config: &StreamConfig) {
        let pushes = config.pushes();
        self.replace_outlets(pushes);
        let mut tasks = lock(&self.tasks);
        tasks.keep(pushes);
        for push in pushes {
            if !tasks.is_running(push) {
                self.start(push, &mut tasks);
            }
        }
    }

    fn start(&self, push: &Push, tasks: &mut Tasks) {
        let Some(outlet) = self.all().into_iter().find(|o| o.id() == push.id) else {
            return;
        };
        if !push.is_enabled() {
            outlet.begin(Phase::Disabled);
            return;
        }
        let task = Task {
            push: push.clone(),
            pen: outlet.begin(Phase::Idle),
            source: self.source.clone(),
            means: self.means.clone(),
            events: self.events.clone(),
        };
        tasks.start(push, |stop| task.run(stop));
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
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.finish().await;
    }
}

impl Drop for Pushes {
    fn drop(&mut self) {
        lock(&self.tasks).stop();
    }
}
