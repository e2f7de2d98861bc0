use std::io;

use container::flv::FlvError;
use container::fmp4::Mp4Error;

/// Why a file is not played, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("{0}: no such file")]
    NotFound(String),
    /// It is not below the root, or no regular file.
    #[error("{0}: not a file below the root for files")]
    Outside(String),
    /// The root itself cannot be used.
    #[error("the root for files: {0}")]
    Root(#[source] io::Error),
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file, as it was asked for.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// It ends before its media does, as where it is still being written.
    #[error("{0}: the file is cut short")]
    CutShort(String),
    /// Neither MP4 nor MPEG-TS nor FLV.
    #[error("{0}: not MP4, MPEG-TS or FLV")]
    Format(String),
    /// No frame in it can be played.
    #[error("{0}: no media that can be played")]
    NoMedia(String),
    /// Its MP4 cannot be read.
    #[error("{path}: {source}")]
    Mp4 {
        /// The file, as it was asked for.
        path: String,
        /// What is wrong with it.
        source: Mp4Error,
    },
    /// Its FLV cannot be read.
    #[error("{path}: {source}")]
    Flv {
        /// The file, as it was asked for.
        path: String,
        /// What is wrong with it.
        source: FlvError,
    },
}

impl Error {
    /// Whether another try is of little use before somebody does something about it.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        !matches!(self, Self::Unreadable { .. } | Self::CutShort(_))
    }
}
