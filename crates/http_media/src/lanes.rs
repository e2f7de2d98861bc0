//! Segments as they grow, for readers who take each chunk as it is made. A writer adds to a list
//! and wakes; each reader has a place in that list, and nothing is queued for it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use packager::{Init, Release, What};
use tokio::sync::watch;

/// So many of a track's last segments are here: playlists are behind, after a hole by two segments.
const KEPT: usize = 4;

/// One lane for each track.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Mutex<HashMap<Arc<str>, watch::Sender<Lane>>>,
    /// The newest number of all.
    newest: watch::Sender<Option<u64>>,
}

/// The newest segments of a track.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    segments: VecDeque<Arc<Growing>>,
    /// The newest number.
    pub(crate) last: Option<u64>,
    /// The track is gone: it has none of the numbers that begin elsewhere.
    pub(crate) gone: bool,
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
    /// There was more to come, and who would have made it is gone.
    broken: bool,
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
        (self.last, self.gone) = (Some(number), false);
    }

    fn end(&self) {
        if let Some(open) = self.segments.back() {
            open.grown
                .send_if_modified(|g| !std::mem::replace(&mut g.ended, true));
        }
    }
}

impl Lanes {
    /// Passes news on to those who read or wait. Whether it is the first of a track, for which
    /// nobody could wait yet.
    pub(crate) fn release(&self, Release { media, what }: Release) -> bool {
        let (lane, is_new) = self.lane(&media);
        match what {
            What::Here => {
                let newest = *self.newest.borrow();
                lane.send_modify(|lane| (lane.last, lane.gone) = (lane.last.max(newest), false));
            }
            What::Begin { number, init } => {
                lane.send_modify(|lane| lane.begin(number, init));
                let newer = |newest: &mut Option<u64>| {
                    let newer = *newest < Some(number);
                    *newest = (*newest).max(Some(number));
                    newer
                };
                self.newest.send_if_modified(newer);
            }
            What::Chunk(buffers) => {
                let open = lane.borrow().segments.back().cloned();
                if let Some(open) = open {
                    open.grown.send_modify(|g| g.buffers.extend(buffers));
                }
            }
            What::End => lane.borrow().end(),
            What::Never { number } => lane.send_modify(|lane| lane.last = Some(number)),
            What::Gone => {
                lane.send_modify(|lane| {
                    lane.end();
                    lane.gone = true;
                });
            }
        }
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, watch::Sender<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody is woken under the lock: who is asks for lanes.
    fn lane(&self, media: &Arc<str>) -> (watch::Sender<Lane>, bool) {
        let mut lanes = self.lock();
        match lanes.get(media) {
            Some(lane) => (lane.clone(), false),
            None => (lanes.entry(Arc::clone(media)).or_default().clone(), true),
        }
    }

    /// Forgets tracks that are gone and nobody is told of.
    pub(crate) fn forget(&self, told: impl Fn(&str) -> bool) {
        self.lock()
            .retain(|media, lane| !lane.borrow().gone || told(media));
    }

    /// The newest number of all tracks.
    pub(crate) fn newest(&self) -> watch::Receiver<Option<u64>> {
        self.newest.subscribe()
    }

    /// The lane of a track, where it has one.
    pub(crate) fn watch(&self, media: &str) -> Option<watch::Receiver<Lane>> {
        self.lock().get(media).map(watch::Sender::subscribe)
    }

    /// Nobody makes more of what is open: who has a part of it shall not take it for the whole.
    pub(crate) fn close(&self) {
        for lane in self.lock().values() {
            if let Some(open) = lane.borrow().segments.back() {
                open.grown.send_if_modified(|g| {
                    g.broken |= !g.ended;
                    g.broken
                });
            }
        }
    }
}

impl Growing {
    /// What is there at once, what comes as it comes, behind `before`.
    pub(crate) fn body(&self, before: Option<Bytes>, delivered: &Arc<AtomicU64>) -> Body {
        let grown = self.grown.subscribe();
        let reader = Some((grown, 0, Arc::clone(delivered), before));
        Body::from_stream(stream::unfold(reader, |reader| async {
            let (mut grown, mut at, delivered, mut before) = reader?;
            let next = match before.take() {
                Some(before) => Ok(Some(before)),
                None => next(&mut grown, &mut at).await,
            };
            match next {
                Ok(next) => {
                    let next = next?;
                    delivered.fetch_add(next.len() as u64, Relaxed);
                    Some((Ok(next), Some((grown, at, delivered, None))))
                }
                Err(broken) => Some((Err(broken), None)),
            }
        }))
    }
}

/// The buffer at `at`, once it is there; `None` at the end.
async fn next(grown: &mut watch::Receiver<Grown>, at: &mut usize) -> io::Result<Option<Bytes>> {
    loop {
        let (next, ended, broken) = {
            let grown = grown.borrow_and_update();
            (grown.buffers.get(*at).cloned(), grown.ended, grown.broken)
        };
        if next.is_some() {
            *at += 1;
            return Ok(next);
        }
        if broken {
            return Err(io::Error::other("the segment was not finished"));
        }
        if ended || grown.changed().await.is_err() {
            return Ok(None);
        }
    }
}
