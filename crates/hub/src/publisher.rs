//! The only right to write to a broadcast.

use std::sync::Arc;

use media::{Frame, Track};

use crate::broadcast::{Broadcast, Shared};
use crate::counters::{Counters, add};
use crate::demand::Demand;
use crate::event::EndReason;
use crate::presentation::Place;
use crate::wall::WallTime;
use crate::window::Pushed;

/// Why a frame was not taken. The writer may go on with the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No group is open and the frame is no random-access point of the lead track.
    #[error("no group is open and this is no random-access point")]
    MissingKeyframe,
    /// The presentation was dropped and its broadcasts with it: no frame will be taken any more.
    #[error("the presentation is gone")]
    Ended,
}

impl Refused {
    /// As counters name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingKeyframe => "before the first keyframe",
            Self::Ended => "the presentation is gone",
        }
    }
}

/// Writes frames. Dropping it ends the broadcast with [`EndReason::Dropped`] and frees its id in
/// the presentation.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    reason: EndReason,
    place: Place,
    /// Evicted frames on their way out; reused.
    dead: Vec<Frame>,
}

impl Publisher {
    pub(crate) fn new(shared: Arc<Shared>, place: Place) -> Self {
        Self {
            shared,
            reason: EndReason::Dropped,
            place,
            dead: Vec::new(),
        }
    }

    /// The tracks, from the next group on. The first video among them, else the first audio, is
    /// the lead track: its random-access points open groups. Sound alone opens one about every
    /// second.
    pub fn set_tracks(&mut self, tracks: Arc<[Track]>) {
        self.shared.state.lock().window.set_tracks(tracks);
    }

    /// The next group comes from another source.
    pub fn splice(&mut self) {
        self.shared.state.lock().window.splice();
    }

    /// What the source says that its time is: told before the frame that it dates is pushed.
    pub fn set_wall_time(&mut self, wall: WallTime) {
        self.shared.state.lock().wall = Some(wall);
    }

    /// Media is missing before the frame that is pushed next, and the source did not say so: told
    /// for each hole, whatever its length.
    pub fn note_loss(&mut self) {
        add(&self.shared.tally.losses, 1);
    }

    /// Appends a frame and wakes the readers. Takes the same time for any number of them.
    ///
    /// # Errors
    /// [`Refused::MissingKeyframe`] for a frame that cannot begin a group where none is open.
    /// [`Refused::Ended`] once the presentation was dropped. Both are counted.
    pub fn push(&mut self, frame: Frame) -> Result<(), Refused> {
        let bytes = frame.payload.len() as u64;
        // The first clone of a payload may allocate its count: here, not under a reader's lock.
        drop(frame.payload.clone());
        let mut state = self.shared.state.lock();
        let pushed = state.window.push(frame, &mut self.dead);
        drop(state);
        self.dead.clear();
        let pushed = pushed.inspect_err(|_| add(&self.shared.tally.refused, 1))?;
        self.count(bytes, pushed);
        self.shared.ring(false);
        Ok(())
    }

    fn count(&self, bytes: u64, pushed: Pushed) {
        let tally = &self.shared.tally;
        add(&tally.frames, 1);
        add(&tally.bytes, bytes);
        add(&tally.evicted, pushed.evicted);
        add(&tally.torn, u64::from(pushed.torn));
        if pushed.opened {
            add(&tally.groups, 1);
            self.shared.demand.answer_keyframe();
        }
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

    /// What was counted so far, its readers' doings included.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.broadcast().counters()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.end(self.reason);
        self.place.release();
    }
}
