//! Makes running streams follow what the store holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use http_media::Outputs;
use hub::Hub;
use packager::Restored;
use store::{Store, StreamRecord};
use tokio::sync::Mutex;

use super::numbering::{self, Ledger};
use super::stream::Stream;
use crate::model::StreamConfig;

/// All streams of this node.
#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    pub(crate) outputs: Outputs,
    pub(crate) ledger: Arc<Ledger>,
    running: RwLock<BTreeMap<String, Arc<Stream>>>,
    /// One change at a time: a request reads, checks, saves and applies.
    pub(crate) changes: Mutex<()>,
}

impl Manager {
    pub(crate) fn new(store: Store, outputs: Outputs) -> Self {
        Self {
            store,
            hub: Hub::new(),
            outputs,
            ledger: Arc::default(),
            running: RwLock::default(),
            changes: Mutex::new(()),
        }
    }

    /// Brings back every enabled stream.
    pub(crate) async fn load(&self) -> Result<usize, store::Error> {
        let records = self.store.all().await?;
        let names = records.iter().map(|r| r.name.as_str());
        let mut numbering = numbering::load(&self.store, names).await?;
        let mut started = 0;
        for record in &records {
            match config_of(record) {
                Ok(config) => started += usize::from(self.start(config, &mut numbering)),
                Err(error) => {
                    tracing::error!(stream = record.name, %error, "unreadable in the database")
                }
            }
        }
        Ok(started)
    }

    fn start(&self, config: StreamConfig, numbering: &mut HashMap<String, Restored>) -> bool {
        if !config.is_enabled() {
            return false;
        }
        let name = config.name.clone();
        let restored = numbering.remove(&name);
        let shared = (&self.hub, &self.outputs, &self.ledger);
        match Stream::start(config, restored, shared) {
            Ok(stream) => {
                self.write().insert(name, stream);
                true
            }
            Err(error) => {
                tracing::error!(stream = name, %error, "not started");
                false
            }
        }
    }

    /// Makes what runs follow a configuration that was saved.
    pub(crate) async fn apply(&self, config: StreamConfig) -> Result<(), store::Error> {
        let name = config.name.clone();
        match (self.get(&name), config.is_enabled()) {
            (Some(stream), true) => stream.apply(config).await,
            (Some(_), false) => self.stop(&name).await,
            (None, true) => {
                let mut numbering =
                    numbering::load(&self.store, [name.as_str()].into_iter()).await?;
                self.start(config, &mut numbering);
            }
            (None, false) => {}
        }
        Ok(())
    }

    /// Stops a stream; what it numbered is written first, should it come back.
    pub(crate) async fn stop(&self, name: &str) {
        let stream = self.write().remove(name);
        if let Some(stream) = stream {
            stream.shut_down(&self.outputs).await;
            self.ledger.flush(&self.store).await;
        }
    }

    pub(crate) async fn stop_all(&self) {
        let names: Vec<String> = self.all().iter().map(|s| s.name().to_owned()).collect();
        for name in names {
            self.stop(&name).await;
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Stream>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.get(name).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.values().cloned().collect()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<Stream>>> {
        self.running.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record says. It was checked when it was saved.
pub(crate) fn config_of(record: &StreamRecord) -> Result<StreamConfig, serde_json::Error> {
    serde_json::from_str(&record.config)
}
