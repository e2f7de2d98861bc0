//! Tracks, groups and frames between processes of ours: the transcoder's socket, later the relay
//! between nodes.
//!
//! A message is its length (32 bits, big-endian, of what follows), its kind (8 bits) and its body.
//! A group tells its id, so a reader that was cut off can ask for what follows the last one it has.
//! Payloads are passed on as they are: a writer gets head and payload apart, for one vectored
//! write; a reader's payloads are slices of what was received.

mod config;
mod cut;
mod read;
mod tracks;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use media::codec::CodecError;
use media::{Frame, Timestamp, Track};

pub use read::Reader;
pub use write::put;

/// The longest message that either end of a worker's socket takes: a picture of 8K that hardly
/// compresses.
pub const LONGEST: usize = 64 << 20;

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The tracks of a rendition, from its next group on.
    Tracks {
        /// Which of the presentation's renditions.
        rendition: u16,
        /// Its tracks.
        tracks: Arc<[Track]>,
    },
    /// The next frame of the rendition opens a group.
    Group {
        /// Which of the presentation's renditions.
        rendition: u16,
        /// The time of its random-access point.
        id: Timestamp,
        /// It comes from another source than the group before.
        spliced: bool,
        /// Frames are missing before it.
        lost: bool,
    },
    /// One access unit.
    Frame {
        /// Which of the presentation's renditions.
        rendition: u16,
        /// The access unit.
        frame: Frame,
    },
    /// What the two ends say to each other about it all: not this framing's business.
    Control(Bytes),
}

/// What cannot be read. Nothing that follows on the connection can be either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A message that is longer than allowed.
    #[error("a message of {length} bytes, {most} are the most")]
    TooLong {
        /// What it claims to be.
        length: usize,
        /// What was agreed on.
        most: usize,
    },
    /// A message that ends within one of its fields.
    #[error("a message is cut short")]
    CutShort,
    /// A kind of message, a codec or a role that this side does not know.
    #[error("{0} is not known")]
    Unknown(&'static str),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// A decoder configuration that cannot be read.
    #[error(transparent)]
    Config(#[from] CodecError),
}

/// The kinds of messages.
mod kind {
    pub(super) const TRACKS: u8 = 1;
    pub(super) const GROUP: u8 = 2;
    pub(super) const FRAME: u8 = 3;
    pub(super) const CONTROL: u8 = 4;
}

/// What a frame or group tells with one bit.
mod flag {
    pub(super) const RANDOM_ACCESS: u8 = 1;
    pub(super) const LEADING: u8 = 2;
    pub(super) const SPLICED: u8 = 1;
    pub(super) const LOST: u8 = 2;
}

#[cfg(test)]
mod tests;
