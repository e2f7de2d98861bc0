//! What readers were sent, counted alike whatever carries it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What readers of a broadcast were sent; one may serve many.
#[derive(Debug, Default)]
pub struct Sent {
    /// Bytes given to connections.
    pub bytes: AtomicU64,
    /// Times that a slow one went on with a later group.
    pub skips: AtomicU64,
    /// Frames that slow ones did not get.
    pub skipped_frames: AtomicU64,
}

impl Sent {
    /// So many bytes more were given to a connection.
    pub fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// One went on with a later group.
    pub fn skipped(&self, frames: u64) {
        self.skips.fetch_add(1, Relaxed);
        self.skipped_frames.fetch_add(frames, Relaxed);
    }
}
