//! One broadcast becomes another: what players of it get.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use container::ingest::Item;
use container::ts::{Counters, Demux};
use hub::{Broadcast, EndReason, Event, Hub, Join, Limits, Options, Publisher};
use media::codec::{AacConfig, H264Config, Vp9Config};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};

const AVCC: &[u8] = b"\x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xda\x02\x80\xbf\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x58\xba\x80\x01\x00\x04\x68\xce\x0f\xc8";
const VIDEO: TrackId = TrackId(0);
const AUDIO: TrackId = TrackId(1);

fn h264() -> Track {
    let config = H264Config::parse(Bytes::from_static(AVCC)).unwrap();
    Track::new(VIDEO, CodecConfig::H264(config))
}

fn aac() -> Track {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
    Track::new(AUDIO, CodecConfig::Aac(config))
}

fn vp9() -> Track {
    let record = Bytes::from_static(&[1, 0, 0, 0, 0, 10, 0x82, 2, 2, 2, 0, 0]);
    let config = Vp9Config::with_size(record, (640, 360)).unwrap();
    Track::new(VIDEO, CodecConfig::Vp9(config))
}

/// A broadcast, and who keeps it.
fn broadcast() -> (hub::Presentation, Publisher, Broadcast) {
    let presentation = Hub::new().announce("x").unwrap();
    let (publisher, relay) = presentation.add("x", Limits::default()).unwrap();
    tokio::spawn(relay.run());
    let broadcast = publisher.broadcast();
    (presentation, publisher, broadcast)
}

fn frame(track: TrackId, ms: i64, key: bool, bytes: usize) -> Frame {
    let mut payload = u32::try_from(bytes + 1).unwrap().to_be_bytes().to_vec();
    payload.push(if key { 0x65 } else { 0x41 });
    payload.extend(std::iter::repeat_n(0x11, bytes));
    Frame {
        track,
        dts: Timestamp::from_millis(1_700_000_000_000 + ms),
        pts: Timestamp::from_millis(1_700_000_000_000 + ms),
        duration: None,
        random_access: key,
        leading: false,
        payload: payload.into(),
    }
}

/// Groups of ten pictures of 40 ms, sound beside each.
fn groups(publisher: &mut Publisher, groups: std::ops::Range<i64>) {
    for i in groups.start * 10..groups.end * 10 {
        let key = i % 10 == 0;
        publisher.push(frame(VIDEO, i * 40, key, 3_000)).unwrap();
        publisher.push(frame(AUDIO, i * 40 + 5, true, 100)).unwrap();
    }
}

#[derive(Clone, Default)]
struct Told(Arc<std::sync::Mutex<Vec<TrackId>>>);

impl remux::Observer for Told {
    fn left_out(&mut self, track: &Track) {
        self.0.lock().unwrap().push(track.id);
    }
}

async fn all(packets: &Broadcast, options: Options) -> Vec<Event> {
    let (mut reader, mut events) = (packets.subscribe(options), Vec::new());
    while !matches!(events.last(), Some(Event::End(_))) {
        reader.next(&mut events).await;
    }
    events
}

fn payloads(events: &[Event]) -> Bytes {
    let mut all = BytesMut::new();
    for event in events {
        if let Event::Frame(frame) = event {
            assert!(!frame.payload.is_empty() && frame.payload.len() % 188 == 0);
            all.extend_from_slice(&frame.payload);
        }
    }
    all.freeze()
}

fn demux(data: Bytes) -> (Vec<Frame>, Counters) {
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(data, &mut items);
    demux.flush(&mut items);
    let frame = |item| match item {
        Item::Frame(frame) => Some(frame),
        _ => None,
    };
    let counters = demux.counters();
    (items.into_iter().filter_map(frame).collect(), counters)
}

const OPTIONS: Options = Options {
    join: Join::Newest,
    max_latency: Span::from_secs(60),
    wanted: true,
};

#[tokio::test]
async fn groups_frames_and_the_end_are_the_programmes() {
    let (_from, mut programme, source) = broadcast();
    let (_to, publisher, packets) = broadcast();
    programme.set_tracks(Arc::new([h264(), aac()]));
    groups(&mut programme, 0..1);
    // One reader from the beginning on, before the first packet is made.
    let reading = tokio::spawn({
        let packets = packets.clone();
        async move { all(&packets, OPTIONS).await }
    });
    let told = Told::default();
    let muxing = remux::follow(&source, publisher, told.clone());
    let feeding = async {
        for group in 1..4 {
            tokio::task::yield_now().await;
            groups(&mut programme, group..group + 1);
        }
        programme.end(EndReason::Finished);
    };
    tokio::join!(muxing, feeding);
    let events = reading.await.unwrap();
    assert_eq!(events.last(), Some(&Event::End(EndReason::Finished)));
    let ids: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            Event::Group { id, tracks, .. } => {
                assert_eq!(**tracks, [remux::track()]);
                Some(id.as_millis() - 1_700_000_000_000)
            }
            _ => None,
        })
        .collect();
    assert_eq!(ids, [0, 400, 800, 1_200], "aligned with the programme's");
    let (found, counters) = demux(payloads(&events));
    assert_eq!(counters, Counters::default());
    assert_eq!(found.len(), 80);
    assert!(told.0.lock().unwrap().is_empty());

    // Whoever comes later begins with tables and a keyframe.
    let (late, counters) = demux(payloads(&all(&packets, OPTIONS).await));
    assert_eq!((late.len(), counters), (20, Counters::default()));
    assert!(late.iter().any(|f| f.track == VIDEO && f.random_access));
}

#[tokio::test]
async fn it_wants_the_programme_while_it_runs() {
    let (_from, mut programme, source) = broadcast();
    let (_to, publisher, packets) = broadcast();
    programme.set_tracks(Arc::new([h264()]));
    let demand = programme.demand();
    assert!(!demand.now().wanted);
    let muxing = tokio::spawn(async move {
        remux::follow(&source, publisher, Told::default()).await;
    });
    let mut wanted = programme.demand();
    assert!(wanted.wanted().await);
    muxing.abort();
    assert!(!wanted.wanted().await);
    assert_eq!(packets.ended(), Some(EndReason::Dropped));
}

#[tokio::test]
async fn what_has_no_place_is_left_out_and_told() {
    assert!(!remux::carries(&[vp9()]) && remux::carries(&[vp9(), aac()]));
    let (_from, mut programme, source) = broadcast();
    let (_to, publisher, packets) = broadcast();
    programme.set_tracks(Arc::new([vp9(), aac()]));
    groups(&mut programme, 0..2);
    programme.end(EndReason::Finished);
    let told = Told::default();
    remux::follow(&source, publisher, told.clone()).await;
    assert_eq!(*told.0.lock().unwrap(), [VIDEO]);
    let (found, counters) = demux(payloads(&all(&packets, OPTIONS).await));
    assert_eq!((found.len(), counters), (10, Counters::default()));
    assert!(found.iter().all(|f| f.track == AUDIO));
}
