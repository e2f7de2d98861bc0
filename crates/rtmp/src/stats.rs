//! What a session counts, for whoever wants to read it meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::Track;
use media::repair::Fix;
use tokio::time::Instant;

use crate::metadata::Metadata;

/// Live counters of one publisher.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    /// Milliseconds after the start at which something was read last.
    heard: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) video_frames: AtomicU64,
    pub(crate) audio_frames: AtomicU64,
    pub(crate) keyframes: AtomicU64,
    pub(crate) keyframe_interval_ms: AtomicU64,
    fixes: [AtomicU64; Fix::ALL.len()],
    seldom: Mutex<Seldom>,
}

#[derive(Debug, Default)]
struct Seldom {
    ignored: BTreeMap<&'static str, u64>,
    metadata: Option<Arc<Metadata>>,
    tracks: Option<Arc<[Track]>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Bytes read from the socket.
    pub bytes: u64,
    /// Pictures of the first video track that went on to the hub.
    pub video_frames: u64,
    /// Audio frames that went on to the hub.
    pub audio_frames: u64,
    /// Random-access points among the pictures.
    pub keyframes: u64,
    /// The last distance between two of them, in milliseconds.
    pub keyframe_interval_ms: u64,
    /// Timestamps mended, by kind.
    pub fixes: Vec<(&'static str, u64)>,
    /// Messages and frames left out, by reason.
    pub ignored: Vec<(&'static str, u64)>,
    /// The latest `onMetaData`.
    pub metadata: Option<Arc<Metadata>>,
    /// The tracks.
    pub tracks: Option<Arc<[Track]>>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            heard: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            video_frames: AtomicU64::new(0),
            audio_frames: AtomicU64::new(0),
            keyframes: AtomicU64::new(0),
            keyframe_interval_ms: AtomicU64::new(0),
            fixes: Default::default(),
            seldom: Mutex::default(),
        }
    }
}

impl Stats {
    /// Counters at zero, from now on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long no media came from the peer.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Relaxed));
        self.started.elapsed().saturating_sub(heard)
    }

    /// How long the session lasts.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn heard(&self) {
        let since = self.started.elapsed().as_millis();
        self.heard
            .store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }

    /// The counters now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let seldom = self.seldom();
        let fixes = Fix::ALL.iter().zip(&self.fixes);
        Figures {
            bytes: self.bytes.load(Relaxed),
            video_frames: self.video_frames.load(Relaxed),
            audio_frames: self.audio_frames.load(Relaxed),
            keyframes: self.keyframes.load(Relaxed),
            keyframe_interval_ms: self.keyframe_interval_ms.load(Relaxed),
            fixes: fixes
                .map(|(fix, n)| (fix.name(), n.load(Relaxed)))
                .collect(),
            ignored: seldom.ignored.iter().map(|(r, n)| (*r, *n)).collect(),
            metadata: seldom.metadata.clone(),
            tracks: seldom.tracks.clone(),
        }
    }

    pub(crate) fn fix(&self, fix: Fix) {
        if let Some(at) = Fix::ALL.iter().position(|f| *f == fix) {
            self.fixes[at].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn ignored(&self, reason: &'static str) {
        *self.seldom().ignored.entry(reason).or_default() += 1;
    }

    /// Whether this is news; some encoders repeat themselves every few packets.
    pub(crate) fn set_metadata(&self, metadata: Metadata) -> bool {
        let mut seldom = self.seldom();
        let news = seldom.metadata.as_deref() != Some(&metadata);
        if news {
            seldom.metadata = Some(Arc::new(metadata));
        }
        news
    }

    pub(crate) fn set_tracks(&self, tracks: Arc<[Track]>) {
        self.seldom().tracks = Some(tracks);
    }

    fn seldom(&self) -> std::sync::MutexGuard<'_, Seldom> {
        self.seldom.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
