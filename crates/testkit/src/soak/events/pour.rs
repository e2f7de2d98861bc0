//! Events, made as a platform makes them: by the API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::api::Api;

/// A server that is being killed does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Changes of streams, and streams that come and go, until it is stopped.
pub(super) struct Pouring {
    tasks: JoinSet<()>,
    changed: Arc<AtomicU64>,
    end: watch::Sender<bool>,
}

impl Pouring {
    /// One change after the other of each stream, with a pause in between.
    pub(super) fn start(api: &Api, streams: &[String], pause: Duration) -> Self {
        let (end, told) = watch::channel(false);
        let changed = Arc::<AtomicU64>::default();
        let mut tasks = JoinSet::new();
        for stream in streams {
            let path = format!("streams/{}", stream.replace('/', "%2F"));
            let (api, told, changed) = (api.clone(), told.clone(), Arc::clone(&changed));
            tasks.spawn(async move {
                for n in 0_u64.. {
                    if *told.borrow() {
                        return;
                    }
                    let labels = json!({"labels": {"n": n.to_string()}});
                    let change = timeout(PATIENCE, api.patch(&path, &labels)).await;
                    changed.fetch_add(u64::from(matches!(change, Ok(Ok(_)))), Relaxed);
                    sleep(pause).await;
                }
            });
        }
        tasks.spawn(guests(api.clone(), told));
        Self {
            tasks,
            changed,
            end,
        }
    }

    /// Tells how many changes were answered.
    pub(super) async fn stop(self) -> anyhow::Result<u64> {
        self.end.send(true)?;
        self.tasks.join_all().await;
        Ok(self.changed.load(Relaxed))
    }
}

/// Streams that are made and removed: their names come again.
async fn guests(api: Api, told: watch::Receiver<bool>) {
    for n in (0..4).cycle() {
        if *told.borrow() {
            return;
        }
        let name = format!("guest{n}");
        // One that a server did not survive may be there already, or not at all.
        let _ = timeout(PATIENCE, api.create(&name)).await;
        sleep(Duration::from_millis(300)).await;
        let _ = timeout(PATIENCE, api.delete(&format!("streams/{name}"))).await;
    }
}
