//! Collects tracks, mends times, holds configurations to group edges, counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use media::repair::Repair;
use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};

use super::{Item, Output, Stats};

/// How long the second kind of media is waited for when nothing was announced, or it was.
const WAIT: Span = Span::from_millis(1_000);
const WAIT_ANNOUNCED: Span = Span::from_millis(3_000);
/// What may wait meanwhile: bytes, and frames, which may be empty.
const WAITING_BYTES: usize = 8 << 20;
const WAITING_FRAMES: usize = 4_096;

/// Makes of one source's items what its broadcast takes. Everything is given with `now` on any
/// monotonic clock, at the pace at which it is meant to go on: what came in a burst is paced first
/// ([`media::pace::Pacer`]).
#[derive(Debug)]
pub struct Assembler {
    stats: Arc<Stats>,
    repair: Repair,
    tracks: BTreeMap<TrackId, Track>,
    announced: Option<(bool, bool)>,
    /// Frames before the tracks are known; `None` once they are.
    waiting: Option<Waiting>,
    /// Tracks whose new configuration waits for the next group.
    stale: Vec<TrackId>,
    /// Whether a group was ever opened.
    open: bool,
    last_keyframe: Option<Timestamp>,
}

/// Pictures and sound, which come all the time; data comes when it comes.
const fn is_media(kind: TrackKind) -> bool {
    matches!(kind, TrackKind::Video | TrackKind::Audio)
}

#[derive(Debug, Default)]
struct Waiting {
    frames: Vec<Frame>,
    bytes: usize,
    since: Option<Timestamp>,
}

impl Assembler {
    /// For a source that counts in `stats`.
    #[must_use]
    pub fn new(stats: Arc<Stats>) -> Self {
        Self {
            stats,
            repair: Repair::new(),
            tracks: BTreeMap::new(),
            announced: None,
            waiting: Some(Waiting::default()),
            stale: Vec::new(),
            open: false,
            last_keyframe: None,
        }
    }

    /// What the source says it will send: frames go on as soon as all of it has come. Without a
    /// word both kinds are waited for, a second long.
    pub const fn announce(&mut self, video: bool, audio: bool) {
        self.announced = Some((video, audio));
    }

    /// The next item; appends what goes on.
    pub fn item(&mut self, item: Item, now: Timestamp, out: &mut Vec<Output>) {
        match item {
            Item::Track(track) => self.track(track, out),
            Item::Frame(frame) => self.frame(frame, now, out),
            Item::End(track) => self.end(track, out),
            Item::Lost => {
                self.stats.lost();
                out.push(Output::Lost);
            }
            Item::Ignored(reason) => self.stats.ignored(reason),
        }
    }

    /// Nothing more will come for now: what still waits for other tracks goes on.
    pub fn flush(&mut self, out: &mut Vec<Output>) {
        if !self.tracks.is_empty() {
            self.start(out);
        }
    }

    fn track(&mut self, track: Track, out: &mut Vec<Output>) {
        let id = track.id;
        let before = self.tracks.get(&id);
        let renewed = before.is_none_or(|b| b.config != track.config);
        let told = before == Some(&track);
        self.tracks.insert(id, track);
        if self.waiting.is_some() || told {
            return;
        }
        if renewed && !self.stale.contains(&id) {
            self.stale.push(id);
        }
        self.tell_tracks(out);
    }

    /// The last track of media stays: a broadcast without any says nothing.
    fn end(&mut self, track: TrackId, out: &mut Vec<Output>) {
        let mut others = self.tracks.values().filter(|t| t.id != track);
        if others.any(|t| is_media(t.kind)) && self.tracks.remove(&track).is_some() {
            self.stale.retain(|t| *t != track);
            if self.waiting.is_none() {
                self.tell_tracks(out);
            }
        }
    }

    fn tell_tracks(&self, out: &mut Vec<Output>) {
        let tracks: Arc<[Track]> = self.tracks.values().cloned().collect();
        self.stats.set_tracks(Arc::clone(&tracks));
        out.push(Output::Tracks(tracks));
    }

    fn frame(&mut self, mut frame: Frame, now: Timestamp, out: &mut Vec<Output>) {
        let track = self.tracks.get(&frame.track);
        let is_media = track.is_none_or(|t| is_media(t.kind));
        let times = if is_media {
            self.stats.heard();
            self.repair.frame(frame.track, frame.dts, frame.pts, now)
        } else {
            self.repair.sparse(frame.track, frame.dts, frame.pts)
        };
        if let Some(fix) = times.fix {
            self.stats.fix(fix);
        }
        (frame.dts, frame.pts) = (times.dts, times.pts);
        let Some(waiting) = self.waiting.as_mut() else {
            return self.push(frame, out);
        };
        // Nobody waits for data, nor does its coming end the wait for media.
        if is_media {
            waiting.since.get_or_insert(now);
        }
        waiting.bytes += frame.payload.len();
        waiting.frames.push(frame);
        if self.is_ready(now) {
            self.start(out);
        }
    }

    /// Whether every kind of media that is to come has its track, or was waited for long enough.
    fn is_ready(&self, now: Timestamp) -> bool {
        let Some(waiting) = self.waiting.as_ref() else {
            return false;
        };
        let has = |kind| self.tracks.values().any(|t| t.kind == kind);
        let (video, audio) = (has(TrackKind::Video), has(TrackKind::Audio));
        let complete = match self.announced {
            Some((v, a)) if v || a => (video || !v) && (audio || !a),
            _ => video && audio,
        };
        let patience = self.announced.map_or(WAIT, |_| WAIT_ANNOUNCED);
        let waited = waiting.since.map_or(Span::ZERO, |since| now - since);
        let full = waiting.bytes >= WAITING_BYTES || waiting.frames.len() >= WAITING_FRAMES;
        complete || waited >= patience || full
    }

    fn start(&mut self, out: &mut Vec<Output>) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        self.tell_tracks(out);
        for frame in waiting.frames {
            self.push(frame, out);
        }
    }

    fn push(&mut self, frame: Frame, out: &mut Vec<Output>) {
        let Some(kind) = self.tracks.get(&frame.track).map(|t| t.kind) else {
            self.stats.ignored("frame without a track");
            return;
        };
        let leads = self.leads(frame.track);
        if frame.random_access && leads {
            self.open = true;
            self.stale.clear();
        } else if !self.open {
            self.stats.ignored("before the first keyframe");
            return;
        } else if self.stale.contains(&frame.track) {
            self.stats.ignored("new configuration before its keyframe");
            return;
        }
        if leads || kind != TrackKind::Video {
            self.count(kind, &frame);
        }
        out.push(Output::Frame(frame));
    }

    /// The track whose random-access points open groups: the first video, else the first audio.
    fn leads(&self, track: TrackId) -> bool {
        let of_kind = |kind| self.tracks.values().find(|t| t.kind == kind);
        let lead = of_kind(TrackKind::Video).or_else(|| of_kind(TrackKind::Audio));
        lead.is_some_and(|t| t.id == track)
    }

    fn count(&mut self, kind: TrackKind, frame: &Frame) {
        match kind {
            TrackKind::Video => self.stats.video_frames.fetch_add(1, Relaxed),
            TrackKind::Audio => self.stats.audio_frames.fetch_add(1, Relaxed),
            _ => return,
        };
        if kind != TrackKind::Video || !frame.random_access {
            return;
        }
        self.stats.keyframes.fetch_add(1, Relaxed);
        if let Some(last) = self.last_keyframe.replace(frame.dts) {
            let interval = u64::try_from((frame.dts - last).as_millis()).unwrap_or(0);
            self.stats.keyframe_interval_ms.store(interval, Relaxed);
        }
    }
}
