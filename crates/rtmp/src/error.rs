//! What ends a session, with the place in it.

use std::net::SocketAddr;

use crate::amf::AmfError;
use crate::chunk::ChunkError;

/// What went wrong with one connection.
#[derive(Debug, thiserror::Error)]
#[error("{peer} at byte {position}: {kind}")]
pub struct Error {
    /// The other end.
    pub peer: SocketAddr,
    /// Bytes read from it so far.
    pub position: u64,
    /// What it was.
    pub kind: ErrorKind,
}

/// Kinds of failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The handshake is none.
    #[error("handshake: {0}")]
    Handshake(String),
    /// A chunk breaks the protocol or a bound.
    #[error("chunk: {0}")]
    Chunk(#[from] ChunkError),
    /// A command that cannot be read.
    #[error("command: {0}")]
    Amf(#[from] AmfError),
    /// A media message that cannot be read.
    #[error("media: {0}")]
    Media(#[from] container::flv::FlvError),
    /// More bytes than a peer may send before it says what it wants.
    #[error("over {0} bytes without a request")]
    TooMuch(usize),
    /// Too slow.
    #[error("timed out while {0}")]
    TimedOut(&'static str),
    /// It hung up before it asked for anything.
    #[error("closed before a request")]
    Closed,
}

impl ErrorKind {
    /// A short name for metric labels.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Handshake(_) => "handshake",
            Self::Chunk(_) => "chunk",
            Self::Amf(_) => "command",
            Self::Media(_) => "media",
            Self::TooMuch(_) => "too_much",
            Self::TimedOut(_) => "timeout",
            Self::Closed => "closed",
        }
    }
}
