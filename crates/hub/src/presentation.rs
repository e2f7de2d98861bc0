//! Names, and the set of renditions behind each.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::broadcast::{Broadcast, Shared};
use crate::event::EndReason;
use crate::publisher::Publisher;
use crate::relay::Relay;
use crate::sync::Mutex;
use crate::window::Limits;

/// Somebody else has the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is taken")]
pub struct NameTaken(pub String);

/// The presentation already has a rendition of this id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rendition {0} is taken")]
pub struct RenditionTaken(pub String);

/// Names and what is published under them. Cloning it counts a reference.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    names: Arc<Names>,
}

#[derive(Debug, Default)]
struct Names {
    table: Mutex<HashMap<String, Listing>>,
    /// Counts announcements, for those who wait for one.
    announced: watch::Sender<u64>,
}

/// One quality of a presentation.
#[derive(Debug, Clone)]
pub struct Rendition {
    /// Unique within the presentation.
    pub id: Arc<str>,
    /// Its frames.
    pub broadcast: Broadcast,
}

#[derive(Debug)]
struct Set {
    renditions: watch::Sender<Arc<[Rendition]>>,
    closed: watch::Sender<bool>,
}

impl Hub {
    /// A hub without names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Claims a name. Dropping the presentation frees it.
    ///
    /// # Errors
    /// The name is taken.
    pub fn announce(&self, name: &str) -> Result<Presentation, NameTaken> {
        let set = Arc::new(Set {
            renditions: watch::Sender::new(Arc::new([])),
            closed: watch::Sender::new(false),
        });
        let listing = Listing {
            set: Arc::clone(&set),
            seen: set.renditions.subscribe(),
        };
        let mut table = self.names.table.lock();
        if table.contains_key(name) {
            return Err(NameTaken(name.to_owned()));
        }
        table.insert(name.to_owned(), listing);
        drop(table);
        self.names.announced.send_modify(|n| *n += 1);
        Ok(Presentation {
            name: name.to_owned(),
            set,
            names: Arc::downgrade(&self.names),
        })
    }

    /// What is published under a name now.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Listing> {
        self.names.table.lock().get(name).cloned()
    }

    /// What is published under a name, as soon as something is: at once, where it already is.
    pub async fn wait(&self, name: &str) -> Listing {
        let mut announced = self.names.announced.subscribe();
        loop {
            announced.borrow_and_update();
            if let Some(listing) = self.get(name) {
                return listing;
            }
            if announced.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The right to publish under a name: 1..N renditions, a set that may change at any time. Dropping
/// it frees the name at once and ends every broadcast in it, whoever still writes.
#[derive(Debug)]
pub struct Presentation {
    name: String,
    set: Arc<Set>,
    names: Weak<Names>,
}

impl Presentation {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a rendition. It lasts as long as its publisher; the relay must run beside it.
    ///
    /// # Errors
    /// The id is taken.
    pub fn add(&self, id: &str, limits: Limits) -> Result<(Publisher, Relay), RenditionTaken> {
        let shared = Arc::new(Shared::new(limits));
        let rendition = Rendition {
            id: id.into(),
            broadcast: Broadcast {
                shared: Arc::clone(&shared),
            },
        };
        let mut taken = false;
        self.set.renditions.send_if_modified(|set| {
            taken = set.iter().any(|r| *r.id == *id);
            if !taken {
                *set = set.iter().cloned().chain([rendition]).collect();
            }
            !taken
        });
        if taken {
            return Err(RenditionTaken(id.to_owned()));
        }
        let place = Place {
            set: Arc::downgrade(&self.set),
            id: id.into(),
        };
        let relay = Relay {
            shared: Arc::clone(&shared),
        };
        Ok((Publisher::new(shared, place), relay))
    }

    /// Puts renditions into the order of these ids; others stay behind them as they are. Whoever
    /// asks for none gets the first one.
    pub fn arrange(&self, ids: &[&str]) {
        let at = |r: &Rendition| ids.iter().position(|id| *r.id == **id).unwrap_or(ids.len());
        self.set.renditions.send_if_modified(|set| {
            let moves = !set.is_sorted_by_key(at);
            if moves {
                let mut sorted = set.to_vec();
                sorted.sort_by_key(at);
                *set = sorted.into();
            }
            moves
        });
    }
}

impl Drop for Presentation {
    fn drop(&mut self) {
        if let Some(names) = self.names.upgrade() {
            names.table.lock().remove(&self.name);
        }
        let renditions = Arc::clone(&self.set.renditions.borrow());
        for rendition in renditions.iter() {
            rendition.broadcast.shared.end(EndReason::Dropped);
        }
        self.set.closed.send_replace(true);
    }
}

/// A rendition's place in its presentation, freed when its publisher goes.
#[derive(Debug)]
pub(crate) struct Place {
    set: Weak<Set>,
    id: Arc<str>,
}

impl Place {
    pub(crate) fn release(&self) {
        if let Some(set) = self.set.upgrade() {
            set.renditions.send_modify(|set| {
                *set = set.iter().filter(|r| r.id != self.id).cloned().collect();
            });
        }
    }
}

/// A presentation as readers hold it.
#[derive(Debug, Clone)]
pub struct Listing {
    set: Arc<Set>,
    seen: watch::Receiver<Arc<[Rendition]>>,
}

impl Listing {
    /// The renditions there are now. Marks them as seen for [`Listing::changed`].
    #[must_use]
    pub fn renditions(&mut self) -> Arc<[Rendition]> {
        Arc::clone(&self.seen.borrow_and_update())
    }

    /// Waits until the set is another than the one seen last. Cancelling it loses nothing.
    pub async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the name was given up.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.set.closed.borrow()
    }

    /// Waits until the name is given up. By then all its broadcasts have ended.
    pub async fn closed(&self) {
        let mut closed = self.set.closed.subscribe();
        // The sender lives in `self.set`, so the wait ends with the value alone.
        let _ = closed.wait_for(|closed| *closed).await;
    }
}
