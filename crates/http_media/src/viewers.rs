//! Who watches: an HTTP viewer is one (address, agent) seen of late.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// Beyond this many nobody is counted any more.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Viewers {
    seen: Mutex<HashMap<u64, Instant>>,
}

impl Viewers {
    pub(crate) fn note(&self, address: IpAddr, agent: &[u8], now: Instant) {
        let mut hasher = DefaultHasher::new();
        (address, agent).hash(&mut hasher);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let viewer = hasher.finish();
        if seen.len() < MOST || seen.contains_key(&viewer) {
            seen.insert(viewer, now);
        }
    }

    /// How many were seen within `window`; forgets the others.
    pub(crate) fn count(&self, window: Duration, now: Instant) -> usize {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| now.duration_since(*at) <= window);
        seen.len()
    }
}
