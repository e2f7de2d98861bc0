//! Broadcasts, tracks and frames that tell which one they are.

use std::sync::Arc;

use bytes::Bytes;
use hub::{Event, Hub, Limits, Presentation, Publisher, Relay, Subscriber};
use media::codec::OpaqueConfig;
use media::{CodecConfig, Frame, Timestamp, Track, TrackId, TrackKind};

pub(crate) const VIDEO: TrackId = TrackId(0);
pub(crate) const AUDIO: TrackId = TrackId(1);

/// Keeps the name for as long as the test lasts.
pub(crate) struct Stage {
    pub(crate) presentation: Presentation,
    pub(crate) publisher: Publisher,
    pub(crate) relay: Relay,
}

/// A broadcast with pictures and sound that has no frame yet.
pub(crate) fn stage(limits: Limits) -> Stage {
    let presentation = Hub::new().announce("news").unwrap();
    let (mut publisher, relay) = presentation.add("source", limits).unwrap();
    publisher.set_tracks(tracks(0));
    Stage {
        presentation,
        publisher,
        relay,
    }
}

/// An even `version` has pictures and sound, an odd one sound alone.
pub(crate) fn tracks(version: u8) -> Arc<[Track]> {
    let track = |id, kind| {
        let config = OpaqueConfig {
            kind,
            fourcc: *b"test",
            data: Bytes::copy_from_slice(&[version]),
        };
        Track::new(id, CodecConfig::Opaque(config))
    };
    let audio = track(AUDIO, TrackKind::Audio);
    if version.is_multiple_of(2) {
        Arc::new([audio, track(VIDEO, TrackKind::Video)])
    } else {
        Arc::new([audio])
    }
}

pub(crate) fn version(tracks: &[Track]) -> u8 {
    match &tracks[0].config {
        CodecConfig::Opaque(config) => config.data[0],
        _ => unreachable!("all test tracks are opaque"),
    }
}

/// A frame at `ms` that carries `tag` in front of `size` bytes.
pub(crate) fn frame(track: TrackId, ms: i64, random_access: bool, tag: u64, size: usize) -> Frame {
    let mut payload = tag.to_be_bytes().to_vec();
    payload.resize(8 + size, 0);
    Frame {
        track,
        dts: Timestamp::from_millis(ms),
        pts: Timestamp::from_millis(ms),
        duration: None,
        random_access,
        leading: false,
        payload: payload.into(),
    }
}

/// A keyframe.
pub(crate) fn key(ms: i64) -> Frame {
    frame(VIDEO, ms, true, ms.unsigned_abs(), 0)
}

/// A picture that depends on the ones before it.
pub(crate) fn delta(ms: i64) -> Frame {
    frame(VIDEO, ms, false, ms.unsigned_abs(), 0)
}

pub(crate) fn tag(frame: &Frame) -> u64 {
    u64::from_be_bytes(frame.payload[..8].try_into().unwrap())
}

/// An event, short enough to compare and to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Id in ms, and the version of the tracks.
    Group(i64, u8),
    /// The frame's tag.
    Frame(u64),
    /// Groups and frames.
    Skipped(u64, u64),
    End(hub::EndReason),
}

impl From<&Event> for Seen {
    fn from(event: &Event) -> Self {
        match event {
            Event::Group { id, tracks, .. } => Self::Group(id.as_millis(), version(tracks)),
            Event::Frame(frame) => Self::Frame(tag(frame)),
            Event::Skipped { groups, frames } => Self::Skipped(*groups, *frames),
            Event::End(reason) => Self::End(*reason),
        }
    }
}

/// All that is ready.
pub(crate) fn drain(subscriber: &mut Subscriber) -> Vec<Seen> {
    let mut batch = Vec::new();
    while subscriber.try_next(&mut batch) {}
    batch.iter().map(Seen::from).collect()
}
