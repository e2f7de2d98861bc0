//! The chunk layer (RTMP 1.0, 5.3): messages cut into chunks of several interleaved streams.

mod read;
mod write;

use bytes::Bytes;

pub use read::{Limits, Reader};
pub use write::Writer;

/// Before either side says otherwise (5.4.1).
const DEFAULT_CHUNK_SIZE: usize = 128;
/// A timestamp field that says that the true one follows (5.3.1.3).
pub(crate) const EXTENDED: u32 = 0x00ff_ffff;

/// One message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Message type id.
    pub kind: u8,
    /// Milliseconds modulo 2^32.
    pub timestamp: u32,
    /// Message stream id.
    pub stream: u32,
    /// The body, exactly as large as it is.
    pub body: Bytes,
}

/// Bytes that are no chunks, or break a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// A header that refers to one that never came.
    #[error("chunk stream {0} goes on before it began")]
    Orphan(u32),
    /// A message longer than allowed.
    #[error("a message of {len} bytes, {max} are allowed")]
    TooLong {
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// Unfinished messages that are too large together.
    #[error("unfinished messages of more than {0} bytes")]
    TooMuch(usize),
    /// More chunk streams than allowed.
    #[error("more than {0} chunk streams")]
    TooManyStreams(usize),
    /// A chunk size of zero or with its first bit set (5.4.1).
    #[error("chunk size {0}")]
    ChunkSize(u32),
}
