//! Where segments begin, decided once on the lead track and followed by all others.

use media::Timestamp;

/// The start of a segment in every playlist of the presentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) number: u64,
    /// Programme time of the lead track's first sample.
    pub(crate) at: Timestamp,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At a random-access point.
    Keyframe,
    /// Without one, because none came in time.
    Forced,
    /// Time goes on, the decoder starts anew.
    Discontinuity,
    /// After a hole in time: only what comes from here on will be listed.
    Jump,
}
