//! What a session received, for whoever wants to read it meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::repair::Fix;
use media::{Timestamp, Track};

/// Live counters of one source.
#[derive(Debug)]
pub struct Stats {
    clock: fn() -> Timestamp,
    started: Timestamp,
    /// Nanoseconds on the clock at which media came last.
    heard: AtomicI64,
    bytes: AtomicU64,
    pub(super) video_frames: AtomicU64,
    pub(super) audio_frames: AtomicU64,
    pub(super) keyframes: AtomicU64,
    pub(super) keyframe_interval_ms: AtomicU64,
    losses: AtomicU64,
    fixes: [AtomicU64; Fix::ALL.len()],
    seldom: Mutex<Seldom>,
}

#[derive(Debug, Default)]
struct Seldom {
    ignored: BTreeMap<&'static str, u64>,
    counters: BTreeMap<&'static str, u64>,
    cc_errors_by_pid: Vec<(u16, u64)>,
    description: Arc<BTreeMap<String, String>>,
    tracks: Option<Arc<[Track]>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Bytes received.
    pub bytes: u64,
    /// Pictures of the first video track that went on.
    pub video_frames: u64,
    /// Audio frames that went on.
    pub audio_frames: u64,
    /// Random-access points among the pictures.
    pub keyframes: u64,
    /// The last distance between two of them, in milliseconds.
    pub keyframe_interval_ms: u64,
    /// Times that media was missing.
    pub losses: u64,
    /// Timestamps mended, by kind.
    pub fixes: Vec<(&'static str, u64)>,
    /// Messages and frames left out, by reason.
    pub ignored: Vec<(&'static str, u64)>,
    /// What the protocol or container counts of its own, such as `cc_errors`.
    pub counters: Vec<(&'static str, u64)>,
    /// Gaps in the continuity counters of MPEG-TS, by PID.
    pub cc_errors_by_pid: Vec<(u16, u64)>,
    /// What the source says of itself.
    pub description: Arc<BTreeMap<String, String>>,
    /// The tracks.
    pub tracks: Option<Arc<[Track]>>,
}

impl Stats {
    /// Counters at zero, from now on. `clock` is any monotonic clock of the process; this crate
    /// reads none.
    #[must_use]
    pub fn new(clock: fn() -> Timestamp) -> Self {
        let started = clock();
        Self {
            clock,
            started,
            heard: AtomicI64::new(started.as_nanos()),
            bytes: AtomicU64::new(0),
            video_frames: AtomicU64::new(0),
            audio_frames: AtomicU64::new(0),
            keyframes: AtomicU64::new(0),
            keyframe_interval_ms: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            fixes: Default::default(),
            seldom: Mutex::default(),
        }
    }

    /// The time on the clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// How long no media came.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let heard = Timestamp::from_nanos(self.heard.load(Relaxed));
        (self.now() - heard).to_duration()
    }

    /// How long the session lasts.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        (self.now() - self.started).to_duration()
    }

    /// Counts bytes received.
    pub fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Media came just now. The [`Assembler`](super::Assembler) tells it of each frame.
    pub fn heard(&self) {
        self.heard.store(self.now().as_nanos(), Relaxed);
    }

    /// Counts that media was missing. The [`Assembler`](super::Assembler) tells it.
    pub(super) fn lost(&self) {
        self.losses.fetch_add(1, Relaxed);
    }

    /// Counts a mended timestamp.
    pub fn fix(&self, fix: Fix) {
        if let Some(at) = Fix::ALL.iter().position(|f| *f == fix) {
            self.fixes[at].fetch_add(1, Relaxed);
        }
    }

    /// Counts something left out. Reasons are few and short: they become labels of metrics.
    pub fn ignored(&self, reason: &'static str) {
        *self.seldom().ignored.entry(reason).or_default() += 1;
    }

    /// Adds to a counter of the protocol or container, such as `cc_errors`.
    pub fn add(&self, counter: &'static str, more: u64) {
        let mut seldom = self.seldom();
        let value = seldom.counters.entry(counter).or_default();
        *value = value.saturating_add(more);
    }

    /// Sets a counter that is counted elsewhere, such as a socket's.
    pub fn set(&self, counter: &'static str, value: u64) {
        self.seldom().counters.insert(counter, value);
    }

    /// Gaps in continuity counters, by PID; the caller bounds them.
    pub fn set_cc_errors_by_pid(&self, errors: &[(u16, u64)]) {
        let mut seldom = self.seldom();
        seldom.cc_errors_by_pid.clear();
        seldom.cc_errors_by_pid.extend_from_slice(errors);
    }

    /// What the source says of itself, as RTMP's `onMetaData` does: name and value. The caller
    /// bounds it.
    pub fn describe(&self, description: BTreeMap<String, String>) {
        self.seldom().description = Arc::new(description);
    }

    /// The tracks, as they are announced.
    pub fn set_tracks(&self, tracks: Arc<[Track]>) {
        self.seldom().tracks = Some(tracks);
    }

    /// The counters now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let seldom = self.seldom();
        let fixes = Fix::ALL.iter().zip(&self.fixes);
        let listed = |map: &BTreeMap<_, _>| map.iter().map(|(name, n)| (*name, *n)).collect();
        Figures {
            bytes: self.bytes.load(Relaxed),
            video_frames: self.video_frames.load(Relaxed),
            audio_frames: self.audio_frames.load(Relaxed),
            keyframes: self.keyframes.load(Relaxed),
            keyframe_interval_ms: self.keyframe_interval_ms.load(Relaxed),
            losses: self.losses.load(Relaxed),
            fixes: fixes
                .map(|(fix, n)| (fix.name(), n.load(Relaxed)))
                .collect(),
            ignored: listed(&seldom.ignored),
            counters: listed(&seldom.counters),
            cc_errors_by_pid: seldom.cc_errors_by_pid.clone(),
            description: Arc::clone(&seldom.description),
            tracks: seldom.tracks.clone(),
        }
    }

    fn seldom(&self) -> std::sync::MutexGuard<'_, Seldom> {
        self.seldom.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
