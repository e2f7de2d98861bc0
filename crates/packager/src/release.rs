//! What readers of growing segments are told, as it happens: not held back as playlists are.

use std::sync::Arc;

use bytes::Bytes;

use crate::segment::Init;

/// News of one track's segments. Those of a track come in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `Media::id`.
    pub media: Arc<str>,
    /// What is new.
    pub what: What,
}

/// What is new of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The track has come: its segments may begin with the next one that begins anywhere.
    Here,
    /// A segment begins; its first chunk follows.
    Begin {
        /// Its number, above all before.
        number: u64,
        /// Its initialisation section.
        init: Arc<Init>,
    },
    /// More of the segment that began last: whole chunks, in buffers that its parts share.
    Chunk(Vec<Bytes>),
    /// It is complete.
    End,
    /// The track has no segment of this number, above all before, and will have none.
    Never {
        /// The number.
        number: u64,
    },
    /// There will be no more of this track.
    Gone,
}
