//! What one stream serves now, and who waits for what comes next.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use media::Timestamp;
use packager::{Dash, Form, Init, Packager, Snapshot, View};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::Refusal;
use crate::in_ts::InTs;
use crate::lanes::Lanes;
use crate::viewers::{Comings, Viewers};

/// Upper bounds of the release-latency histogram, in microseconds.
const BUCKETS: [u64; 10] = [
    250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 25_000, 100_000, 1_000_000,
];

/// Playlists in MPEG-TS that are kept rendered.
const MOST_TS: usize = 64;

/// No player waits for a server for longer than this.
const OUTLIVED: Duration = Duration::from_secs(600);
/// Those that do ask for what it lost within this time after the next one is live.
const ASKED: Duration = Duration::from_secs(60);

/// One stream's output: the newest snapshot, its rendered playlists, counters.
#[derive(Debug)]
pub struct Output {
    state: watch::Sender<Arc<State>>,
    dash: watch::Sender<Arc<Dash>>,
    pub(crate) lanes: Lanes,
    /// Classic and low latency, as they were asked for last.
    manifests: [Mutex<Option<Manifest>>; 2],
    pub(crate) viewers: Viewers,
    audience: watch::Sender<bool>,
    on_demand: AtomicBool,
    container: AtomicU8,
    pub(crate) in_ts: InTs,
    pub(crate) bytes: Arc<AtomicU64>,
    pub(crate) requests: Requests,
    pub(crate) blocked: AtomicUsize,
    renders: Arc<AtomicU64>,
    release: Histogram,
    chunks: Histogram,
    /// The first segment that was listed, and when, where an earlier process listed others.
    resumed: Option<OnceLock<(u64, Instant)>>,
}

/// What HLS players are given segments in; those of DASH are always fragmented MP4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Container {
    /// Fragmented MP4.
    #[default]
    Cmaf,
    /// MPEG-TS, in classic playlists, under every address.
    Ts,
    /// Either: those who ask for `ts.m3u8` get MPEG-TS.
    Both,
}

/// Requests answered, by what came of them.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) playlists: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) parts: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) crowded: AtomicU64,
    pub(crate) not_carried: AtomicU64,
}

#[derive(Debug, Default)]
struct Histogram {
    counts: [AtomicU64; BUCKETS.len() + 1],
    sum_us: AtomicU64,
}

/// A snapshot with the playlists that were asked of it: each is rendered, and compressed, once.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) snapshot: Arc<Snapshot>,
    rendered: Mutex<HashMap<(usize, Form), Rendered>>,
    /// Low latency and classic.
    multivariant: [OnceLock<Option<Rendered>>; 2],
    ts_multivariant: OnceLock<Option<Rendered>>,
    /// By what they are called; those that the multivariant playlist names.
    ts_playlists: Mutex<HashMap<String, Rendered>>,
    renders: Arc<AtomicU64>,
}

/// An MPD, and what it shows.
#[derive(Debug)]
struct Manifest {
    dash: Arc<Dash>,
    view: View,
    rendered: Rendered,
}

/// A playlist as it goes out.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub(crate) plain: Bytes,
    pub(crate) gzip: Bytes,
}

impl Rendered {
    pub(crate) fn new(text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
        // Writing to memory does not fail; if it did, the plain form serves.
        let gzip = encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish())
            .unwrap_or_default();
        Self {
            plain: text.into(),
            gzip: gzip.into(),
        }
    }
}

impl State {
    fn new(snapshot: Arc<Snapshot>, renders: &Arc<AtomicU64>) -> Self {
        Self {
            snapshot,
            rendered: Mutex::default(),
            multivariant: Default::default(),
            ts_multivariant: OnceLock::new(),
            ts_playlists: Mutex::default(),
            renders: Arc::clone(renders),
        }
    }

    /// The multivariant playlist; `None` where there is none yet.
    pub(crate) fn multivariant(&self, low_latency: bool) -> Option<Rendered> {
        let rendered = self.multivariant[usize::from(low_latency)].get_or_init(|| {
            self.renders.fetch_add(1, Relaxed);
            self.snapshot.multivariant(low_latency).map(Rendered::new)
        });
        rendered.clone()
    }

    /// The same of playlists in MPEG-TS.
    pub(crate) fn ts_multivariant(&self) -> Option<Rendered> {
        let rendered = self.ts_multivariant.get_or_init(|| {
            self.renders.fetch_add(1, Relaxed);
            self.snapshot.ts_multivariant().map(Rendered::new)
        });
        rendered.clone()
    }

    /// A media playlist in MPEG-TS.
    pub(crate) fn ts_playlist(&self, id: &str) -> Option<Rendered> {
        let mut known = self
            .ts_playlists
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(rendered) = known.get(id) {
            return Some(rendered.clone());
        }
        self.renders.fetch_add(1, Relaxed);
        let rendered = Rendered::new(self.snapshot.ts_playlist(id)?);
        // Sound that is not there may be called anything.
        if known.len() < MOST_TS {
            known.insert(id.to_owned(), rendered.clone());
        }
        Some(rendered)
    }

    /// The media playlist at `index` of the snapshot.
    pub(crate) fn playlist(&self, index: usize, form: Form) -> Option<Rendered> {
        let media = self.snapshot.media.get(index)?;
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let rendered = rendered.entry((index, form)).or_insert_with(|| {
            self.renders.fetch_add(1, Relaxed);
            Rendered::new(self.snapshot.playlist(media, form))
        });
        Some(rendered.clone())
    }
}

/// An output's counters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Bytes of segments and parts handed to sockets.
    pub bytes: u64,
    /// Playlist requests answered.
    pub playlists: u64,
    /// Segment requests answered.
    pub segments: u64,
    /// Part requests answered.
    pub parts: u64,
    /// Requests refused.
    pub refused: u64,
    /// Of those, the ones for which too many waited already.
    pub crowded: u64,
    /// Those for MPEG-TS of what it cannot carry.
    pub not_carried: u64,
    /// Segments made in MPEG-TS.
    pub made_ts: u64,
    /// Requests that wait now.
    pub blocked: u64,
    /// HTTP viewers now.
    pub viewers: u64,
    /// Playlists rendered.
    pub renders: u64,
    /// Upper bounds in seconds with the number of releases that took no longer, not summed up;
    /// the last bound is infinite.
    pub release: Vec<(f64, u64)>,
    /// The sum of all release latencies, in seconds.
    pub release_sum: f64,
    /// The same as `release` for chunks of growing segments.
    pub chunks: Vec<(f64, u64)>,
    /// Their sum, in seconds.
    pub chunks_sum: f64,
}

impl Default for Output {
    fn default() -> Self {
        let renders = Arc::new(AtomicU64::new(0));
        let state = State::new(Arc::default(), &renders);
        Self {
            state: watch::Sender::new(Arc::new(state)),
            dash: watch::Sender::default(),
            lanes: Lanes::default(),
            manifests: Default::default(),
            viewers: Viewers::default(),
            audience: watch::Sender::new(false),
            on_demand: AtomicBool::new(false),
            container: AtomicU8::default(),
            in_ts: InTs::default(),
            bytes: Arc::default(),
            requests: Requests::default(),
            blocked: AtomicUsize::new(0),
            renders,
            release: Histogram::default(),
            chunks: Histogram::default(),
            resumed: None,
        }
    }
}

impl Output {
    /// An output that has nothing to serve yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An output that goes on with the numbers of an earlier process, which may have been killed in
    /// the midst of a segment.
    #[must_use]
    pub fn resumed() -> Self {
        Self {
            resumed: Some(OnceLock::new()),
            ..Self::default()
        }
    }

    /// Replaces what is served and wakes all who wait.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        if let (Some(first), Some(media)) = (&self.resumed, snapshot.media.first()) {
            first.get_or_init(|| (media.media_sequence(), Instant::now()));
        }
        let state = State::new(snapshot, &self.renders);
        self.state.send_replace(Arc::new(state));
        self.in_ts.forget();
    }

    /// Passes on what the packager has for DASH clients: chunks as they are made, and what an MPD
    /// says. Whether there was any chunk.
    pub fn release(&self, packager: &mut Packager) -> bool {
        let mut any = false;
        while let Some(release) = packager.next_release() {
            if self.lanes.release(release) {
                // Who waits for it has no other news to wait for.
                self.dash.send_modify(|_| {});
            }
            any = true;
        }
        let dash = packager.dash();
        let told = Arc::clone(&self.dash.borrow());
        let news = match told.is_empty() || !dash.is_empty() {
            true => (!Arc::ptr_eq(&told, dash)).then(|| Arc::clone(dash)),
            // Who goes on after an end has nothing to tell at first, but which numbers are gone.
            false => told.close(dash.closed).map(Arc::new),
        };
        if let Some(news) = news {
            self.lanes.forget(|media| news.knows(media));
            self.dash.send_replace(news);
        }
        any
    }

    /// Who makes it is gone: who reads what has not ended is told that it was not all.
    pub fn break_off(&self) {
        self.lanes.close();
    }

    pub(crate) fn dash(&self) -> watch::Receiver<Arc<Dash>> {
        self.dash.subscribe()
    }

    /// Whether a track is one that clients were told of, by an earlier process perhaps.
    pub(crate) fn is_known(&self, dash: &Dash, id: &str) -> bool {
        dash.knows(id) || dash.is_empty() && self.resumed.is_some()
    }

    /// Whether who waits for the first media may get some.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_on_demand() || self.resumed.is_some() || !self.dash.borrow().is_empty()
    }

    /// An initialisation section by its hash.
    pub(crate) fn init(&self, id: &str, hash: &str) -> Option<Arc<Init>> {
        let snapshot = self.snapshot();
        let held = snapshot.init(id, hash);
        let told = || self.dash.borrow().init(id, hash);
        held.cloned().or_else(told)
    }

    /// Whether a client that has set its decoder up by `init` can be given what comes behind `other`.
    pub(crate) fn suits(&self, id: &str, init: &str, other: &Init) -> bool {
        let dash = self.dash.borrow();
        dash.init(id, init)
            .is_some_and(|init| init.codec == other.codec)
    }

    /// The MPD at UTC `now`; `None` where there is none yet.
    pub(crate) fn manifest(
        &self,
        low_latency: bool,
        now: Timestamp,
        time: &str,
    ) -> Option<Rendered> {
        let dash = Arc::clone(&self.dash.borrow());
        let view = dash.view(low_latency, now)?;
        let manifest = &self.manifests[usize::from(low_latency)];
        let mut manifest = manifest.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |m: &&Manifest| m.view == view && Arc::ptr_eq(&m.dash, &dash);
        if let Some(same) = manifest.as_ref().filter(same) {
            return Some(same.rendered.clone());
        }
        self.renders.fetch_add(1, Relaxed);
        let rendered = Rendered::new(dash.mpd(view, now, time));
        let new = rendered.clone();
        *manifest = Some(Manifest {
            dash,
            view,
            rendered,
        });
        Some(new)
    }

    /// Notes how long a change took from the arrival of its last frame to its publication.
    pub fn released_after(&self, latency: Duration) {
        self.release.note(latency);
    }

    /// The same for the chunks of growing segments.
    pub fn chunk_released_after(&self, latency: Duration) {
        self.chunks.note(latency);
    }

    /// What is served now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.borrow().snapshot)
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    /// Whether a segment number is one that only an earlier process knew, and asked for by a
    /// player that comes from there.
    pub(crate) fn is_lost(&self, number: u64) -> bool {
        let resumed = self.resumed.as_ref().and_then(OnceLock::get);
        resumed.is_some_and(|(first, at)| {
            let longest = OUTLIVED.as_secs() / self.target_duration().as_secs().max(1);
            let lost = first.saturating_sub(longest)..*first;
            lost.contains(&number) && at.elapsed() < ASKED
        })
    }

    pub(crate) fn note_viewer(&self, address: IpAddr, agent: &[u8]) {
        self.viewers.note(address, agent, Instant::now());
        // Every request comes by here: a look is cheaper than a word.
        if !*self.audience.borrow() {
            self.audience.send_replace(true);
        }
    }

    pub(crate) fn note_refused(&self, refusal: Refusal) {
        let r = &self.requests;
        r.refused.fetch_add(1, Relaxed);
        if refusal == Refusal::Crowded {
            r.crowded.fetch_add(1, Relaxed);
        }
        // Said once: whoever asks asks again.
        if refusal == Refusal::NotCarried && r.not_carried.fetch_add(1, Relaxed) == 0 {
            let snapshot = self.snapshot();
            let codecs = snapshot.media.iter().map(|m| m.track.config.name());
            let codecs = codecs.collect::<Vec<_>>().join(", ");
            tracing::warn!(
                codecs,
                "asked for in MPEG-TS, which has no place for any of it"
            );
        }
    }

    /// Whether there are HTTP viewers; those who went are noticed by [`Output::turn_viewers_over`].
    #[must_use]
    pub fn audience(&self) -> watch::Receiver<bool> {
        self.audience.subscribe()
    }

    /// Media comes when somebody asks: the first to ask for a playlist waits for it.
    pub fn set_on_demand(&self, on_demand: bool) {
        self.on_demand.store(on_demand, Relaxed);
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.on_demand.load(Relaxed)
    }

    /// What HLS players are given from now on.
    pub fn set_container(&self, container: Container) {
        self.container.store(container as u8, Relaxed);
    }

    pub(crate) fn container(&self) -> Container {
        match self.container.load(Relaxed) {
            n if n == Container::Ts as u8 => Container::Ts,
            n if n == Container::Both as u8 => Container::Both,
            _ => Container::Cmaf,
        }
    }

    /// Forgets who has not been seen of late; tells who came and who went since the last time.
    pub fn turn_viewers_over(&self) -> Comings {
        let window = self.target_duration() * 3;
        let mut comings = Comings::default();
        // Counted under the lock, so that one who comes meanwhile is told of after it.
        self.audience.send_if_modified(|any| {
            comings = self.viewers.turn_over(window, Instant::now());
            let now = self.viewers.count(window, Instant::now()) > 0;
            std::mem::replace(any, now) != now
        });
        comings
    }

    /// The longest target duration of all playlists, in seconds.
    pub(crate) fn target_duration(&self) -> Duration {
        let snapshot = self.snapshot();
        let longest = snapshot.media.iter().map(|m| m.target_duration).max();
        Duration::from_secs(u64::from(longest.unwrap_or(2)))
    }

    /// The counters now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let r = &self.requests;
        let window = self.target_duration() * 3;
        Figures {
            bytes: self.bytes.load(Relaxed),
            playlists: r.playlists.load(Relaxed),
            segments: r.segments.load(Relaxed),
            parts: r.parts.load(Relaxed),
            refused: r.refused.load(Relaxed),
            crowded: r.crowded.load(Relaxed),
            not_carried: r.not_carried.load(Relaxed),
            made_ts: self.in_ts.made(),
            blocked: self.blocked.load(Relaxed) as u64,
            viewers: self.viewers.count(window, Instant::now()) as u64,
            renders: self.renders.load(Relaxed),
            release: self.release.read(),
            release_sum: self.release.sum(),
            chunks: self.chunks.read(),
            chunks_sum: self.chunks.sum(),
        }
    }
}

impl Histogram {
    fn note(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(micros, Relaxed);
    }

    fn sum(&self) -> f64 {
        Duration::from_micros(self.sum_us.load(Relaxed)).as_secs_f64()
    }

    fn read(&self) -> Vec<(f64, u64)> {
        let bounds = BUCKETS
            .iter()
            .map(|us| Duration::from_micros(*us).as_secs_f64());
        let counts = self.counts.iter().map(|c| c.load(Relaxed));
        bounds.chain([f64::INFINITY]).zip(counts).collect()
    }
}
