//! What became of one hook's deliveries, for those who look.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use store::Backlog;
use utoipa::ToSchema;

use crate::runtime::{lock, utc_ms};

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    waiting: AtomicU64,
    dead: AtomicU64,
    delivered: AtomicU64,
    failures: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicBool,
    last: Mutex<Last>,
}

#[derive(Debug, Default, Clone)]
struct Last {
    delivered_ms: Option<i64>,
    status: Option<u16>,
    error: Option<String>,
    error_ms: Option<i64>,
}

/// How a hook's deliveries are going.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HookFigures {
    /// Whether the receiver failed five times in a row, and has taken nothing since.
    pub(crate) failing: bool,
    /// Events that wait.
    pub(crate) waiting: u64,
    /// Dead letters: refused for good, or not taken for too long.
    pub(crate) dead: u64,
    /// Events that were taken, since the server started.
    pub(crate) delivered: u64,
    /// Requests that failed, since the server started.
    pub(crate) failures: u64,
    /// Events that were dropped because too many waited, since the server started.
    pub(crate) dropped: u64,
    /// When something was taken last, Unix milliseconds.
    last_delivered_ms: Option<i64>,
    /// What the receiver answered last.
    last_status: Option<u16>,
    /// What went wrong last.
    last_error: Option<String>,
    /// When, Unix milliseconds.
    last_error_ms: Option<i64>,
}

impl Tally {
    /// What the store says; `None` where it has nothing.
    pub(super) fn counted(&self, backlog: Option<&Backlog>) {
        let (waiting, dead) = backlog.map_or((0, 0), |found| (found.pending, found.dead));
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        self.waiting.store(count(waiting), Relaxed);
        self.dead.store(count(dead), Relaxed);
    }

    pub(super) fn more(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    fn fewer(&self, count: usize) {
        let count = count as u64;
        let _ = self
            .waiting
            .fetch_update(Relaxed, Relaxed, |n| Some(n.saturating_sub(count)));
    }

    pub(super) fn taken(&self, count: usize) {
        self.fewer(count);
        self.delivered.fetch_add(count as u64, Relaxed);
        lock(&self.last).delivered_ms = Some(utc_ms());
    }

    pub(super) fn died(&self, count: usize) {
        self.fewer(count);
        self.dead.fetch_add(count as u64, Relaxed);
    }

    /// Dead letters that are kept no longer.
    pub(super) fn forgot_dead(&self, kept: u64) {
        self.dead.fetch_min(kept, Relaxed);
    }

    pub(super) fn dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    pub(super) fn shed(&self, count: u64) {
        self.fewer(usize::try_from(count).unwrap_or(usize::MAX));
        self.dropped(count);
    }

    pub(super) fn answered(&self, status: Option<u16>, error: Option<String>) {
        let mut last = lock(&self.last);
        last.status = status;
        if error.is_some() {
            self.failures.fetch_add(1, Relaxed);
            last.error = error;
            last.error_ms = Some(utc_ms());
        }
    }

    /// Whether that is new.
    pub(super) fn set_failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Relaxed) != failing
    }

    pub(super) fn figures(&self) -> HookFigures {
        let last = lock(&self.last).clone();
        HookFigures {
            failing: self.failing.load(Relaxed),
            waiting: self.waiting(),
            dead: self.dead.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            failures: self.failures.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            last_delivered_ms: last.delivered_ms,
            last_status: last.status,
            last_error: last.error,
            last_error_ms: last.error_ms,
        }
    }
}
