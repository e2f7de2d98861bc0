//! MP4 (ISO/IEC 14496-12). Written as CMAF (ISO/IEC 23000-19) shapes it, one track per file; read
//! from anybody, fragmented or by its sample tables.

mod chunk;
mod demux;
mod entry;
mod fragment;
mod index;
mod init;
mod movie;
mod needed;
mod read;
mod shape;

use media::CodecConfig;

pub use chunk::{EMPTY_SEGMENT, Opening, Sample, chunk_header};
pub use demux::{Demux, Limits};
pub use index::{Index, Place};
pub use init::init_segment;
pub use read::{Chunk, read_chunks, read_header};

/// What cannot be carried in, or read from, fragmented MP4.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mp4Error {
    /// There is no sample entry for this codec.
    #[error("no sample entry for {0}")]
    Codec(&'static str),
    /// A box that cannot be written or read.
    #[error("box: {0}")]
    Box(#[from] mp4_atom::Error),
    /// Bytes that are no sequence of `moof` and `mdat`.
    #[error("at byte {at}: {reason}")]
    Layout {
        /// Offset of the box.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The media is encrypted.
    #[error("the media is encrypted")]
    Encrypted,
    /// A part that is longer than is allowed.
    #[error("a {0} is longer than is allowed")]
    TooLong(&'static str),
    /// There is no track that can be carried.
    #[error("no track that can be carried")]
    NoTracks,
}

/// Ticks per second of a track's `mdhd`: 90 kHz for pictures, the sampling rate for sound.
#[must_use]
pub fn timescale(config: &CodecConfig) -> u32 {
    config.audio().map_or(90_000, |a| a.sample_rate.max(1))
}
