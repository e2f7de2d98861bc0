//! A packager fed with synthetic media, and requests to what it made.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use http_media::{Limits, Output, Outputs};
use media::codec::{AacConfig, H264Config};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};
use packager::{Config, Packager, RenditionId, Restored};
use tokio::time::Instant;

pub(crate) const AVCC: &[u8] = &[
    0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf,
    0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x58, 0xba,
    0x80, 0x01, 0x00, 0x04, 0x68, 0xce, 0x0f, 0xc8,
];
const EPOCH: Timestamp = Timestamp::from_millis(1_795_228_844_312);

thread_local! {
    /// UTC when the last frame came, and when that was.
    static CAME: Cell<Option<(Timestamp, Instant)>> = const { Cell::new(None) };
}

fn clock() -> Timestamp {
    let came = CAME.get();
    came.map_or(EPOCH, |(utc, at)| utc + Span::from(at.elapsed()))
}

pub(crate) struct Live {
    pub(crate) outputs: Outputs,
    pub(crate) output: Arc<Output>,
    packager: Packager,
    rendition: RenditionId,
    frames: i64,
    sound: i64,
}

pub(crate) fn aac() -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
}

/// Mono instead.
pub(crate) fn other_aac() -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x88])).unwrap())
}

fn tracks(sound: CodecConfig) -> [Track; 2] {
    let h264 = CodecConfig::H264(H264Config::parse(AVCC.into()).unwrap());
    [Track::new(TrackId(0), h264), Track::new(TrackId(1), sound)]
}

/// A packager of pictures and sound that goes on from there.
fn packaging(restored: Option<Restored>, now: Timestamp) -> (Packager, RenditionId) {
    let mut packager = Packager::new(Config::default(), restored, now);
    let rendition = packager.add_rendition("source");
    packager.group(rendition, &tracks(aac()), now).unwrap();
    (packager, rendition)
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl Live {
    pub(crate) fn new() -> Self {
        Self::with(Output::new())
    }

    pub(crate) fn with(output: Output) -> Self {
        let (packager, rendition) = packaging(None, EPOCH);
        let outputs = Outputs::new(Limits::default(), clock);
        let output = Arc::new(output);
        outputs.insert("a/news", Arc::clone(&output));
        Self {
            outputs,
            output,
            packager,
            rendition,
            frames: 0,
            sound: 0,
        }
    }

    /// Thirty pictures a second, a keyframe every two, sound beside them.
    pub(crate) fn play(&mut self, frames: i64) {
        for _ in 0..frames {
            let at = EPOCH + Span::from_nanos(self.frames * 1_000_000_000 / 30);
            self.push(0, at, self.frames % 60 == 0);
            while EPOCH + Span::from_ticks(self.sound * 1024, 48_000) <= at {
                self.push(1, EPOCH + Span::from_ticks(self.sound * 1024, 48_000), true);
                self.sound += 1;
            }
            self.frames += 1;
        }
    }

    fn push(&mut self, track: u16, at: Timestamp, random_access: bool) {
        let mut payload = at.as_nanos().to_be_bytes().repeat(40);
        if track == 0 {
            // One NAL unit with a slice, as a pull of it expects.
            payload[..5].copy_from_slice(&[0, 0, 1, 60, if random_access { 0x65 } else { 0x41 }]);
        }
        let payload = payload.into();
        let frame = Frame {
            track: TrackId(track),
            dts: at,
            pts: at,
            duration: None,
            random_access,
            leading: false,
            payload,
        };
        CAME.set(Some((at, Instant::now())));
        self.packager.frame(self.rendition, frame, at);
        self.output.release(&mut self.packager);
        self.output.publish(Arc::clone(self.packager.snapshot()));
    }

    /// Other sound from now on.
    pub(crate) fn change_sound(&mut self, config: CodecConfig) {
        let at = EPOCH + Span::from_nanos(self.frames * 1_000_000_000 / 30);
        let tracks = tracks(config);
        self.packager.group(self.rendition, &tracks, at).unwrap();
    }

    /// No sound from now on.
    pub(crate) fn drop_sound(&mut self) {
        let at = EPOCH + Span::from_nanos(self.frames * 1_000_000_000 / 30);
        let [pictures, _] = tracks(aac());
        self.packager
            .group(self.rendition, &[pictures], at)
            .unwrap();
    }

    /// One picture, and no sound beside it.
    pub(crate) fn play_picture(&mut self) {
        let at = EPOCH + Span::from_nanos(self.frames * 1_000_000_000 / 30);
        self.push(0, at, self.frames % 60 == 0);
        self.frames += 1;
    }

    /// So many pictures do not come.
    pub(crate) fn skip(&mut self, frames: i64) {
        self.frames += frames;
        self.sound = self.frames * 1_600 / 1_024 + 1;
    }

    pub(crate) fn end(&mut self) {
        self.packager.end();
        self.output.release(&mut self.packager);
        self.output.publish(Arc::clone(self.packager.snapshot()));
    }

    /// Nothing comes for three segments.
    pub(crate) fn fall_silent(&mut self) {
        self.tick(6);
    }

    /// So many seconds after the last picture.
    fn tick(&mut self, seconds: i64) {
        let last = EPOCH + Span::from_nanos(self.frames * 1_000_000_000 / 30);
        self.packager.tick(last + Span::from_secs(seconds));
        self.output.release(&mut self.packager);
        // One that has nothing yet leaves what was there.
        if self.packager.snapshot().version > 0 {
            self.output.publish(Arc::clone(self.packager.snapshot()));
        }
    }

    /// Whoever packages is gone in the midst of it.
    pub(crate) fn break_off(&self) {
        self.output.break_off();
    }

    /// Another process goes on.
    pub(crate) fn restarted(self) -> Self {
        let now = EPOCH + Span::from_nanos(self.frames * 1_000_000_000 / 30);
        let mut live = Self::with(Output::resumed());
        (live.packager, live.rendition) = packaging(self.packager.state(), now);
        (live.frames, live.sound) = (self.frames, self.sound);
        live.fall_silent();
        live
    }

    /// Another packager goes on, in the same process; its encoder is not there for so many seconds.
    pub(crate) fn repackage(&mut self, seconds: i64) {
        self.packager.suspend();
        self.output.release(&mut self.packager);
        self.output.publish(Arc::clone(self.packager.snapshot()));
        let now = EPOCH + Span::from_nanos(self.frames * 1_000_000_000 / 30);
        (self.packager, self.rendition) = packaging(self.packager.state(), now);
        self.tick(seconds);
    }

    pub(crate) fn edge(&self) -> (u64, u32) {
        let edge = self.output.snapshot().get("v0").unwrap().edge().unwrap();
        (edge.msn, edge.parts)
    }
}

pub(crate) async fn ask(
    outputs: &Outputs,
    method: Method,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let (head, body) = open(outputs, method, target, map).await.into_parts();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

/// The answer as soon as it begins.
pub(crate) async fn open(
    outputs: &Outputs,
    method: Method,
    target: &str,
    headers: HeaderMap,
) -> Response {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let answer = outputs.handle(&method, path, query, &headers, peer).await;
    answer.expect("it is a media path")
}

pub(crate) async fn get(outputs: &Outputs, target: &str) -> Answer {
    ask(outputs, Method::GET, target, &[]).await
}
