//! Fuzz target: what a worker sends, in any order, whatever happens to the ladder and the
//! programme meanwhile. `crates/testkit/fuzz` runs it under an engine, the test below over the
//! kept corpus.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use container::wire::{Message, put};
use hub::{Event, Hub, Limits, Listing, Options, Publisher, Rendition, Subscriber};
use ladder::{
    AudioCodec, AudioRung, Decision, Deinterlace, From, Health, Ladder, Output, Report, Source,
    VideoCodec, VideoRung,
};
use media::codec::{AacConfig, H264Config, OpusConfig};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::board::Board;
use crate::copy;
use crate::supervisor::{Observer, Transcode};
use crate::watchdog::Watchdog;
use crate::worker::Ended;

const AVCC: &[u8] = b"\x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xda\x02\x80\xbf\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x58\xba\x80\x01\x00\x04\x68\xce\x0f\xc8";
/// Beside the numbers of outputs.
const PROGRAMME: u16 = u16::MAX;
const MARK: &[u8] = b"tracks:";
/// When it begins.
const BASE: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// Steps: a kind, then what it needs. See [`Stage::step`].
pub fn messages(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(play(data));
}

async fn play(data: &[u8]) {
    let hub = Hub::new();
    let source = hub.announce("source").expect("a free name");
    let (publisher, relay) = source.add("main", Limits::default()).expect("a free name");
    // Without one whoever writes wakes the readers.
    drop(relay);
    let presentation = hub.announce("n").expect("a free name");
    let (edit, ladder) = watch::channel(ladder(0, &[]));
    let (_hold, hold) = watch::channel(true);
    let transcode = Transcode::new(
        PathBuf::new(),
        (publisher.broadcast(), presentation),
        (ladder, hold, Arc::default()),
        (Arc::new(Board::default()), drop),
        (|| BASE, Deaf),
    );
    let mut stage = Stage {
        rest: data,
        transcode: &transcode,
        watchdog: Mutex::new(Watchdog::new(Instant::now())),
        edit,
        publisher,
        at: BTreeMap::new(),
        generation: 0,
        sent: BTreeMap::new(),
        audience: Audience::new(hub.get("n").expect("announced")),
    };
    tokio::select! {
        biased;
        () = copy::follow(&transcode.programme, &transcode.assembly) => {}
        () = transcode.follow_edits() => {}
        () = stage.run() => {}
    }
}

struct Deaf;

impl Observer for Deaf {
    fn started(&self, _: Option<u32>) {}
    fn ended(&self, _: &Ended, _: Duration, _: Duration) {}
    fn warned(&self, _: &str) {}
    fn decided(&self, _: &Decision) {}
}

struct Stage<'a, C> {
    rest: &'a [u8],
    transcode: &'a Transcode<C, Deaf>,
    watchdog: Mutex<Watchdog>,
    edit: watch::Sender<Arc<Ladder>>,
    publisher: Publisher,
    /// How far each output, and the programme, has come.
    at: BTreeMap<u16, Timestamp>,
    /// Tracks are labelled with a number, and frames hold that of theirs behind a [`MARK`]. Those
    /// that nobody told of have none.
    generation: u8,
    sent: BTreeMap<u16, u8>,
    audience: Audience,
}

impl<C: Fn() -> Timestamp + Send + Sync> Stage<'_, C> {
    async fn run(&mut self) {
        while let Some([kind]) = self.cut() {
            if self.step(kind).await.is_none() {
                return;
            }
            yield_now().await;
            self.forget();
            self.audience.look();
        }
    }

    /// A worker tells anew of what was passed on as it came meanwhile.
    fn forget(&mut self) {
        let assembly = self.transcode.assembly.lock();
        self.sent.retain(|number, _| {
            let encoded = |output| assembly.ladder().copies(output) == Some(false);
            *number == PROGRAMME || Output::of(*number).is_some_and(encoded)
        });
    }

    /// What happens next; `None` at the end of what was given.
    async fn step(&mut self, kind: u8) -> Option<()> {
        match kind % 9 {
            0 => {
                let length = usize::from(u16::from_be_bytes(self.cut()?));
                let (bytes, rest) = self.rest.split_at(length.min(self.rest.len()));
                self.rest = rest;
                self.say(bytes).await;
                // It may have told of any tracks.
                self.sent.retain(|number, _| *number == PROGRAMME);
            }
            1 => {
                let [output, flags, step, ahead] = self.cut()?;
                self.frame(number(output), flags, step, ahead).await;
            }
            2 => {
                let [output, flags] = self.cut()?;
                let [dts, pts] = [self.cut()?, self.cut()?].map(i64::from_be_bytes);
                let (dts, pts) = (Timestamp::from_nanos(dts), Timestamp::from_nanos(pts));
                self.tell_frame(number(output), flags, (dts, pts)).await;
            }
            3 => {
                let [output, which] = self.cut()?;
                self.tracks(number(output), which).await;
            }
            4 => {
                let [width, height] = [self.cut()?, self.cut()?].map(u16::from_be_bytes);
                let [num, den, mask] = self.cut()?;
                self.decide((width, height), (num, den), mask).await;
            }
            5 => {
                let [which] = self.cut()?;
                self.edit
                    .send_modify(|now| *now = ladder(which, &[Arc::clone(now)]));
            }
            6 => {
                let [flags, step, mask] = self.cut()?;
                self.programme(flags, step, mask);
            }
            7 => {
                let [ticks] = self.cut()?;
                tokio::time::advance(Duration::from_millis(u64::from(ticks) * 20)).await;
            }
            _ => {
                let [received, sent] = self.cut()?;
                let health = Health {
                    received: received.into(),
                    decoded: sent.into(),
                    ..Health::default()
                };
                self.report(&Report::Health(health)).await;
            }
        }
        Some(())
    }

    fn cut<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    /// The worker writes this; where that ends it another one begins. Tells whether it goes on.
    async fn say(&mut self, bytes: &[u8]) -> bool {
        let ended = self.transcode.take(bytes, &self.watchdog).await;
        if ended.is_some() {
            self.transcode.assembly.lock().note_loss();
            let job = self.transcode.job();
            let same = ladder::Order::Job(Box::new(job));
            let again = ladder::Order::of_control(&same.to_control());
            assert_eq!(again.ok(), Some(same), "the next worker can read its job");
            *self.watchdog.lock() = Watchdog::new(Instant::now());
        }
        ended.is_none()
    }

    async fn tell(&mut self, message: &Message) -> bool {
        let mut chunks = Vec::new();
        put(message, &mut chunks);
        self.say(&chunks.concat()).await
    }

    async fn report(&mut self, report: &Report) {
        self.tell(&Message::Control(report.to_control())).await;
    }

    async fn frame(&mut self, output: u16, flags: u8, step: u8, ahead: u8) {
        let at = self.at.entry(output).or_insert(BASE);
        *at += Span::from_millis(i64::from(step.cast_signed()) * 10);
        let dts = *at;
        let pts = dts + Span::from_millis(i64::from(ahead) * 10);
        self.tell_frame(output, flags, (dts, pts)).await;
    }

    async fn tell_frame(&mut self, output: u16, flags: u8, times: (Timestamp, Timestamp)) {
        let sent = self.sent.get(&output).copied();
        let frame = frame(TrackId(0), flags, times, sent);
        let rendition = output;
        self.tell(&Message::Frame { rendition, frame }).await;
    }

    async fn tracks(&mut self, rendition: u16, which: u8) {
        self.generation = (self.generation + 1) % u8::MAX;
        let track = track(TrackId(0), which, self.generation);
        let tracks = [track].into();
        if self.tell(&Message::Tracks { rendition, tracks }).await {
            self.sent.insert(rendition, self.generation);
        }
    }

    async fn decide(&mut self, (width, height): (u16, u16), (num, den): (u8, u8), mask: u8) {
        let source = Source {
            width: width.into(),
            height: height.into(),
            rate: ladder::FrameRate {
                num: num.into(),
                den: den.into(),
            },
        };
        let before = [Arc::clone(&self.edit.borrow())];
        let ladder = ladder(mask >> 4, &before);
        let mut decision = Decision {
            source,
            rungs: vec![],
        };
        if num > 0 && den > 0 {
            decision = Decision::of(&ladder, source);
            decision.rungs.retain(|r| mask >> (r.number & 7) & 1 == 0);
        }
        self.report(&Report::Decided(decision)).await;
    }

    /// A frame of the programme; tracks of its own come with a frame that opens a group.
    fn programme(&mut self, flags: u8, step: u8, mask: u8) {
        let (mut id, mut of_frame) = (TrackId(u16::from(flags & 3)), flags >> 4);
        if flags & 0x40 != 0 {
            self.generation = (self.generation + 1) % u8::MAX;
            let of = [(0, 0), (1, 1), (3, 2), (2, 3)];
            let chosen = of.into_iter().filter(|(_, which)| mask >> which & 1 == 1);
            let tracks = chosen.map(|(id, which)| track(TrackId(id), which, self.generation));
            let tracks: Arc<[Track]> = tracks.collect();
            (id, of_frame) = (tracks.first().map_or(id, |t| t.id), of_frame | 1);
            self.publisher.set_tracks(tracks);
            self.sent.insert(PROGRAMME, self.generation);
        }
        if flags & 0x80 != 0 {
            self.publisher.splice();
        }
        let sent = self.sent.get(&PROGRAMME).copied();
        let at = self.at.entry(PROGRAMME).or_insert(BASE);
        *at += Span::from_millis(i64::from(step) * 10);
        let _ = self.publisher.push(frame(id, of_frame, (*at, *at), sent));
    }
}

/// Any of 16 rungs of pictures; or of sound, in any slot.
fn number(byte: u8) -> u16 {
    let byte = u16::from(byte);
    if byte & 0x80 == 0 {
        byte & 0xf
    } else {
        0x100 + byte % 0x80 % 0x30
    }
}

fn frame(track: TrackId, flags: u8, (dts, pts): (Timestamp, Timestamp), sent: Option<u8>) -> Frame {
    Frame {
        track,
        dts,
        pts,
        duration: (flags & 2 != 0).then_some(Span::from_millis(20)),
        random_access: flags & 1 != 0,
        leading: false,
        payload: sent.map_or_else(Bytes::new, |sent| [MARK, &[sent]].concat().into()),
    }
}

fn track(id: TrackId, which: u8, generation: u8) -> Track {
    let config = match which % 4 {
        0 => CodecConfig::H264(H264Config::parse(Bytes::from_static(AVCC)).expect("readable")),
        1 => {
            let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90]));
            CodecConfig::Aac(config.expect("readable"))
        }
        _ => CodecConfig::Opus(OpusConfig::new(2)),
    };
    let languages = [None, Some("en"), Some("de"), Some("en-GB")];
    Track {
        language: languages[usize::from(which >> 2 & 3)].map(str::to_owned),
        label: Some(generation.to_string()),
        ..Track::new(id, config)
    }
}

/// Ladders that one is edited to.
fn ladder(which: u8, before: &[Arc<Ladder>]) -> Arc<Ladder> {
    let video = |name: &str, codec| VideoRung {
        codec,
        height: Some(360),
        ..VideoRung::copy(name.to_owned())
    };
    let (copied, h264, h265) = (VideoCodec::Copy, VideoCodec::H264, VideoCodec::H265);
    let audio = |name: &str, codec, from| AudioRung {
        name: name.to_owned(),
        number: 0,
        codec,
        from,
        kbps: 64,
        sample_rate: None,
        channels: None,
    };
    let aac = || audio("aac", AudioCodec::Aac, From::All);
    let opus = || audio("opus", AudioCodec::Opus, From::Language("en".to_owned()));
    let copy = || audio("as it came", AudioCodec::Copy, From::Track(0));
    let (video, audio) = match which % 9 {
        0 => (vec![video("high", h264), video("low", h264)], vec![aac()]),
        1 => (vec![video("high", copied), video("low", h264)], vec![aac()]),
        2 => (vec![video("high", h265)], vec![copy(), opus()]),
        3 => (vec![], vec![aac(), opus()]),
        4 => (
            vec![video("low", h264), video("high", copied)],
            vec![opus()],
        ),
        5 => (vec![], vec![]),
        6 => (vec![video("other", h264)], vec![]),
        7 => (vec![video("high", copied)], vec![copy()]),
        _ => (vec![video("high", h264)], vec![aac(), copy()]),
    };
    let ladder = Ladder {
        gop_ms: 1_000,
        deinterlace: Deinterlace::Auto,
        video,
        audio,
    };
    Arc::new(ladder.numbered(before))
}

/// A reader of every rendition there is.
struct Audience {
    listing: Listing,
    seats: Vec<Seat>,
}

struct Seat {
    /// Each rendition that ever was has one of its own.
    id: Arc<str>,
    reader: Subscriber,
    tracks: Arc<[Track]>,
    begins: bool,
    last: BTreeMap<TrackId, Timestamp>,
}

impl Audience {
    const fn new(listing: Listing) -> Self {
        let seats = Vec::new();
        Self { listing, seats }
    }

    fn look(&mut self) {
        for rendition in self.listing.renditions().iter() {
            if !self.seats.iter().any(|s| Arc::ptr_eq(&s.id, &rendition.id)) {
                self.seats.push(Seat::new(rendition));
            }
        }
        self.seats.retain_mut(Seat::look);
    }
}

impl Seat {
    fn new(rendition: &Rendition) -> Self {
        Self {
            id: Arc::clone(&rendition.id),
            reader: rendition.broadcast.subscribe(Options::default()),
            tracks: Arc::new([]),
            begins: false,
            last: BTreeMap::new(),
        }
    }

    /// What came meanwhile; whether more may.
    fn look(&mut self) -> bool {
        let mut batch = Vec::new();
        let mut goes_on = true;
        while self.reader.try_next(&mut batch) {
            for event in batch.drain(..) {
                match event {
                    Event::Group { tracks, .. } => {
                        self.tracks = tracks;
                        self.begins = true;
                    }
                    Event::Frame(frame) => self.frame(&frame),
                    Event::End(_) => goes_on = false,
                    Event::Skipped { .. } => {}
                }
            }
            if !goes_on {
                break;
            }
        }
        goes_on
    }

    fn frame(&mut self, frame: &Frame) {
        assert!(frame.random_access || !self.begins, "{frame:?}");
        self.begins = false;
        assert!(frame.pts >= frame.dts, "{frame:?}");
        let before = self.last.insert(frame.track, frame.dts);
        assert!(before.is_none_or(|dts| dts < frame.dts), "{frame:?}");
        let track = self.tracks.iter().find(|t| t.id == frame.track);
        let track = track.expect("a track of this group");
        if let Some([sent]) = frame.payload.strip_prefix(MARK) {
            let told = track.label.as_deref();
            let sent = sent.to_string();
            assert_eq!(
                told,
                Some(&*sent),
                "{frame:?} is of tracks that were replaced"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn kept_corpus() {
        testkit::fuzz::replay("transcode_messages", super::messages);
    }
}
