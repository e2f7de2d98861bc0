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
    /// More bytes than a peer may send before media is agreed on.
    #[error("over {0} bytes before media was agreed on")]
    TooMuch(usize),
    /// Too slow.
    #[error("timed out while {0}")]
    TimedOut(&'static str),
    /// It hung up before media was agreed on.
    #[error("closed before media was agreed on")]
    Closed,
    /// The server that we called does not want.
    #[error("refused: {code}: {description}")]
    Refused {
        /// Its status code, such as `NetStream.Play.StreamNotFound`.
        code: String,
        /// What it said.
        description: String,
    },
}

impl ErrorKind {
    /// Whether it will hardly be another the next time.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Handshake(_))
    }

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
            Self::Refused { .. } => "refused",
        }
    }
}
