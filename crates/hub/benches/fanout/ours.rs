//! The hub under load.

use std::sync::Arc;

use hub::{Event, Hub, Limits, Options, Subscriber};
use media::codec::OpaqueConfig;
use media::{CodecConfig, Span, Track, TrackId, TrackKind};

use crate::load::{Load, Shared, Trial};
use crate::measure::runtime;

/// Less than a stall, so that who stalls is moved on.
const MAX_LATENCY: Span = Span::from_secs(2);

pub(crate) fn video() -> Arc<[Track]> {
    let config = OpaqueConfig {
        kind: TrackKind::Video,
        fourcc: *b"test",
        data: bytes::Bytes::new(),
    };
    Arc::new([Track::new(TrackId(0), CodecConfig::Opaque(config))])
}

pub(crate) fn trial(load: Load) -> Trial {
    runtime().block_on(async {
        let presentation = Hub::new().announce("news").unwrap();
        let (mut publisher, relay) = presentation.add("source", Limits::default()).unwrap();
        publisher.set_tracks(video());
        tokio::spawn(relay.run());
        let shared = Arc::new(Shared::default());
        for n in 0..load.readers {
            let options = Options {
                max_latency: MAX_LATENCY,
                ..Options::default()
            };
            let reader = publisher.broadcast().subscribe(options);
            tokio::spawn(follow(reader, n < load.stalling, Arc::clone(&shared)));
        }
        let push = move |frame| publisher.push(frame).unwrap();
        tokio::spawn(load.carry(shared, push)).await.unwrap()
    })
}

async fn follow(mut reader: Subscriber, stalls: bool, shared: Arc<Shared>) {
    let mut batch = Vec::new();
    loop {
        reader.next(&mut batch).await;
        let (mut read, mut missed) = (0, 0);
        for event in batch.drain(..) {
            match event {
                Event::Frame(_) => read += 1,
                Event::Skipped { frames, .. } => missed += frames,
                Event::Group { .. } => {}
                Event::End(_) => return,
            }
        }
        shared.after_read(stalls, read, missed).await;
    }
}
