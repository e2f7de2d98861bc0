//! One input of a stream as it runs: who feeds it, what it sent, what went wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use container::ingest::Stats;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use super::publish::Holder;
use super::sessions::{Rates, Sessions, Totals};
use super::{lock, utc_ms};

/// How long a publisher that was told to leave is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
/// Errors that are remembered.
const ERRORS: usize = 5;

/// Something that went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LastError {
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) message: String,
}

impl LastError {
    pub(crate) fn now(message: String) -> Self {
        let at_ms = utc_ms();
        Self { at_ms, message }
    }
}

/// One input of a stream.
#[derive(Debug)]
pub(crate) struct Line {
    id: String,
    holder: Mutex<Option<Holder>>,
    /// The connection that we made.
    fetched: Mutex<Option<Arc<Stats>>>,
    /// Whether it is told that something came over it.
    told: AtomicBool,
    sessions: Mutex<Sessions>,
    errors: Mutex<VecDeque<LastError>>,
    serials: AtomicU64,
    /// Counts those who fed it as they leave, for those who wait.
    left: watch::Sender<u64>,
}

impl Line {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            holder: Mutex::default(),
            fetched: Mutex::default(),
            told: AtomicBool::new(true),
            sessions: Mutex::default(),
            errors: Mutex::default(),
            serials: AtomicU64::new(0),
            left: watch::Sender::new(0),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.serials.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        lock(&self.holder).clone()
    }

    /// Lets who feeds it go.
    pub(super) fn dismiss(&self) {
        if let Some(holder) = self.holder() {
            holder.stopper.stop();
        }
    }

    pub(super) fn enter(&self, holder: Holder) -> Place<'_> {
        let serial = holder.serial;
        self.begin(Arc::clone(&holder.stats));
        *lock(&self.holder) = Some(holder);
        Place { line: self, serial }
    }

    fn begin(&self, stats: Arc<Stats>) {
        lock(&self.sessions).begin(stats);
    }

    /// A connection of ours feeds it, until what is returned goes.
    pub(super) fn fetch(&self, stats: Arc<Stats>) -> Feeder<'_> {
        *lock(&self.fetched) = Some(Arc::clone(&stats));
        self.told.store(false, Relaxed);
        self.begin(stats);
        Feeder(self)
    }

    /// Where the connection that feeds it counts, whoever made it.
    pub(crate) fn stats(&self) -> Option<Arc<Stats>> {
        let pushed = self.holder().map(|h| h.stats);
        pushed.or_else(|| lock(&self.fetched).clone())
    }

    /// Whether something has come over our connection, and nobody was told of that yet.
    pub(super) fn has_connected(&self) -> bool {
        let stats = lock(&self.fetched).clone();
        stats.is_some_and(|stats| stats.figures().bytes > 0) && !self.told.swap(true, Relaxed)
    }

    /// Waits until a publisher has left, for a moment.
    pub(super) async fn released(&self, serial: u64) {
        let mut left = self.left.subscribe();
        let gone = left.wait_for(|last| *last >= serial);
        let _ = timeout(FAREWELL, gone).await;
    }

    pub(super) fn note_error(&self, message: String) {
        let mut errors = lock(&self.errors);
        errors.truncate(ERRORS - 1);
        errors.push_front(LastError::now(message));
    }

    /// The last ones, the newest first.
    pub(crate) fn errors(&self) -> Vec<LastError> {
        lock(&self.errors).iter().cloned().collect()
    }

    /// Called every second or so.
    pub(super) fn sample(&self, now: Instant) {
        lock(&self.sessions).sample(now);
    }

    pub(crate) fn rates(&self) -> Option<Rates> {
        lock(&self.sessions).rates()
    }

    pub(crate) fn totals(&self) -> Totals {
        lock(&self.sessions).totals()
    }
}

/// A connection of ours, for as long as it lasts.
pub(super) struct Feeder<'a>(&'a Line);

impl Drop for Feeder<'_> {
    fn drop(&mut self) {
        *lock(&self.0.fetched) = None;
        lock(&self.0.sessions).end();
    }
}

/// The right to feed an input, given back when it goes, however it goes.
pub(super) struct Place<'a> {
    line: &'a Line,
    serial: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mine = lock(&self.line.holder).take_if(|h| h.serial == self.serial);
        if mine.is_some() {
            lock(&self.line.sessions).end();
        }
        self.line.left.send_replace(self.serial);
    }
}
