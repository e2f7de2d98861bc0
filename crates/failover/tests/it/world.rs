//! Encoders that show what they send, and a viewer of the programme, on a clock of their own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use failover::{
    Belief, Board, Config, Fault, InputId, NotFit, Observer, Order, Policy, Programme, Role, State,
    Switch,
};
use hub::{Event, Hub, Limits, Options, Presentation, Publisher, Subscriber, WallTime};
use media::codec::OpaqueConfig;
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

const VIDEO: TrackId = TrackId(0);
const AUDIO: TrackId = TrackId(1);
pub(crate) const PICTURE_MS: i64 = 40;
pub(crate) const SOUND_MS: i64 = 20;
/// 30 pictures per second; those of [`Encoder::new`] are 25.
pub(crate) const FASTER_US: i64 = 33_333;
const EPOCH: Timestamp = Timestamp::from_millis(1_795_228_844_000);

/// An encoder of pictures and of 50 packets of sound per second.
pub(crate) struct Encoder {
    pub(crate) id: &'static str,
    /// Encoders of the same `encode` send the same bytes.
    pub(crate) encode: u8,
    pub(crate) gop_ms: i64,
    /// From one picture to the next; times are told in whole milliseconds.
    pub(crate) picture_us: i64,
    /// Where its keyframes lie.
    pub(crate) phase_ms: i64,
    /// How late its frames come.
    pub(crate) delay_ms: i64,
    /// Its clock counts from here.
    pub(crate) origin_ms: i64,
    /// Its sound comes so long after the pictures that it belongs to.
    pub(crate) sound_lags_ms: i64,
    pub(crate) silent: bool,
    /// It has no sound any more.
    pub(crate) mute: bool,
    /// Its source loses something before each picture.
    pub(crate) damaged: bool,
    /// It sends at once what it has of so long, each time that this much is left.
    pub(crate) burst_ms: Option<(i64, i64)>,
    /// Whether each third picture comes before the two that are shown before it.
    pub(crate) reorders: bool,
    /// It tells its wall clock, which is wrong by so much.
    pub(crate) wall_error_ms: Option<i64>,
    pub(crate) line: Option<(Presentation, Publisher)>,
    pub(crate) sent_ms: i64,
}

impl Encoder {
    pub(crate) fn new(id: &'static str, encode: u8) -> Self {
        Self {
            id,
            encode,
            gop_ms: 1_000,
            picture_us: PICTURE_MS * 1_000,
            phase_ms: i64::from(encode) * 360,
            delay_ms: 0,
            origin_ms: i64::from(encode) * 1_000_000,
            sound_lags_ms: 0,
            silent: false,
            mute: false,
            damaged: false,
            burst_ms: None,
            reorders: false,
            wall_error_ms: None,
            line: None,
            sent_ms: 0,
        }
    }

    fn frame(&self, track: TrackId, at_ms: i64, random_access: bool) -> Frame {
        let (dts_ms, pts_ms) = self.times(track, at_ms);
        let mut payload = vec![self.encode, u8::from(track == AUDIO)];
        payload.extend(pts_ms.to_be_bytes());
        Frame {
            track,
            dts: Timestamp::from_millis(dts_ms + self.origin_ms),
            pts: Timestamp::from_millis(pts_ms + self.origin_ms),
            duration: None,
            random_access,
            leading: false,
            payload: payload.into(),
        }
    }

    /// When what it sends at this time was taken: to be decoded, and to be shown.
    fn times(&self, track: TrackId, at_ms: i64) -> (i64, i64) {
        let dts = if self.reorders {
            at_ms - 4 * PICTURE_MS
        } else {
            at_ms
        };
        if !self.reorders || track == AUDIO {
            return (dts, dts);
        }
        let in_group = (at_ms - self.phase_ms).rem_euclid(self.gop_ms) / PICTURE_MS;
        let pictures = match (in_group, (in_group + 2) % 3) {
            (0, _) => 2,
            (_, 0) => 4,
            _ => 1,
        };
        (dts, dts + pictures * PICTURE_MS)
    }

    /// The pictures of the last packet of sound, and whether each is a keyframe.
    fn pictures(&self, at_ms: i64) -> Vec<(i64, bool)> {
        let until = |ms: i64| (ms * 1_000).div_euclid(self.picture_us);
        let at = |n: i64| n * self.picture_us / 1_000;
        let group = |ms: i64| (ms - self.phase_ms).div_euclid(self.gop_ms);
        let key = |n| group(at(n)) != group(at(n - 1));
        let numbers = until(at_ms - SOUND_MS) + 1..=until(at_ms);
        numbers.map(|n| (at(n), key(n))).collect()
    }

    /// Stops its sound, and says so if it is `declared`.
    pub(crate) fn mute(&mut self, declared: bool) {
        self.mute = true;
        if let Some((_, publisher)) = self.line.as_mut().filter(|_| declared) {
            publisher.set_tracks(tracks(self.encode).iter().take(1).cloned().collect());
        }
    }

    /// Sends what is due at `now_ms`.
    fn send(&mut self, now_ms: i64) {
        let mut due = now_ms - self.delay_ms;
        if let Some((each, left)) = self.burst_ms {
            due -= (due - left).rem_euclid(each);
        }
        while self.sent_ms < due {
            self.sent_ms += SOUND_MS;
            let at = self.sent_ms;
            let pictures = self.pictures(at);
            let key = pictures.iter().any(|(_, key)| *key);
            let pictures: Vec<_> = pictures
                .into_iter()
                .map(|(at, key)| self.frame(VIDEO, at, key))
                .collect();
            let sound = (!self.mute).then(|| self.frame(AUDIO, at - self.sound_lags_ms, true));
            let Some((_, publisher)) = self.line.as_mut().filter(|_| !self.silent) else {
                continue;
            };
            for frame in pictures.into_iter().chain(sound) {
                if self.damaged && frame.track == VIDEO {
                    publisher.note_loss();
                }
                if let Some(error) = self.wall_error_ms.filter(|_| frame.track == VIDEO && key) {
                    let origin = Span::from_millis(error - self.origin_ms);
                    publisher.set_wall_time(WallTime {
                        media: frame.pts,
                        utc: frame.pts + (EPOCH - Timestamp::ZERO) + origin,
                    });
                }
                let _ = publisher.push(frame);
            }
        }
    }
}

pub(crate) fn tracks(encode: u8) -> Arc<[Track]> {
    let track = |id, kind| {
        let data = Bytes::copy_from_slice(&[encode]);
        let fourcc = *b"test";
        Track::new(id, CodecConfig::Opaque(OpaqueConfig { kind, fourcc, data }))
    };
    Arc::new([
        track(VIDEO, TrackKind::Video),
        track(AUDIO, TrackKind::Audio),
    ])
}

/// One frame of the programme as the viewer got it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) wall_ms: i64,
    pub(crate) dts: Timestamp,
    pub(crate) pts: Timestamp,
    /// How many times another input was entered before.
    pub(crate) source: usize,
    pub(crate) sound: bool,
    pub(crate) encode: u8,
    pub(crate) key: bool,
    /// When its content was taken.
    pub(crate) content_ms: i64,
}

#[derive(Debug, Default, Clone)]
struct Ears(Arc<Mutex<Vec<Turn>>>);

/// An input got a fault, or lost it.
pub(crate) type Turn = (InputId, Option<Fault>);

impl Observer for Ears {
    fn switched(&mut self, _: &Switch) {}

    fn turned(&mut self, input: &InputId, fault: Option<Fault>) {
        self.0.lock().unwrap().push((Arc::clone(input), fault));
    }
}

pub(crate) struct World {
    pub(crate) encoders: Vec<Encoder>,
    pub(crate) shown: Vec<Shown>,
    /// Groups of which the programme says that they come from another input.
    pub(crate) splices: usize,
    pub(crate) belief: Belief,
    pub(crate) on_demand: bool,
    pub(crate) wanted: watch::Receiver<Arc<[InputId]>>,
    hub: Hub,
    start: Instant,
    orders: mpsc::Sender<Order>,
    board: Arc<Board>,
    viewer: Subscriber,
    ears: Ears,
    _programme: Presentation,
}

impl World {
    /// Inputs of these ids and priorities, none connected.
    pub(crate) async fn new(inputs: &[(&str, u32)], policy: Policy) -> Self {
        let hub = Hub::new();
        let presentation = hub.announce("news").unwrap();
        let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
        tokio::spawn(relay.run());
        let viewer = publisher.broadcast().subscribe(Options {
            max_latency: Span::from_secs(60),
            ..Options::default()
        });
        let (orders, received) = mpsc::channel(16);
        let (board, start) = (Arc::new(Board::default()), Instant::now());
        let (wants, wanted) = watch::channel(Arc::from([]));
        let ears = Ears::default();
        let clock = move || EPOCH + Span::from(start.elapsed());
        let mut programme = Programme::new(
            publisher,
            (policy, Config::default()),
            received,
            (Arc::clone(&board), wants),
            (clock, ears.clone()),
        );
        tokio::spawn(async move { programme.run().await });
        let world = Self {
            encoders: Vec::new(),
            shown: Vec::new(),
            splices: 0,
            belief: Belief::default(),
            on_demand: false,
            wanted,
            hub,
            start,
            orders,
            board,
            viewer,
            ears,
            _programme: presentation,
        };
        world.configure(inputs).await;
        world
    }

    pub(crate) async fn configure(&self, inputs: &[(&str, u32)]) {
        let role = |priority| match priority {
            u32::MAX => Role::Slate,
            priority => Role::Source {
                priority,
                cold: false,
                on_demand: self.on_demand,
                clock: self.belief,
            },
        };
        let inputs = inputs.iter().map(|(id, p)| (InputId::from(*id), role(*p)));
        self.order(Order::Inputs(inputs.collect())).await;
    }

    pub(crate) async fn order(&self, order: Order) {
        self.orders.send(order).await.unwrap();
    }

    pub(crate) async fn switch(&self, id: &str) -> Result<(), NotFit> {
        let (answer, told) = oneshot::channel();
        self.order(Order::Switch(id.into(), answer)).await;
        told.await.unwrap()
    }

    pub(crate) async fn release(&self) -> bool {
        let (answer, told) = oneshot::channel();
        self.order(Order::Release(answer)).await;
        told.await.unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        EPOCH + Span::from(self.start.elapsed())
    }

    pub(crate) fn now_ms(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    /// Puts an encoder on line.
    pub(crate) async fn connect(&mut self, mut encoder: Encoder) {
        let name = format!("news#{}", encoder.id);
        let presentation = self.hub.announce(&name).unwrap();
        let (mut publisher, relay) = presentation.add("source", Limits::default()).unwrap();
        tokio::spawn(relay.run());
        publisher.set_tracks(tracks(encoder.encode));
        let broadcast = publisher.broadcast();
        self.order(Order::Feed(encoder.id.into(), broadcast)).await;
        encoder.sent_ms = self.now_ms() - encoder.delay_ms;
        encoder.sent_ms -= encoder.sent_ms.rem_euclid(SOUND_MS);
        encoder.line = Some((presentation, publisher));
        self.encoders.push(encoder);
    }

    pub(crate) fn encoder(&mut self, id: &str) -> &mut Encoder {
        self.encoders.iter_mut().find(|e| e.id == id).unwrap()
    }

    /// Its connection closes.
    pub(crate) fn kill(&mut self, id: &str) {
        self.encoders.retain(|e| e.id != id);
    }

    pub(crate) async fn run_ms(&mut self, ms: i64) {
        let until = self.now_ms() + ms;
        while self.now_ms() < until {
            let next = self.now_ms() / 10 * 10 + 10;
            let next = Duration::from_millis(next.unsigned_abs());
            sleep_until(self.start + next).await;
            let now = self.now_ms();
            for encoder in &mut self.encoders {
                encoder.send(now);
            }
            self.view().await;
        }
    }

    async fn view(&mut self) {
        // Everybody who was woken has had a turn.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let wall_ms = self.now_ms();
        let mut batch = Vec::new();
        while self.viewer.try_next(&mut batch) {}
        for event in batch {
            self.splices += usize::from(matches!(event, Event::Group { spliced: true, .. }));
            if let Event::Frame(frame) = event {
                let content = frame.payload[2..10].try_into().unwrap();
                self.shown.push(Shown {
                    wall_ms,
                    dts: frame.dts,
                    pts: frame.pts,
                    source: self.splices,
                    sound: frame.payload[1] == 1,
                    encode: frame.payload[0],
                    key: frame.random_access,
                    content_ms: i64::from_be_bytes(content),
                });
            }
        }
    }

    /// What the programme was told to have lost.
    pub(crate) fn losses(&self) -> u64 {
        let renditions = self.hub.get("news").unwrap().renditions();
        renditions[0].broadcast.losses()
    }

    pub(crate) fn state(&self) -> State {
        self.board.state()
    }

    pub(crate) fn active(&self) -> Option<String> {
        self.state().active.map(|id| id.to_string())
    }

    pub(crate) fn lead_ms(&self) -> i64 {
        self.board.lead().as_millis()
    }

    pub(crate) fn turns(&self) -> Vec<Turn> {
        self.ears.0.lock().unwrap().clone()
    }

    pub(crate) fn pictures(&self) -> Vec<Shown> {
        self.shown.iter().filter(|s| !s.sound).copied().collect()
    }

    /// The longest time without a picture, and the longest hole between two in programme time.
    pub(crate) fn gaps_ms(&self) -> (i64, i64) {
        let pictures = self.pictures();
        let pairs = || pictures.windows(2);
        let wall = pairs().map(|p| p[1].wall_ms - p[0].wall_ms).max();
        let hole = pairs().map(|p| (p[1].dts - p[0].dts).as_millis()).max();
        (wall.unwrap(), hole.unwrap())
    }

    /// DTS rise within each track, and another encode's pictures begin with a keyframe.
    pub(crate) fn check(&self) {
        for sound in [false, true] {
            let of_track = self.shown.iter().filter(|s| s.sound == sound);
            let dts: Vec<_> = of_track.map(|s| s.dts).collect();
            let bad = dts.windows(2).find(|d| d[1] <= d[0]);
            assert!(bad.is_none(), "sound {sound}: {bad:?}");
        }
        for pair in self.pictures().windows(2) {
            assert!(pair[1].key || pair[0].encode == pair[1].encode, "{pair:?}");
        }
    }
}
