//! Frames become messages: the way out, as the bridge is the way in.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use container::flv::{Mux, number_of};
use hub::Event;
use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};

use crate::amf::{self, Value, object, text};
use crate::capabilities::Capabilities;
use crate::metadata::{AUDIO_TRACKS, VIDEO_TRACKS};
use crate::outgoing::Outgoing;
use crate::reply::{CHUNK_SIZE, STREAM};
use crate::request::PUBLISH_CHUNK_SIZE;

const AUDIO: (u8, u8) = (4, 8);
const VIDEO: (u8, u8) = (6, 9);
const DATA: (u8, u8) = (5, 18);
/// What a message's length field can tell.
const LONGEST: usize = 0x00ff_ffff;

/// Writes one broadcast for one player, or for a server that it is pushed to.
#[derive(Debug)]
pub(crate) struct Muxer {
    capabilities: Capabilities,
    /// The message stream.
    stream: u32,
    chunk_size: usize,
    /// A server is asked to keep the description for those who come later.
    publishes: bool,
    tracks: Arc<[Track]>,
    lanes: Vec<Lane>,
    /// Programme time of timestamp zero: the first frame's.
    base: Option<Timestamp>,
    /// The last timestamp.
    last: u32,
}

#[derive(Debug)]
struct Lane {
    id: TrackId,
    kind: TrackKind,
    mux: Mux,
    /// Nothing is sent before a random-access point: a group begins with the first video's alone.
    waits: bool,
}

impl Muxer {
    pub(crate) fn playing(capabilities: Capabilities) -> Self {
        Self::new(capabilities, STREAM, CHUNK_SIZE)
    }

    pub(crate) fn publishing(capabilities: Capabilities, stream: u32) -> Self {
        Self {
            publishes: true,
            ..Self::new(capabilities, stream, PUBLISH_CHUNK_SIZE)
        }
    }

    fn new(capabilities: Capabilities, stream: u32, chunk_size: u32) -> Self {
        Self {
            capabilities,
            stream,
            chunk_size: chunk_size as usize,
            publishes: false,
            tracks: Arc::new([]),
            lanes: Vec::new(),
            base: None,
            last: 0,
        }
    }

    /// The tracks that the other end does not take.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = &Track> {
        let sent = |track: &&Track| self.lanes.iter().any(|lane| lane.id == track.id);
        self.tracks.iter().filter(move |track| !sent(track))
    }

    /// Appends what `event` means to the other end. Whether it has begun with other tracks.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Outgoing) -> bool {
        match event {
            Event::Group { tracks, .. } if self.tracks != *tracks => {
                self.tracks = Arc::clone(tracks);
                self.begin(out);
                return true;
            }
            Event::Frame(frame) => self.frame(frame, out),
            Event::Skipped { .. } => self.lanes.iter_mut().for_each(|lane| lane.waits = true),
            _ => {}
        }
        false
    }

    /// Tells what follows: description and configurations.
    fn begin(&mut self, out: &mut Outgoing) {
        let capabilities = &self.capabilities;
        let lane = |track: &Track| {
            let mux = Mux::new(&track.config, number_of(track.id))?;
            capabilities.take(&mux).then_some(Lane {
                id: track.id,
                kind: track.kind,
                mux,
                waits: true,
            })
        };
        self.lanes = self.tracks.iter().filter_map(lane).collect();
        let description = self.metadata();
        let at = (self.last, self.stream);
        out.message(DATA, at, (&[], &description), self.chunk_size);
        for lane in &self.lanes {
            let track = self.tracks.iter().find(|t| t.id == lane.id);
            let body = track.and_then(|t| lane.mux.config(&t.config));
            if let Some(body) = body.filter(|b| b.len() <= LONGEST) {
                out.message(channel(lane.kind), at, (&[], &body), self.chunk_size);
            }
        }
    }

    fn frame(&mut self, frame: &Frame, out: &mut Outgoing) {
        let base = *self.base.get_or_insert(frame.dts);
        // Sound of before the first picture, which MPEG-TS brings behind it: times begin at zero.
        if frame.dts < base {
            return;
        }
        let mut lanes = self.lanes.iter_mut();
        let Some(lane) = lanes.find(|lane| lane.id == frame.track) else {
            return;
        };
        if lane.waits && !frame.random_access {
            return;
        }
        lane.waits = false;
        let head = lane.mux.frame(frame.random_access, frame.pts - frame.dts);
        if head.as_slice().len() + frame.payload.len() > LONGEST {
            return;
        }
        self.last = millis(frame.dts - base);
        let at = (self.last, self.stream);
        let body = (head.as_slice(), &frame.payload);
        out.message(channel(lane.kind), at, body, self.chunk_size);
    }

    fn metadata(&self) -> Bytes {
        let mut members = vec![("encoder", text("Weir"))];
        let (mut more_video, mut more_audio) = (HashMap::new(), HashMap::new());
        for Lane { id, mux, .. } in &self.lanes {
            let Some(track) = self.tracks.iter().find(|t| t.id == *id) else {
                continue;
            };
            if !mux.is_multitrack() {
                describe(track, mux, &mut members);
                continue;
            }
            let mut own = Vec::new();
            describe(track, mux, &mut own);
            if let Some(label) = &track.label {
                own.push(("title", text(label)));
            }
            let more = match track.kind {
                TrackKind::Video => &mut more_video,
                _ => &mut more_audio,
            };
            more.insert(number_of(*id).to_string(), object(own));
        }
        for (name, map) in [(VIDEO_TRACKS, more_video), (AUDIO_TRACKS, more_audio)] {
            if !map.is_empty() {
                members.push((name, Value::Object(map)));
            }
        }
        let keep = self.publishes.then(|| text("@setDataFrame"));
        let description = [text("onMetaData"), object(members)];
        amf::write(&keep.into_iter().chain(description).collect())
    }
}

fn describe(track: &Track, mux: &Mux, members: &mut Vec<(&str, Value)>) {
    match track.kind {
        TrackKind::Video => video(track, mux, members),
        _ => audio(track, mux, members),
    }
}

fn video(track: &Track, mux: &Mux, members: &mut Vec<(&str, Value)>) {
    members.push(("videocodecid", Value::Number(mux.metadata_id())));
    let Some(video) = track.config.video() else {
        return;
    };
    members.push(("width", Value::Number(video.width.into())));
    members.push(("height", Value::Number(video.height.into())));
    if let Some((num, den)) = video.frame_rate {
        let rate = f64::from(num) / f64::from(den);
        members.push(("framerate", Value::Number(rate)));
    }
}

fn audio(track: &Track, mux: &Mux, members: &mut Vec<(&str, Value)>) {
    members.push(("audiocodecid", Value::Number(mux.metadata_id())));
    if let Some(language) = &track.language {
        members.push(("language", text(language)));
    }
    let Some(audio) = track.config.audio() else {
        return;
    };
    members.push(("audiosamplerate", Value::Number(audio.sample_rate.into())));
    members.push(("audiochannels", Value::Number(audio.channels.into())));
    members.push(("stereo", Value::Boolean(audio.channels == 2)));
}

const fn channel(kind: TrackKind) -> (u8, u8) {
    match kind {
        TrackKind::Video => VIDEO,
        _ => AUDIO,
    }
}

/// Milliseconds modulo 2^32. Sound that precedes the first picture shares its time.
fn millis(since: Span) -> u32 {
    let millis = u64::try_from(since.as_millis()).unwrap_or(0);
    u32::try_from(millis & u64::from(u32::MAX)).unwrap_or(0)
}
