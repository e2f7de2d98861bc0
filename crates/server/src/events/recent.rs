//! The last events that were committed, for those who follow along.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::record::Committed;

/// Who is further behind reads the database.
const KEPT: usize = 4_096;

#[derive(Debug)]
pub(super) struct Recent {
    events: RwLock<VecDeque<Arc<Committed>>>,
    last: watch::Sender<i64>,
}

impl Recent {
    pub(super) fn new(last: i64) -> Self {
        Self {
            events: RwLock::default(),
            last: watch::Sender::new(last),
        }
    }

    pub(super) fn add(&self, more: Vec<Arc<Committed>>) {
        let Some(last) = more.last().map(|event| event.id) else {
            return;
        };
        let mut events = self.events.write().unwrap_or_else(PoisonError::into_inner);
        events.extend(more);
        let over = events.len().saturating_sub(KEPT);
        events.drain(..over);
        drop(events);
        self.last.send_replace(last);
    }

    /// At most so many of those after `id`; `None` where some of them are no longer here.
    pub(super) fn after(&self, id: i64, most: usize) -> Option<Vec<Arc<Committed>>> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        if id >= *self.last.borrow() {
            return Some(Vec::new());
        }
        let first = events.front()?.id;
        let skip = usize::try_from(id + 1 - first).ok()?;
        Some(events.iter().skip(skip).take(most).cloned().collect())
    }

    /// The last id of all, as it grows.
    pub(super) fn last(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }
}
