//! Names and their outputs.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};

use media::Timestamp;
use tokio::sync::watch;

use crate::live::Output;
use crate::mpegts;
use crate::resource::Resource;

/// Bounds on what waiting requests may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests that may wait for one stream.
    pub blocked_per_stream: usize,
    /// Requests that may wait in all.
    pub blocked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blocked_per_stream: 10_000,
            blocked: 50_000,
        }
    }
}

/// What is served under which name. Cloning it counts a reference.
#[derive(Debug, Clone)]
pub struct Outputs {
    table: Arc<RwLock<HashMap<String, Arc<Output>>>>,
    pub(crate) limits: Limits,
    pub(crate) blocked: Arc<AtomicUsize>,
    /// UTC, as the programme counts.
    pub(crate) clock: fn() -> Timestamp,
    /// Whether who waits shall come again, to another process.
    leaving: Arc<watch::Sender<bool>>,
}

impl Outputs {
    /// An empty table. `clock` tells UTC, as packagers are told.
    #[must_use]
    pub fn new(limits: Limits, clock: fn() -> Timestamp) -> Self {
        Self {
            table: Arc::default(),
            limits,
            blocked: Arc::default(),
            clock,
            leaving: Arc::default(),
        }
    }

    /// Who waits for what this process will not have is told to come again.
    pub fn leave(&self) {
        self.leaving.send_replace(true);
    }

    pub(crate) async fn left(&self) {
        let _ = self.leaving.subscribe().wait_for(|leaving| *leaving).await;
    }

    /// Serves `output` under `name`.
    pub fn insert(&self, name: &str, output: Arc<Output>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(name.to_owned(), output);
    }

    /// Serves nothing under `name` any more.
    pub fn remove(&self, name: &str) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.remove(name);
    }

    /// The stream whose media a path names; `None` where it names nothing of ours.
    #[must_use]
    pub fn stream_of(path: &str) -> Option<&str> {
        let parsed = Resource::parse(path).map(|(stream, _)| stream);
        parsed.or_else(|| mpegts::stream_of(path))
    }

    /// What is served under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Output>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(name).cloned()
    }
}
