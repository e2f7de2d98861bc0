//! What the programme's task shows to those who look.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use media::{Span, Timestamp};

use crate::fault::Fault;
use crate::history::History;
use crate::selector::InputId;
use crate::timeline::{Counters, Timeline};

/// One input as the programme sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputState {
    /// Which one.
    pub id: InputId,
    /// What is wrong with it, if anything.
    pub fault: Option<Fault>,
    /// Since when that has been so.
    pub since: Timestamp,
    /// The silence that is a fault, while it is connected.
    pub silent_after: Option<Span>,
}

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The input that feeds the programme.
    pub active: Option<InputId>,
    /// The input that it is held on by hand.
    pub pinned: Option<InputId>,
    /// Whether the slate is shown.
    pub slate: bool,
    /// In the order of the configuration, the slate last.
    pub inputs: Vec<InputState>,
    /// The last switches.
    pub history: History,
    /// What happened on the timeline.
    pub counters: Counters,
}

/// Where the programme's task writes it.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
    lead_ns: AtomicI64,
}

impl Board {
    /// Everything now.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// How far the programme runs ahead of UTC.
    #[must_use]
    pub fn lead(&self) -> Span {
        Span::from_nanos(self.lead_ns.load(Relaxed))
    }

    pub(crate) fn show_time(&self, timeline: &Timeline) {
        self.lead_ns.store(timeline.lead().as_nanos(), Relaxed);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
