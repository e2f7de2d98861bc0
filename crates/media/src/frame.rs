//! One access unit.

use bytes::Bytes;

use crate::{Span, Timestamp, TrackId};

/// One access unit of one track: a picture, an audio frame, a cue. Cloning it counts a reference.
///
/// The payload has one canonical shape per codec: H.264 and H.265 as NAL units with 4-byte
/// lengths and without parameter sets (those live in the `CodecConfig`), AV1 as a temporal unit
/// of OBUs without temporal delimiter, AAC raw without ADTS, Opus, MP2/MP3 and AC-3 packets, text
/// and data as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The track it belongs to.
    pub track: TrackId,
    /// When it is to be decoded. Strictly increasing within a track.
    pub dts: Timestamp,
    /// When it is to be shown; equal to `dts` where nothing is reordered.
    pub pts: Timestamp,
    /// How long it lasts, where the source knows.
    pub duration: Option<Span>,
    /// Whether decoding can start here: IDR, CRA, BLA or recovery point for video; every frame of
    /// most audio codecs.
    pub random_access: bool,
    /// A leading picture of an open group: one that just joined cannot decode it and drops it.
    pub leading: bool,
    /// The coded bytes.
    pub payload: Bytes,
}
