//! The stored media: initialisation sections, parts and segments. Immutable once shared.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use container::fmp4::{self, Mp4Error};
use media::{Frame, Span, Timestamp, Track};

/// A CMAF header (`ftyp` + `moov`). Its URI carries a hash of the bytes, so that a changed
/// configuration is another resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Init {
    /// Sixteen hexadecimal digits of a hash of `bytes`.
    pub hash: String,
    /// The section itself.
    pub bytes: Bytes,
    /// The name of the codec that is set up by it.
    pub codec: &'static str,
    /// The track that it was made of.
    pub track: Track,
}

impl Init {
    pub(crate) fn of(track: &Track) -> Result<Self, Mp4Error> {
        let bytes = fmp4::init_segment(track)?;
        Ok(Self {
            hash: format!("{:016x}", fnv1a(&bytes)),
            bytes,
            codec: track.config.name(),
            track: track.clone(),
        })
    }
}

/// FNV-1a: stable across builds and nodes, which `std`'s hasher does not promise.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The name of a part, fixed when it is hinted. It is the number of the segment that was expected
/// to hold it, and a running index; names only grow, so a hint is true even where the segment
/// ended in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName {
    /// The segment number in the name.
    pub segment: u64,
    /// The index in the name.
    pub index: u32,
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.segment, self.index)
    }
}

/// A partial segment: whole frames in one `moof` + `mdat`.
#[derive(Debug)]
pub struct Part {
    /// What its URI says.
    pub name: PartName,
    /// The sum of its samples' durations.
    pub duration: Span,
    /// Whether it holds a random-access point.
    pub independent: bool,
    /// `moof` and `mdat` header, then each sample as it came from the hub.
    pub buffers: Vec<Bytes>,
    /// Bytes in all `buffers`.
    pub len: usize,
}

/// One segment, complete or still growing.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Media sequence number, file name and DVR key.
    pub number: u64,
    /// Programme time of its first sample's presentation.
    pub start: Timestamp,
    /// The sum of its parts' durations.
    pub duration: Span,
    /// Whether it starts with a random-access point.
    pub independent: bool,
    /// Whether decoding starts anew here (`EXT-X-DISCONTINUITY`).
    pub discontinuity: bool,
    /// Its initialisation section.
    pub init: Arc<Init>,
    /// Its parts, in order. Their buffers one after another are the segment's bytes.
    pub parts: Vec<Arc<Part>>,
    /// Bytes in all parts.
    pub len: usize,
    /// Whether no part will be added.
    pub complete: bool,
    /// Cues (SCTE-35) that came in its time, where the source has a track of them.
    pub cues: Option<Vec<Frame>>,
}

impl Segment {
    /// Mean rate in bits per second.
    #[must_use]
    pub fn bitrate(&self) -> u64 {
        bits(self.len, self.duration)
    }
}

/// Bits per second.
pub(crate) fn bits(bytes: usize, duration: Span) -> u64 {
    let nanos = u128::try_from(duration.as_nanos()).unwrap_or(0).max(1);
    let bits = bytes as u128 * 8 * 1_000_000_000;
    u64::try_from(bits.div_ceil(nanos)).unwrap_or(u64::MAX)
}
