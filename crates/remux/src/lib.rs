//! Turns a programme into MPEG-TS once, for everyone who plays it as such.
//!
//! [`follow`] reads one broadcast of the hub and writes another: a single opaque track, each frame
//! of it the packets of one frame of the programme. Players of any protocol subscribe to that; the
//! hub's rules hold for them, and nothing is made for each. It knows no name and spawns nothing.

#![warn(missing_docs)]

mod muxing;

use std::sync::Arc;

use bytes::Bytes;
use hub::{Broadcast, Event, Join, Limits, Options, Publisher};
use media::codec::OpaqueConfig;
use media::{CodecConfig, Span, Track, TrackId, TrackKind};

use muxing::Muxing;

/// Nothing is left out that the hub still has.
const MAX_LATENCY: Span = Span::from_secs(60);

/// What a broadcast of packets holds: as long as the programme's, and the bytes that packets have
/// beyond their payload.
pub const LIMITS: Limits = Limits {
    duration: Span::from_secs(10),
    bytes: 40 << 20,
};

/// Hears what becomes of the programme's tracks.
pub trait Observer: Send {
    /// MPEG-TS has no place for this one: the others go on without it.
    fn left_out(&mut self, track: &Track);
}

/// The track of a broadcast of packets (ISO/IEC 13818-1), whatever lies in them: of the video kind,
/// so that its random-access points begin groups, under the code `mp2t`.
#[must_use]
pub fn track() -> Track {
    Track::new(
        TrackId(0),
        CodecConfig::Opaque(OpaqueConfig {
            kind: TrackKind::Video,
            fourcc: *b"mp2t",
            data: Bytes::new(),
        }),
    )
}

/// Whether a programme of these tracks can be carried: at least one of its pictures or sound has a
/// place in MPEG-TS.
#[must_use]
pub fn carries(tracks: &[Track]) -> bool {
    let left_out = container::ts::Mux::new().tracks(tracks);
    let played = |t: &&Track| matches!(t.kind, TrackKind::Video | TrackKind::Audio);
    let mut played = tracks.iter().filter(played);
    played.any(|t| !left_out.contains(&t.id))
}

/// Writes the programme into `publisher` as packets, from its newest group on, until it ends, and
/// ends with its reason. Each group of the programme is one here, of the same id, and begins with
/// the tables. While it runs it wants the programme. Dropping the future ends what it publishes.
pub async fn follow(programme: &Broadcast, publisher: Publisher, observer: impl Observer) {
    let mut reader = programme.subscribe(Options {
        join: Join::Newest,
        max_latency: MAX_LATENCY,
        wanted: true,
    });
    let mut muxing = Muxing::new(publisher, observer);
    let mut batch = Vec::new();
    loop {
        reader.next(&mut batch).await;
        for event in batch.drain(..) {
            match event {
                Event::Group {
                    id,
                    tracks,
                    spliced,
                } => muxing.group(id, &tracks, spliced),
                Event::Frame(frame) => muxing.frame(&frame),
                Event::Skipped { .. } => muxing.skipped(),
                Event::End(reason) => return muxing.end(reason),
            }
        }
    }
}

/// The tracks of every broadcast of packets.
fn tracks() -> Arc<[Track]> {
    Arc::new([track()])
}
