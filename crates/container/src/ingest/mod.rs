//! From what a demuxer finds to what a broadcast takes: tracks are collected, times are mended,
//! everything is counted. The same for every protocol and container.

mod assembler;
mod stats;

use std::sync::Arc;

use media::{Frame, Track, TrackId, TrackKind};

pub use assembler::Assembler;
pub use stats::{Figures, Stats};

/// Where the numbers of data tracks begin.
const DATA: u16 = 0x4000;

/// What a demuxer finds. Video tracks have even numbers, the first is 0; audio tracks odd ones,
/// the first is 1; data tracks begin at 0x4000.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A track, or its new configuration: for the frames of this id from here on.
    Track(Track),
    /// One access unit in the canonical shape; its times are the source's own, unwrapped.
    Frame(Frame),
    /// The track ends.
    End(TrackId),
    /// Media is missing here, and the source did not say so.
    Lost,
    /// Something that carries no media, or cannot be used; the reason is for counters.
    Ignored(&'static str),
}

/// What goes on to the broadcast, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The tracks from the next group on: for `Publisher::set_tracks`.
    Tracks(Arc<[Track]>),
    /// A frame: for `Publisher::push`.
    Frame(Frame),
    /// Media is missing before what comes next: for `Publisher::note_loss`.
    Lost,
}

/// The id of the video track with this number among the video tracks.
#[must_use]
pub const fn video_track(number: u16) -> TrackId {
    TrackId(number.saturating_mul(2))
}

/// The id of the audio track with this number among the audio tracks.
#[must_use]
pub const fn audio_track(number: u16) -> TrackId {
    TrackId(number.saturating_mul(2).saturating_add(1))
}

/// The id of the data track with this number among the data tracks: far above those of media, so
/// that they never meet.
#[must_use]
pub const fn data_track(number: u16) -> TrackId {
    TrackId(DATA.saturating_add(number))
}

/// What a track carries, by its number.
#[must_use]
pub const fn kind_of(track: TrackId) -> TrackKind {
    match track.0 {
        DATA.. => TrackKind::Data,
        n if n % 2 == 0 => TrackKind::Video,
        _ => TrackKind::Audio,
    }
}

#[cfg(test)]
mod tests;
