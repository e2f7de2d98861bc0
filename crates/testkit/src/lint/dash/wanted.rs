//! What is to be fetched, and when.

use std::collections::BTreeMap;

use media::Timestamp;

/// Something to fetch, and to hand to `Linter::take`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// As the MPD has it, relative to that.
    pub uri: String,
    /// What it is.
    pub what: What,
    /// The Representation it belongs to; empty where it is of none.
    pub representation: String,
    /// The number of a segment.
    pub number: u64,
    /// How often it was asked for in vain.
    pub tries: u32,
}

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The MPD, by who follows it.
    Mpd,
    /// The MPD, by who comes anew.
    Join,
    /// The classic face of a low-latency MPD.
    Classic,
    /// The time.
    Time,
    /// An initialisation section.
    Init,
    /// A segment, from when on it may be asked for.
    Segment,
    /// A segment that is not begun.
    Ahead,
    /// A segment that is about to leave the time shift buffer, or was there before us.
    Again,
    /// A number that nobody may ask for yet.
    Far,
    /// A segment as HLS has it.
    Hls,
    /// A segment as another server has it.
    Peer,
}

impl Wanted {
    pub(super) fn new(what: What, uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            what,
            representation: String::new(),
            number: 0,
            tries: 0,
        }
    }

    pub(super) fn of(what: What, uri: &str, representation: &str, number: u64) -> Self {
        Self {
            representation: representation.to_owned(),
            number,
            ..Self::new(what, uri)
        }
    }
}

/// What is due at some time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<(Timestamp, u64), Wanted>,
    count: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Timestamp, wanted: Wanted) {
        self.count += 1;
        self.waiting.insert((at, self.count), wanted);
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Wanted> {
        let later = self.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.waiting, later);
        due.into_values().collect()
    }
}
