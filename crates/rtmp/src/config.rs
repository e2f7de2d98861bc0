//! Bounds of a session. Everything a peer can grow has one.

use std::time::Duration;

use crate::chunk::Limits;

/// Bounds of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The longest message that is taken from an accepted publisher, in bytes.
    pub message_bytes: usize,
    /// All bytes that are taken before a publish request, and the longest message among them.
    pub request_bytes: usize,
    /// How long a peer may take from connecting to its request.
    pub request_timeout: Duration,
    /// How long an accepted publisher may be silent.
    pub read_timeout: Duration,
    /// How long a peer may take to read what is sent to it.
    pub write_timeout: Duration,
    /// The most chunk streams of a session.
    pub chunk_streams: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            message_bytes: 8 << 20,
            request_bytes: 64 << 10,
            request_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            chunk_streams: 64,
        }
    }
}

impl Config {
    /// Of messages before any media is agreed on.
    pub(crate) const fn before_media(&self) -> Limits {
        Limits {
            message: self.request_bytes / 4,
            streams: self.chunk_streams,
        }
    }

    /// Of messages that carry media.
    pub(crate) const fn media(&self) -> Limits {
        Limits {
            message: self.message_bytes,
            streams: self.chunk_streams,
        }
    }
}
