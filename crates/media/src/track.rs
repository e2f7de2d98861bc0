//! What a broadcast is made of: its elementary streams.

use std::fmt;

use crate::CodecConfig;

/// The number of a track within its broadcast. It stays the same when the source behind the
/// broadcast changes. By convention the bridges number the first video 0 and the first audio 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u16);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles and captions.
    Text,
    /// Anything timed that is not shown: SCTE-35, ID3, KLV.
    Data,
}

impl TrackKind {
    /// The lower-case name, as used in URIs and metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Text => "text",
            Self::Data => "data",
        }
    }
}

/// The part a track plays beside others of its kind (DASH role scheme, ISO/IEC 23009-1 5.8.5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Role {
    /// The one a player takes by itself.
    #[default]
    Main,
    /// Another of the same sort.
    Alternate,
    /// A commentary.
    Commentary,
    /// Described video.
    Description,
}

/// One elementary stream. Immutable; a broadcast shares its set as `Arc<[Track]>`, and a changed
/// set takes effect at a group edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Its number in the broadcast.
    pub id: TrackId,
    /// What it carries.
    pub kind: TrackKind,
    /// All that a decoder needs before the first frame.
    pub config: CodecConfig,
    /// BCP 47 language, where the source tells it.
    pub language: Option<String>,
    /// Its part beside other tracks of its kind.
    pub role: Role,
    /// A name for people.
    pub label: Option<String>,
}

impl Track {
    /// A main track with neither language nor label; the kind follows from the codec.
    #[must_use]
    pub fn new(id: TrackId, config: CodecConfig) -> Self {
        Self {
            id,
            kind: config.kind(),
            config,
            language: None,
            role: Role::Main,
            label: None,
        }
    }
}
