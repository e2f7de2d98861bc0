//! What was switched, and what it cost.

use std::collections::VecDeque;

use media::{Span, Timestamp};

use crate::selector::{InputId, Reason};

/// Switches that are remembered.
pub const REMEMBERED: usize = 50;

/// How the programme went from one input to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Both carry the same bytes: it went on with the next frame.
    Equal,
    /// At a random-access point of the other, what that held of it included.
    Cached,
    /// At the next random-access point of the other.
    Next,
    /// Both tell the time of one clock: at the random-access point at or before the point of equal
    /// time.
    Clock,
    /// A transcoder reads the programme: on UTC, from a group on that was there before the programme
    /// ended. What lies before that end is decoded and not shown.
    Overlap,
}

impl Class {
    /// The lower-case name, as used in the API and in metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Cached => "cached",
            Self::Next => "next",
            Self::Clock => "clock",
            Self::Overlap => "overlap",
        }
    }
}

/// One switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Counts the switches of a stream, from 1.
    pub number: u64,
    /// When the programme was fed by the new input.
    pub at: Timestamp,
    /// The input before, if there was one.
    pub from: Option<InputId>,
    /// The input that feeds the programme since.
    pub to: InputId,
    /// Why.
    pub reason: Reason,
    /// Of free will, rather than because the one before failed.
    pub voluntary: bool,
    /// How it was entered.
    pub class: Class,
    /// From the last frame of the one before to the decision; zero where it still delivered.
    pub detection: Span,
    /// For how long nothing was written to the programme, at or behind its end.
    pub wall_silence: Span,
    /// Media of the new input that was there already and is replayed: at most so much is repeated;
    /// just so much, but for reordered pictures, where it was entered by the clock.
    pub replayed: Span,
    /// How far the programme ran ahead of UTC afterwards.
    pub lead: Span,
    /// Whether a gap in programme time lies before it.
    pub gap: bool,
}

/// The last switches, the newest last.
#[derive(Debug, Clone, Default)]
pub struct History {
    switches: VecDeque<Switch>,
    total: u64,
}

impl History {
    /// The last switches, the newest last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Switch> {
        self.switches.iter()
    }

    /// How many there were in all.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn add(&mut self, mut switch: Switch) -> Switch {
        self.total += 1;
        switch.number = self.total;
        if self.switches.len() == REMEMBERED {
            self.switches.pop_front();
        }
        self.switches.push_back(switch.clone());
        switch
    }
}
