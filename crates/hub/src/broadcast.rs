//! One broadcast: the window behind its lock, and what its readers may ask.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use media::{Frame, Timestamp, Track};

use crate::counters::{Counters, Tally};
use crate::demand::Board;
use crate::event::EndReason;
use crate::relay::{Bell, Seats};
use crate::subscriber::{Options, Subscriber};
use crate::sync::Mutex;
use crate::wall::WallTime;
use crate::window::{Limits, Window};

/// A broadcast as readers hold it. Cloning it counts a reference.
#[derive(Debug, Clone)]
pub struct Broadcast {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) bell: Mutex<Bell>,
    pub(crate) tally: Tally,
    pub(crate) demand: Board,
}

/// What one lock holds together: nobody may look and then wait under two.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) window: Window,
    pub(crate) seats: Seats,
    pub(crate) wall: Option<WallTime>,
}

/// One group as it lies in the window.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its id: the time of its random-access point.
    pub id: Timestamp,
    /// Its tracks.
    pub tracks: Arc<[Track]>,
    /// Its frames so far, in the order in which they came; the first one is the random-access point.
    pub frames: Vec<Frame>,
}

impl Shared {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::new(State {
                window: Window::new(limits),
                seats: Seats::default(),
                wall: None,
            }),
            bell: Mutex::new(Bell::default()),
            tally: Tally::default(),
            demand: Board::default(),
        }
    }

    pub(crate) fn end(&self, reason: EndReason) {
        self.state.lock().window.end(reason);
        self.ring(true);
    }
}

impl Broadcast {
    /// Follows the broadcast from the newest group, or the next one. One that has ended still
    /// gives its newest group.
    #[must_use]
    pub fn subscribe(&self, options: Options) -> Subscriber {
        Subscriber::new(Arc::clone(&self.shared), options)
    }

    /// Whether this is the very same one: not another that has its name now.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The tracks of the newest group; empty before the first one.
    #[must_use]
    pub fn tracks(&self) -> Arc<[Track]> {
        Arc::clone(self.shared.state.lock().window.tracks())
    }

    /// The frames of the newest `groups` groups that are held whole, oldest first; what a switch
    /// between broadcasts is planned on. Copies references, so it is not for every frame.
    #[must_use]
    pub fn recent(&self, groups: usize) -> Vec<Group> {
        self.shared.state.lock().window.recent(groups)
    }

    /// The newest pair of a time of this broadcast and UTC, if its source ever told one.
    #[must_use]
    pub fn wall_time(&self) -> Option<WallTime> {
        self.shared.state.lock().wall
    }

    /// How often its source lost media: [`Broadcast::counters`] without the lock. A reader that was
    /// given a frame knows of what was lost before it.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.shared.tally.losses.load(Relaxed)
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<EndReason> {
        self.shared.state.lock().window.ended()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let held = self.shared.state.lock().window.bytes();
        self.shared.tally.read(held)
    }
}
