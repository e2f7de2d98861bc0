//! MPEG-TS over HTTP: what a player gets that cannot keep up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::{Bytes, BytesMut};
use container::ingest::Item;
use container::ts::{Counters, Demux};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use http_media::mpegts::{Packets, Seat};
use hub::{Broadcast, Hub, Limits, Presentation, Publisher, Sent};
use media::codec::H264Config;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};

use crate::source::{AVCC, aac};

/// Frames in a group: pictures of 40 ms, each with a sound.
const GROUP: i64 = 20;
const MAX_LATENCY: Span = Span::from_secs(2);

#[derive(Debug)]
struct Place(Arc<AtomicBool>);

impl Seat for Place {
    fn over(&mut self) {
        self.0.store(true, Relaxed);
    }
}

struct Unseen;

impl remux::Observer for Unseen {
    fn left_out(&mut self, track: &Track) {
        panic!("{track:?} has a place");
    }
}

/// A programme, and its packets.
struct World {
    programme: Publisher,
    packets: Broadcast,
    _kept: [Presentation; 2],
}

fn announce(name: &str, limits: Limits) -> (Presentation, Publisher) {
    let presentation = Hub::new().announce(name).unwrap();
    let (publisher, relay) = presentation.add("source", limits).unwrap();
    tokio::spawn(relay.run());
    (presentation, publisher)
}

impl World {
    fn start() -> Self {
        let (from, mut programme) = announce("from", Limits::default());
        let (to, publisher) = announce("to", remux::LIMITS);
        let (source, packets) = (programme.broadcast(), publisher.broadcast());
        tokio::spawn(async move { remux::follow(&source, publisher, Unseen).await });
        let h264 = CodecConfig::H264(H264Config::parse(AVCC.into()).unwrap());
        programme.set_tracks(Arc::new([
            Track::new(TrackId(0), h264),
            Track::new(TrackId(1), aac()),
        ]));
        Self {
            programme,
            packets,
            _kept: [from, to],
        }
    }

    /// A group of ten pictures, of which `quick` takes every packet.
    async fn group(&mut self, number: i64, quick: &mut Player) {
        for i in number * GROUP / 2..(number + 1) * GROUP / 2 {
            self.push(0, i * 40, i * 2 % GROUP == 0, 3_000);
            self.push(1, i * 40 + 5, true, 100);
        }
        quick.read(GROUP).await;
    }

    fn push(&mut self, track: u16, ms: i64, random_access: bool, bytes: u32) {
        let mut payload = (bytes + 1).to_be_bytes().to_vec();
        payload.push(if random_access { 0x65 } else { 0x41 });
        payload.resize(payload.len() + bytes as usize, 0x11);
        let at = Timestamp::from_millis(1_700_000_000_000 + ms);
        let frame = Frame {
            track: TrackId(track),
            dts: at,
            pts: at,
            duration: None,
            random_access,
            leading: false,
            payload: payload.into(),
        };
        self.programme.push(frame).unwrap();
    }

    fn player(&self) -> Player {
        let (sent, left) = (Arc::<Sent>::default(), Arc::<AtomicBool>::default());
        let seat = Box::new(Place(Arc::clone(&left)));
        Player {
            packets: Packets::new(&self.packets, MAX_LATENCY, Arc::clone(&sent), seat),
            sent,
            left,
        }
    }
}

struct Player {
    packets: Packets,
    sent: Arc<Sent>,
    left: Arc<AtomicBool>,
}

impl Player {
    /// The packets of so many frames.
    async fn read(&mut self, frames: i64) -> Bytes {
        let mut all = BytesMut::new();
        for _ in 0..frames {
            let frame = self.packets.frame().await.unwrap().unwrap();
            all.extend_from_slice(&frame.into_data().unwrap());
        }
        all.freeze()
    }

    async fn is_idle(&mut self) -> bool {
        tokio::task::yield_now().await;
        self.packets.frame().now_or_never().is_none()
    }

    /// Bytes, skips and skipped frames.
    fn counted(&self) -> (u64, u64, u64) {
        let s = &self.sent;
        let of = [&s.bytes, &s.skips, &s.skipped_frames].map(|n| n.load(Relaxed));
        of.into()
    }
}

/// Pictures by their milliseconds, as a player has them that begins with these packets.
fn decoded(data: &Bytes) -> Vec<(i64, bool)> {
    let pid = |at: usize| u16::from_be_bytes([data[at + 1] & 0x1f, data[at + 2]]);
    assert_eq!((data[0], pid(0), data.len() % 188), (0x47, 0, 0), "a PAT");
    let pmt = u16::from_be_bytes([data[15] & 0x1f, data[16]]);
    assert_eq!(pid(188), pmt, "and the PMT that it names");
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(data.clone(), &mut items);
    demux.flush(&mut items);
    assert_eq!(demux.counters(), Counters::default(), "nothing is missing");
    let picture = |item| match item {
        Item::Frame(f) if f.track == TrackId(0) => Some((f.pts.as_millis(), f.random_access)),
        _ => None,
    };
    items.into_iter().filter_map(picture).collect()
}

/// Nobody waits for it: what is published is there for others at once, however far behind it is.
#[tokio::test(start_paused = true)]
async fn a_slow_player_goes_on_with_the_newest_group() {
    let mut world = World::start();
    let mut quick = world.player();
    world.group(0, &mut quick).await;
    let mut slow = world.player();
    let first = slow.read(GROUP).await;
    assert!(decoded(&first)[0].1);
    assert!(slow.is_idle().await);
    assert_eq!(slow.counted(), (first.len() as u64, 0, 0));

    // Four times as far behind as it may be, beyond what is held of the programme.
    for number in 1..=40 {
        world.group(number, &mut quick).await;
    }
    let next = slow.read(GROUP).await;
    assert!(slow.is_idle().await, "the newest group is all there is");
    let skipped = 39 * GROUP as u64;
    let bytes = (first.len() + next.len()) as u64;
    assert_eq!(slow.counted(), (bytes, 1, skipped));
    let pictures = decoded(&next);
    assert!(pictures[0].1, "a keyframe");

    // From there on it is whole.
    world.group(41, &mut quick).await;
    let rest = slow.read(GROUP).await;
    let whole = decoded(&[next, rest].concat().into());
    assert_eq!(whole.len(), 20);
    assert!(whole.windows(2).all(|w| w[1].0 - w[0].0 == 40), "{whole:?}");
    assert_eq!((slow.counted().1, quick.counted().1), (1, 0));

    let World { programme, .. } = world;
    programme.end(hub::EndReason::Finished);
    for player in [&mut slow, &mut quick] {
        assert!(player.packets.frame().await.is_none() && player.left.load(Relaxed));
    }
}
