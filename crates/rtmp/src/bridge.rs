//! Messages become frames: configurations make tracks, timestamps are mended, groups are opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use container::flv::{Demux, FlvError, Item, Unit};
use hub::{Publisher, Refused};
use media::repair::{Repair, Unwrap};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackId, TrackKind};

use crate::metadata::{Metadata, TrackInfo};
use crate::session::MediaKind;
use crate::stats::Stats;

/// How long the second kind of media is waited for when nothing was announced, or it was.
const WAIT: Span = Span::from_millis(1_000);
const WAIT_ANNOUNCED: Span = Span::from_millis(3_000);
/// What may wait meanwhile.
const WAITING_BYTES: usize = 8 << 20;
/// So many unreadable messages in a row are no accident.
const UNREADABLE: u32 = 50;

/// Carries one session's messages to a broadcast.
#[derive(Debug)]
pub(crate) struct Bridge {
    publisher: Publisher,
    stats: Arc<Stats>,
    demux: Demux,
    clock: Unwrap,
    repair: Repair,
    configs: BTreeMap<TrackId, CodecConfig>,
    announced: Option<(bool, bool)>,
    /// Languages and names, as `onMetaData` tells them.
    told: BTreeMap<TrackId, TrackInfo>,
    /// Frames before the tracks are known; `None` once they are.
    waiting: Option<Waiting>,
    /// Tracks whose new configuration waits for the next group.
    stale: Vec<TrackId>,
    items: Vec<Item>,
    last_keyframe: Option<Timestamp>,
    /// Messages in a row that could not be read.
    unreadable: u32,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: Vec<Frame>,
    bytes: usize,
    since: Option<Timestamp>,
}

impl Bridge {
    pub(crate) fn new(publisher: Publisher, stats: Arc<Stats>) -> Self {
        Self {
            publisher,
            stats,
            demux: Demux::new(),
            clock: Unwrap::new(32),
            repair: Repair::new(),
            configs: BTreeMap::new(),
            announced: None,
            told: BTreeMap::new(),
            waiting: Some(Waiting::default()),
            stale: Vec::new(),
            items: Vec::new(),
            last_keyframe: None,
            unreadable: 0,
        }
    }

    pub(crate) fn into_publisher(self) -> Publisher {
        self.publisher
    }

    pub(crate) fn metadata(&mut self, metadata: Metadata) {
        self.announced = Some((metadata.video, metadata.audio));
        if self.told != metadata.tracks {
            self.told.clone_from(&metadata.tracks);
            if self.waiting.is_none() {
                self.announce_tracks();
            }
        }
        self.stats.set_metadata(metadata);
    }

    /// One media message; `now` is any monotonic clock.
    pub(crate) fn media(
        &mut self,
        kind: MediaKind,
        timestamp: u32,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(), FlvError> {
        // Encoders send empty audio messages to keep a connection alive.
        if body.is_empty() {
            self.stats.ignored("empty message");
            return Ok(());
        }
        let dts = Timestamp::from_millis(self.clock.extend(u64::from(timestamp)));
        let mut items = std::mem::take(&mut self.items);
        let read = match kind {
            MediaKind::Audio => self.demux.audio(body, &mut items),
            MediaKind::Video => self.demux.video(body, &mut items),
        };
        for item in items.drain(..) {
            self.item(item, dts, now);
        }
        self.items = items;
        self.tolerate(read)
    }

    /// A broken message costs itself, not the viewers.
    fn tolerate(&mut self, read: Result<(), FlvError>) -> Result<(), FlvError> {
        let Err(error) = read else {
            self.unreadable = 0;
            return Ok(());
        };
        self.stats.ignored("unreadable message");
        self.unreadable += 1;
        if self.unreadable > UNREADABLE {
            return Err(error);
        }
        tracing::debug!(%error, "media message left out");
        Ok(())
    }

    fn item(&mut self, item: Item, dts: Timestamp, now: Timestamp) {
        match item {
            Item::Config(track, config) => self.configure(track, config),
            Item::Frame(unit) => self.unit(unit, dts, now),
            Item::Ignored(reason) => self.stats.ignored(reason),
            _ => {}
        }
    }

    fn configure(&mut self, track: TrackId, config: CodecConfig) {
        self.configs.insert(track, config);
        if self.waiting.is_none() {
            if !self.stale.contains(&track) {
                self.stale.push(track);
            }
            self.announce_tracks();
        }
    }

    fn announce_tracks(&mut self) {
        let track = |(id, config): (&TrackId, &CodecConfig)| {
            let info = self.told.get(id).cloned().unwrap_or_default();
            Track {
                language: info.language,
                label: info.label,
                ..Track::new(*id, config.clone())
            }
        };
        let tracks: Arc<[Track]> = self.configs.iter().map(track).collect();
        self.stats.set_tracks(Arc::clone(&tracks));
        self.publisher.set_tracks(tracks);
    }

    fn unit(&mut self, unit: Unit, dts: Timestamp, now: Timestamp) {
        let pts = dts + unit.composition;
        let times = self.repair.frame(unit.track, dts, pts, now);
        if let Some(fix) = times.fix {
            self.stats.fix(fix);
        }
        let frame = Frame {
            track: unit.track,
            dts: times.dts,
            pts: times.pts,
            duration: None,
            random_access: unit.random_access,
            leading: unit.leading,
            payload: unit.payload,
        };
        match self.waiting.as_mut() {
            None => self.push(frame),
            Some(waiting) => {
                waiting.since.get_or_insert(now);
                waiting.bytes += frame.payload.len();
                waiting.frames.push(frame);
                self.start_if_ready(now);
            }
        }
    }

    /// Begins once every kind of media that is to come has its configuration, or is waited for
    /// long enough.
    fn start_if_ready(&mut self, now: Timestamp) {
        let Some(waiting) = self.waiting.as_ref() else {
            return;
        };
        let has = |kind| self.configs.values().any(|c| c.kind() == kind);
        let (video, audio) = (has(TrackKind::Video), has(TrackKind::Audio));
        let complete = match self.announced {
            Some((v, a)) if v || a => (video || !v) && (audio || !a),
            _ => video && audio,
        };
        let patience = self.announced.map_or(WAIT, |_| WAIT_ANNOUNCED);
        let waited = waiting.since.map_or(Span::ZERO, |since| now - since);
        if !complete && waited < patience && waiting.bytes < WAITING_BYTES {
            return;
        }
        let frames = self.waiting.take().map(|w| w.frames);
        self.announce_tracks();
        for frame in frames.into_iter().flatten() {
            self.push(frame);
        }
    }

    fn push(&mut self, frame: Frame) {
        let Some(kind) = self.configs.get(&frame.track).map(CodecConfig::kind) else {
            return;
        };
        let leads = self.leads(frame.track);
        let opens = frame.random_access && leads;
        if opens {
            self.stale.clear();
        } else if self.stale.contains(&frame.track) {
            self.stats.ignored("new configuration before its keyframe");
            return;
        }
        let dts = frame.dts;
        if let Err(refused) = self.publisher.push(frame) {
            self.stats.ignored(match refused {
                Refused::Ended => "the presentation is gone",
                _ => "before the first keyframe",
            });
            return;
        }
        if kind != TrackKind::Video || leads {
            self.count(kind, opens, dts);
        }
    }

    /// The track whose random-access points open groups: the first video, else the first audio.
    fn leads(&self, track: TrackId) -> bool {
        let of_kind = |kind| {
            let mut configs = self.configs.iter();
            configs.find(|(_, c)| c.kind() == kind).map(|(id, _)| *id)
        };
        let lead = of_kind(TrackKind::Video).or_else(|| of_kind(TrackKind::Audio));
        lead == Some(track)
    }

    fn count(&mut self, kind: TrackKind, key: bool, dts: Timestamp) {
        if kind != TrackKind::Video {
            self.stats.audio_frames.fetch_add(1, Relaxed);
            return;
        }
        self.stats.video_frames.fetch_add(1, Relaxed);
        if !key {
            return;
        }
        self.stats.keyframes.fetch_add(1, Relaxed);
        if let Some(last) = self.last_keyframe.replace(dts) {
            let interval = u64::try_from((dts - last).as_millis()).unwrap_or(0);
            self.stats.keyframe_interval_ms.store(interval, Relaxed);
        }
    }
}
