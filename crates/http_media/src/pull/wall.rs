//! The wall clock of a source, as its playlists tell it.

use std::sync::{Mutex, PoisonError};

use media::Timestamp;

/// What the source says that its time is: the newest pair of a time on the broadcast and UTC.
///
/// A playlist may lie: whether to believe it is up to who asks.
#[derive(Debug, Default)]
pub struct SourceClock(Mutex<Option<WallTime>>);

/// The broadcast shows at `media` what the source dates to `utc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallTime {
    /// A PTS of the broadcast, after repair.
    pub media: Timestamp,
    /// Nanoseconds since the Unix epoch.
    pub utc: Timestamp,
}

impl SourceClock {
    /// The newest pair, if the source ever told one.
    #[must_use]
    pub fn latest(&self) -> Option<WallTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, wall: WallTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(wall);
    }
}
