//! Media messages of a publisher, up to what the hub's readers get.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use container::ingest::Stats;
use hub::{Event, Hub, Limits, Options};
use media::{Frame, Span, Timestamp, Track, TrackId};

use super::record;
use crate::bridge::Bridge;
use crate::session::MediaKind;

/// Type, how long it took to arrive in 10 ms, timestamp in four bytes, length in two, body.
pub fn publish(mut data: &[u8]) {
    let presentation = Hub::new().announce("fuzz").expect("a free name");
    let (publisher, _relay) = presentation
        .add("source", Limits::default())
        .expect("a free name");
    let mut reader = publisher.broadcast().subscribe(Options::default());
    let mut bridge = Bridge::new(publisher, Arc::new(Stats::new(|| Timestamp::ZERO)));
    let (mut programme, mut now) = (Programme::default(), Timestamp::from_millis(0));
    while let Some((&[kind, wait, t0, t1, t2, t3, ..], body)) = record::<8>(&mut data) {
        now += Span::from_millis(i64::from(wait) * 10);
        let kind = match kind {
            9 => MediaKind::Video,
            _ => MediaKind::Audio,
        };
        let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        let body = Bytes::copy_from_slice(body);
        if bridge.media(kind, timestamp, body, now).is_err() {
            return;
        }
        let mut batch = Vec::new();
        while reader.try_next(&mut batch) {}
        batch.into_iter().for_each(|event| programme.take(event));
    }
}

/// What a reader has seen.
#[derive(Default)]
struct Programme {
    tracks: Option<Arc<[Track]>>,
    begins: bool,
    last: BTreeMap<TrackId, Timestamp>,
}

impl Programme {
    fn take(&mut self, event: Event) {
        match event {
            Event::Group { tracks, .. } => {
                self.tracks = Some(tracks);
                self.begins = true;
            }
            Event::Frame(frame) => self.frame(&frame),
            _ => {}
        }
    }

    fn frame(&mut self, frame: &Frame) {
        assert!(frame.random_access || !self.begins);
        self.begins = false;
        let tracks = self.tracks.as_deref().unwrap_or_default();
        assert!(tracks.iter().any(|t| t.id == frame.track), "{frame:?}");
        assert!(frame.pts >= frame.dts);
        let before = self.last.insert(frame.track, frame.dts);
        assert!(before.is_none_or(|dts| dts < frame.dts), "{frame:?}");
    }
}
