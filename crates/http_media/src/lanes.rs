//! Segments as they grow, for readers who take each chunk as it is made. A writer adds to a list
//! and wakes; each reader has a place in that list, and nothing is queued for it.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use packager::{Init, Release, What};
use tokio::sync::watch;

/// So many of a track's last segments are here: playlists are behind, after a hole by two segments.
const KEPT: usize = 4;

/// One lane for each track.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<Arc<str>, watch::Sender<Lane>>>);

/// The newest segments of a track.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    segments: VecDeque<Arc<Growing>>,
    /// The newest number.
    pub(crate) last: Option<u64>,
}

/// A segment that is being made, or was lately.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) number: u64,
    pub(crate) init: Arc<Init>,
    grown: watch::Sender<Grown>,
}

#[derive(Debug, Default)]
struct Grown {
    buffers: Vec<Bytes>,
    ended: bool,
}

impl Lane {
    pub(crate) fn segment(&self, number: u64) -> Option<&Arc<Growing>> {
        self.segments.iter().find(|s| s.number == number)
    }

    fn begin(&mut self, number: u64, init: Arc<Init>) {
        self.end();
        if self.segments.len() == KEPT {
            self.segments.pop_front();
        }
        self.segments.push_back(Arc::new(Growing {
            number,
            init,
            grown: watch::Sender::default(),
        }));
        self.last = Some(number);
    }

    fn end(&self) {
        if let Some(open) = self.segments.back() {
            open.grown
                .send_if_modified(|g| !std::mem::replace(&mut g.ended, true));
        }
    }
}

impl Lanes {
    /// Passes news on to those who read or wait.
    pub(crate) fn release(&self, Release { media, what }: Release) {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(Arc::clone(&media)).or_default();
        match what {
            What::Begin { number, init } => lane.send_modify(|lane| lane.begin(number, init)),
            What::Chunk(buffers) => {
                if let Some(open) = lane.borrow().segments.back() {
                    open.grown.send_modify(|g| g.buffers.extend(buffers));
                }
            }
            What::End => lane.borrow().end(),
            What::Gone => {
                lane.borrow().end();
                lanes.remove(&media);
            }
        }
    }

    /// The lane of a track, where it has one.
    pub(crate) fn watch(&self, media: &str) -> Option<watch::Receiver<Lane>> {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.get(media).map(watch::Sender::subscribe)
    }

    /// Nobody makes more of what is open.
    pub(crate) fn close(&self) {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.values().for_each(|lane| lane.borrow().end());
    }
}

impl Growing {
    /// What is there at once, what comes as it comes, behind `before`.
    pub(crate) fn body(&self, before: Option<Bytes>, delivered: &Arc<AtomicU64>) -> Body {
        let reader = (self.grown.subscribe(), 0, Arc::clone(delivered), before);
        Body::from_stream(stream::unfold(
            reader,
            |(mut grown, at, delivered, before)| async move {
                if let Some(before) = before {
                    return Some((Ok::<_, Infallible>(before), (grown, at, delivered, None)));
                }
                loop {
                    let (next, ended) = {
                        let grown = grown.borrow_and_update();
                        (grown.buffers.get(at).cloned(), grown.ended)
                    };
                    if let Some(next) = next {
                        delivered.fetch_add(next.len() as u64, Relaxed);
                        return Some((Ok(next), (grown, at + 1, delivered, None)));
                    }
                    if ended || grown.changed().await.is_err() {
                        return None;
                    }
                }
            },
        ))
    }
}
