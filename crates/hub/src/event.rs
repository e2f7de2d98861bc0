//! What a subscriber receives.

use std::sync::Arc;

use media::{Frame, Timestamp, Track};

/// Why a broadcast ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The source said that it was done.
    Finished,
    /// The publisher or its presentation was dropped without a word: a connection broke, a task
    /// ended.
    Dropped,
    /// The source was told to leave.
    Kicked,
}

/// One thing that happened in a broadcast, in the order in which it did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A group begins: what follows can be decoded with these tracks alone.
    Group {
        /// Programme time of its random-access point; equal ids are aligned across renditions.
        id: Timestamp,
        /// The tracks, until the next group says otherwise.
        tracks: Arc<[Track]>,
        /// Whether it comes from another source than the one before: how far apart they lie tells
        /// nothing about either.
        spliced: bool,
    },
    /// A frame of the group.
    Frame(Frame),
    /// The subscriber was too far behind and goes on with the newest group.
    Skipped {
        /// How many groups further on it continues; 1 is the next one. Told when that group is
        /// there.
        groups: u64,
        /// Frames left out, exactly.
        frames: u64,
    },
    /// Nothing more will come.
    End(EndReason),
}
