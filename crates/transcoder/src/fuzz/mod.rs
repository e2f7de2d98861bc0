//! Fuzz target: what a server says, in any order, and media that is broken in any way.
//! `crates/testkit/fuzz` runs it under an engine, the test below over the kept corpus.
//!
//! The whole worker runs here, threads and encoders and all, but for its socket and its sandbox.

mod listener;
mod script;

use std::sync::Arc;

use bytes::Bytes;
use container::wire::{Message, Reader};
use media::{Frame, Track};

use crate::{av, link};
use listener::Listener;
use script::Script;

/// Access units that ffmpeg encoded, a few of each codec, as `container::wire` has them.
const CLIPS: [&[u8]; 8] = [
    include_bytes!("h264.wire"),
    include_bytes!("aac.wire"),
    include_bytes!("fields.wire"),
    include_bytes!("opus.wire"),
    include_bytes!("mp2.wire"),
    include_bytes!("flac.wire"),
    include_bytes!("h265.wire"),
    include_bytes!("av1.wire"),
];

/// Steps: a kind, then what it needs. See [`Script`].
pub fn orders(data: &[u8]) {
    av::quiet();
    let listener = Listener::default();
    let (mut board, writer) = link::start(listener.clone()).expect("threads");
    let mut script = Script::new(data, clips());
    // What waits for the worker's threads is bounded by their queues: it is not what a thread here
    // may have at a time.
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            // What ends a worker here ends it with a clean error.
            let _ = link::read_all(&mut script, |message| board.deal(message));
            drop(board);
        });
        server.join().expect("nothing has panicked");
    });
    writer.join().expect("nothing has panicked");
    listener.hear_end(script.asked());
}

/// A source's track, and its access units from its own time 0.
struct Clip {
    track: Track,
    units: Vec<Frame>,
}

fn clips() -> Arc<[Clip]> {
    static CLIPS: std::sync::OnceLock<Arc<[Clip]>> = std::sync::OnceLock::new();
    let clips = CLIPS.get_or_init(|| self::CLIPS.iter().map(|bytes| clip(bytes)).collect());
    Arc::clone(clips)
}

fn clip(bytes: &'static [u8]) -> Clip {
    let mut reader = Reader::new(bytes.len());
    reader.space().extend_from_slice(&Bytes::from_static(bytes));
    let (mut tracks, mut units) = (Vec::new(), Vec::<Frame>::new());
    while let Some(message) = reader.take().expect("as it was recorded") {
        match message {
            Message::Tracks { tracks: told, .. } => tracks.extend(told.iter().cloned()),
            Message::Frame { frame, .. } => units.push(frame),
            _ => {}
        }
    }
    let from = units.iter().map(|u| u.dts).min().unwrap_or_default();
    for unit in &mut units {
        unit.dts = media::Timestamp::ZERO + (unit.dts - from);
        unit.pts = media::Timestamp::ZERO + (unit.pts - from);
    }
    let track = tracks.pop().expect("a track");
    Clip { track, units }
}

#[cfg(test)]
mod tests {
    #[test]
    fn kept_corpus() {
        testkit::fuzz::replay("transcoder_orders", super::orders);
    }
}
