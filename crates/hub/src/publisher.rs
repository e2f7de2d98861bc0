//! The only right to write to a broadcast.

use std::sync::Arc;

use media::{Frame, Track};

use crate::broadcast::{Broadcast, Shared};
use crate::counters::{Counters, add};
use crate::demand::Demand;
use crate::event::EndReason;

/// Why a frame was not taken. The writer may go on with the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No group is open and the frame is no random-access point of the lead track.
    #[error("no group is open and this is no random-access point")]
    MissingKeyframe,
}

/// Writes frames. Dropping it ends the broadcast with [`EndReason::Dropped`].
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    reason: EndReason,
    /// Frees the rendition's place.
    on_end: Option<Box<dyn Releases>>,
}

pub(crate) trait Releases: std::fmt::Debug + Send + Sync {
    fn release(&self);
}

impl Publisher {
    pub(crate) fn new(shared: Arc<Shared>, on_end: Box<dyn Releases>) -> Self {
        Self {
            shared,
            reason: EndReason::Dropped,
            on_end: Some(on_end),
        }
    }

    /// The tracks, from the next group on.
    pub fn set_tracks(&mut self, tracks: Arc<[Track]>) {
        self.shared.state.lock().window.set_tracks(tracks);
    }

    /// Appends a frame and wakes the readers. Never waits for one of them.
    ///
    /// # Errors
    /// A frame that cannot begin a group where none is open.
    pub fn push(&mut self, frame: Frame) -> Result<(), Refused> {
        let bytes = frame.payload.len() as u64;
        let tally = &self.shared.tally;
        let Some(pushed) = self.shared.state.lock().window.push(frame) else {
            add(&tally.refused, 1);
            return Err(Refused::MissingKeyframe);
        };
        add(&tally.frames, 1);
        add(&tally.bytes, bytes);
        add(&tally.groups, u64::from(pushed.opened));
        add(&tally.evicted, pushed.evicted);
        self.shared.ring(false);
        Ok(())
    }

    /// Ends the broadcast. Readers get what is left, then the reason.
    pub fn end(mut self, reason: EndReason) {
        self.reason = reason;
    }

    /// What readers want of the source.
    #[must_use]
    pub fn demand(&self) -> Demand {
        self.shared.demand.watch()
    }

    /// The broadcast, as readers hold it.
    #[must_use]
    pub fn broadcast(&self) -> Broadcast {
        Broadcast {
            shared: Arc::clone(&self.shared),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.broadcast().counters()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.state.lock().window.ended = Some(self.reason);
        self.shared.ring(true);
        if let Some(place) = self.on_end.take() {
            place.release();
        }
    }
}
