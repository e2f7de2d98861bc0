//! A linter for live DASH and low-latency DASH.
//!
//! [`Linter`] is pure, and drives itself: it tells what is due to be fetched and when, takes the
//! answers with the times at which their bytes came, and what breaks a [`Rule`](super::Rule) comes
//! out as a [`Report`](super::Report). `poll::dash` fetches for it. It follows the MPD as a player
//! does and asks for each number of each Representation from when on that is promised, and once more
//! before the promise ends.
//!
//! Its judgement of a number waits for an MPD that is young enough to know of it: a player may hold
//! an older one when it asks.

mod answers;
mod body;
mod history;
mod init;
mod line;
mod linter;
mod mpd;
mod numbers;
mod segment;
mod settle;
mod single;
mod track;
mod wanted;
mod xml;

use media::{Span, Timestamp};

pub use linter::Linter;
pub use wanted::{Wanted, What};

/// Which face of a stream is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Low latency.
    #[default]
    Low,
    /// Without it: `?ll=0`.
    Classic,
}

/// What is allowed beyond the letter of a rule, and how often is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// PACE: what the encoder's pacing and the loopback add between two chunks.
    pub slack: Span,
    /// PACE: how long after its media a chunk may come: what encoding takes, mostly.
    pub behind: Span,
    /// D4: how far the programme may run ahead of UTC.
    pub lead: Span,
    /// Between two rounds of requests that players make seldom.
    pub probes: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            slack: Span::from_millis(50),
            behind: Span::from_millis(300),
            lead: Span::from_secs(2),
            probes: Span::from_secs(5),
        }
    }
}

/// What UTC was at time zero of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Utc(Timestamp);

impl Utc {
    pub(crate) fn of(self, run: Timestamp) -> Timestamp {
        self.0 + (run - Timestamp::ZERO)
    }

    pub(crate) fn run(self, utc: Timestamp) -> Timestamp {
        Timestamp::ZERO + (utc - self.0)
    }
}

#[cfg(test)]
mod tests;
