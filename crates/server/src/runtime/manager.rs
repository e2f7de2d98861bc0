//! Makes running streams follow what the store holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::join_all;
use http_media::Outputs;
use hub::Hub;
use packager::Restored;
use store::{Store, StreamRecord};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::clock;
use super::numbering::{self, Ledger};
use super::packaging::Stop;
use super::pull::Means;
use super::stream::Stream;
use crate::api::Problem;
use crate::model::StreamConfig;

/// All streams of this node.
#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    pub(crate) outputs: Outputs,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) ports: Ports,
    means: Means,
    /// Every stream of the store; `None` does not run. So a name is known without asking SQL.
    streams: RwLock<BTreeMap<String, Option<Arc<Stream>>>>,
    /// One change at a time: a request reads, checks, saves and applies.
    pub(crate) changes: Mutex<()>,
    stopping: AtomicBool,
    /// What runs may be another than what the store holds.
    doubtful: AtomicBool,
}

/// Where RTMP peers come in; `None` where they do not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ports {
    pub(crate) rtmp: Option<u16>,
    pub(crate) rtmps: Option<u16>,
}

/// What must be read before a configuration is saved, so that applying it cannot fail.
#[derive(Debug, Default)]
pub(crate) struct Prepared(Option<Restored>);

impl Manager {
    pub(crate) fn new(store: Store, outputs: Outputs, ports: Ports, means: Means) -> Self {
        Self {
            store,
            hub: Hub::new(),
            outputs,
            ledger: Arc::default(),
            ports,
            means,
            streams: RwLock::default(),
            changes: Mutex::default(),
            stopping: AtomicBool::new(false),
            doubtful: AtomicBool::new(false),
        }
    }

    /// Brings back every enabled stream.
    pub(crate) async fn load(&self) -> Result<usize, store::Error> {
        for record in self.store.all().await? {
            let restored = numbering::load(&self.store, &record.name).await?;
            match config_of(&record) {
                Ok(config) if config.is_enabled() => self.start(config, restored).await,
                Ok(_) => self.set(&record.name, None),
                Err(error) => {
                    tracing::error!(stream = record.name, %error, "unreadable in the database");
                    self.set(&record.name, None);
                }
            }
        }
        Ok(self.all().len())
    }

    async fn start(&self, config: StreamConfig, restored: Option<Restored>) {
        let name = config.name.clone();
        let shared = (&self.hub, &self.outputs, &self.ledger);
        match Stream::start(config, restored, shared, &self.means).await {
            Ok(stream) => self.set(&name, Some(stream)),
            Err(error) => {
                tracing::error!(stream = name, %error, "not started");
                self.set(&name, None);
            }
        }
    }

    /// Reads what a stream goes on from, if this configuration will start it.
    pub(crate) async fn prepare(&self, config: &StreamConfig) -> Result<Prepared, Problem> {
        if !config.is_enabled() || self.get(&config.name).is_some() {
            return Ok(Prepared::default());
        }
        // What it numbered before may still be on its way to the store.
        if !self.ledger.flush(&self.store).await {
            return Err(Problem::database());
        }
        Ok(Prepared(numbering::load(&self.store, &config.name).await?))
    }

    /// Makes what runs follow a configuration that was saved.
    pub(crate) async fn apply(&self, config: StreamConfig, Prepared(restored): Prepared) {
        match (self.get(&config.name), config.is_enabled()) {
            (Some(stream), true) => stream.apply(config).await,
            (Some(stream), false) => {
                self.set(&config.name, None);
                self.stop(&stream).await;
            }
            (None, true) => self.start(config, restored).await,
            (None, false) => self.set(&config.name, None),
        }
    }

    /// Whether a stream with these inputs would feed itself, by way of others that run.
    pub(crate) fn would_cycle(&self, config: &StreamConfig) -> bool {
        let mut ahead = config.feeders();
        let mut seen = Vec::new();
        while let Some(name) = ahead.pop() {
            if name == config.name {
                return true;
            }
            if !seen.contains(&name) {
                let feeders = self.get(&name).map(|stream| stream.config().feeders());
                ahead.extend(feeders.into_iter().flatten());
                seen.push(name);
            }
        }
        false
    }

    /// Ends a stream that is no longer in the store.
    pub(crate) async fn remove(&self, name: &str) {
        let stream = self.write().remove(name).flatten();
        if let Some(stream) = stream {
            self.stop(&stream).await;
        }
    }

    /// What it numbered is written, should it come back.
    async fn stop(&self, stream: &Stream) {
        stream.shut_down(&self.outputs, Stop::End).await;
        self.ledger.flush(&self.store).await;
    }

    /// Publishers leave and playlists freeze: players wait for the next start. Tells whether there
    /// is anything for them to look at.
    pub(crate) async fn freeze_all(&self) -> bool {
        self.stopping.store(true, Relaxed);
        let _change = self.changes.lock().await;
        let streams = std::mem::take(&mut *self.write());
        let running: Vec<_> = streams.values().flatten().collect();
        let served = running.iter().any(|s| s.output.snapshot().is_live());
        let frozen = running
            .iter()
            .map(|s| s.shut_down(&self.outputs, Stop::Freeze));
        join_all(frozen).await;
        served
    }

    /// The database did not say whether it made a change.
    pub(crate) fn doubt(&self) {
        self.doubtful.store(true, Relaxed);
    }

    /// Once the database answers again, what runs is made to follow it. Called every second or so.
    pub(crate) async fn settle_doubts(&self) {
        if !self.doubtful.load(Relaxed) || self.ledger.is_away() {
            return;
        }
        let _change = self.changes.lock().await;
        let settled = !self.is_stopping() && self.follow_store().await.is_ok();
        self.doubtful.store(!settled, Relaxed);
    }

    async fn follow_store(&self) -> Result<(), Problem> {
        let records = self.store.all().await?;
        for config in records.iter().filter_map(|r| config_of(r).ok()) {
            let same = match self.get(&config.name) {
                Some(running) => running.config() == config,
                None => self.knows(&config.name) && !config.is_enabled(),
            };
            if !same {
                tracing::info!(stream = config.name, "follows the database");
                let prepared = self.prepare(&config).await?;
                self.apply(config, prepared).await;
            }
        }
        let known: Vec<String> = self.read().keys().cloned().collect();
        let kept = |name: &String| records.iter().any(|r| r.name == *name);
        for name in known.iter().filter(|name| !kept(name)) {
            tracing::info!(stream = name, "removed, as in the database");
            self.remove(name).await;
        }
        Ok(())
    }

    /// Whether what is changed now would only be undone.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// A stream that runs.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Stream>> {
        self.read().get(name).cloned().flatten()
    }

    /// Whether there is such a stream, running or not.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.read().contains_key(name)
    }

    /// All that run.
    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        self.read().values().flatten().cloned().collect()
    }

    /// Called every second or so.
    pub(crate) fn sample(&self) {
        clock::follow();
        let now = Instant::now();
        for stream in self.all() {
            stream.sample(now);
        }
    }

    fn set(&self, name: &str, stream: Option<Arc<Stream>>) {
        self.write().insert(name.to_owned(), stream);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Option<Arc<Stream>>>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Option<Arc<Stream>>>> {
        self.streams.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record says. It was checked when it was saved.
pub(crate) fn config_of(record: &StreamRecord) -> Result<StreamConfig, serde_json::Error> {
    serde_json::from_str(&record.config)
}
