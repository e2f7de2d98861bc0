//! The wall clock of a source, as the source tells it.

use media::Timestamp;

/// The broadcast shows at `media` what its source dates to `utc`.
///
/// A source may lie: whether to believe it is up to who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallTime {
    /// A PTS of the broadcast.
    pub media: Timestamp,
    /// Nanoseconds since the Unix epoch.
    pub utc: Timestamp,
}
