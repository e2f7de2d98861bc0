//! What was counted, by the handle that did it, and summed over a broadcast's life.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A copy of a broadcast's counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that were pushed.
    pub frames: u64,
    /// Payload bytes that were pushed.
    pub bytes: u64,
    /// Groups that were begun.
    pub groups: u64,
    /// Frames that were refused.
    pub refused: u64,
    /// Times that the source lost media.
    pub losses: u64,
    /// Frames that left the window.
    pub evicted: u64,
    /// Groups that alone passed the byte cap and lost their beginning.
    pub torn: u64,
    /// Times that a subscriber was moved on to the newest group.
    pub skips: u64,
    /// Frames that subscribers missed by that.
    pub skipped_frames: u64,
    /// Frames handed to subscribers.
    pub delivered: u64,
    /// Subscribers there are now.
    pub subscribers: u64,
    /// Bytes held now, as [`crate::Limits::cost`] counts them.
    pub held_bytes: u64,
}

/// One subscriber's own counters. From its first frame to its last, every frame of the broadcast is
/// in exactly one of `frames`, `leading` and `skipped_frames`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Frames that it was given.
    pub frames: u64,
    /// Leading pictures that were left out, because what they refer to was never given.
    pub leading: u64,
    /// Times that it was moved on.
    pub skips: u64,
    /// Groups that it was moved on by.
    pub skipped_groups: u64,
    /// Frames left out by that.
    pub skipped_frames: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) losses: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) torn: AtomicU64,
    pub(crate) skips: AtomicU64,
    pub(crate) skipped_frames: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) subscribers: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}

pub(crate) fn subtract(counter: &AtomicU64, by: u64) {
    counter.fetch_sub(by, Relaxed);
}

impl Tally {
    pub(crate) fn read(&self, held_bytes: usize) -> Counters {
        Counters {
            frames: self.frames.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            groups: self.groups.load(Relaxed),
            refused: self.refused.load(Relaxed),
            losses: self.losses.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            torn: self.torn.load(Relaxed),
            skips: self.skips.load(Relaxed),
            skipped_frames: self.skipped_frames.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            subscribers: self.subscribers.load(Relaxed),
            held_bytes: held_bytes as u64,
        }
    }
}
