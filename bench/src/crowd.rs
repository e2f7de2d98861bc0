//! A crowd of viewers over two threads: who only counts on one, who measures on another, so that
//! a sample does not wait for a hundred counters.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::samples::Samples;
use crate::watch::{Ticker, cpu_seconds, rss_kib};

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// What to view.
    pub(crate) url: String,
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    viewers: u32,
    /// How long is measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Milliseconds over which viewers come.
    #[arg(long, default_value_t = 1000)]
    ramp_ms: u64,
    /// Milliseconds from the last one's coming to the measurement.
    #[arg(long, default_value_t = 2000)]
    settle_ms: u64,
    /// Every n-th viewer measures latency; the others count bytes.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// A viewer that gets nothing for so long has stalled.
    #[arg(long, default_value_t = 1000)]
    stall_ms: u64,
    /// Process ids of the server, whose CPU time and memory are reported.
    #[arg(long, value_delimiter = ',')]
    watch: Vec<u32>,
}

/// What all viewers share.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) options: Options,
    began: Instant,
    measuring: AtomicBool,
    pub(crate) first_frame: Mutex<Samples>,
    pub(crate) latency: Mutex<Samples>,
    pub(crate) fetch: Mutex<Samples>,
    pub(crate) requests: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// One viewer's counters.
#[derive(Debug, Default)]
pub(crate) struct Viewer {
    bytes: AtomicU64,
    /// Milliseconds since the crowd began.
    last: AtomicU64,
    worst_gap: AtomicU64,
    lost: AtomicBool,
    pub(crate) samples: bool,
}

impl Crowd {
    fn new(options: Options) -> Self {
        Self {
            options,
            began: Instant::now(),
            measuring: AtomicBool::new(false),
            first_frame: Mutex::default(),
            latency: Mutex::default(),
            fetch: Mutex::default(),
            requests: AtomicU64::new(0),
            failure: Mutex::default(),
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes that came; whether they are `media`, which must not stall.
    pub(crate) fn got(&self, viewer: &Viewer, bytes: usize, media: bool) {
        if !self.measuring.load(Relaxed) {
            return;
        }
        viewer.bytes.fetch_add(bytes as u64, Relaxed);
        if media {
            let now = self.millis();
            let gap = now.saturating_sub(viewer.last.swap(now, Relaxed));
            viewer.worst_gap.fetch_max(gap, Relaxed);
        }
    }

    /// Something that is measured only in the window.
    pub(crate) fn sample(&self, samples: &Mutex<Samples>, duration: Duration) {
        if self.measuring.load(Relaxed) {
            add(samples, duration);
        }
    }

    fn lose(&self, viewer: &Viewer, why: &anyhow::Error) {
        viewer.lost.store(true, Relaxed);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| format!("{why:#}"));
    }
}

pub(crate) fn add(samples: &Mutex<Samples>, duration: Duration) {
    samples
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .add(duration);
}

/// Lets `view` run for each viewer, and reports on what was seen.
pub(crate) fn run<F, V>(options: Options, view: V) -> anyhow::Result<Value>
where
    F: Future<Output = anyhow::Result<()>> + 'static,
    V: Fn(Arc<Crowd>, Arc<Viewer>) -> F + Clone + Send + 'static,
{
    let crowd = Arc::new(Crowd::new(options));
    let viewers: Arc<[Arc<Viewer>]> = (0..crowd.options.viewers)
        .map(|n| {
            let samples = n.is_multiple_of(crowd.options.sample);
            let viewer = Viewer {
                samples,
                ..Viewer::default()
            };
            Arc::new(viewer)
        })
        .collect();
    let before = rss_kib(&crowd.options.watch)?;
    // These threads end with the process.
    for samples in [false, true] {
        let (crowd, viewers, view) = (Arc::clone(&crowd), Arc::clone(&viewers), view.clone());
        std::thread::spawn(move || hold(&crowd, &viewers, samples, &view));
    }
    measure(&crowd, &viewers, before)
}

/// One thread's viewers, each coming at its time.
fn hold<F, V>(crowd: &Arc<Crowd>, viewers: &[Arc<Viewer>], samples: bool, view: &V)
where
    F: Future<Output = anyhow::Result<()>> + 'static,
    V: Fn(Arc<Crowd>, Arc<Viewer>) -> F + Clone + 'static,
{
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    let local = tokio::task::LocalSet::new();
    let (ramp, count) = (crowd.options.ramp_ms, viewers.len() as u64);
    for (n, viewer) in (0_u64..).zip(viewers) {
        if viewer.samples != samples {
            continue;
        }
        let (crowd, viewer, view) = (Arc::clone(crowd), Arc::clone(viewer), view.clone());
        local.spawn_local(async move {
            sleep(Duration::from_millis(ramp * n / count)).await;
            if let Err(why) = view(Arc::clone(&crowd), Arc::clone(&viewer)).await {
                crowd.lose(&viewer, &why);
            }
        });
    }
    runtime.block_on(local);
}

fn measure(crowd: &Crowd, viewers: &[Arc<Viewer>], rss_before: u64) -> anyhow::Result<Value> {
    let Options {
        ramp_ms,
        settle_ms,
        seconds,
        ..
    } = crowd.options;
    std::thread::sleep(Duration::from_millis(ramp_ms + settle_ms));
    let pids = &crowd.options.watch;
    for viewer in viewers {
        viewer.last.store(crowd.millis(), Relaxed);
    }
    let (ticker, began, cpu) = (Ticker::start(), Instant::now(), cpu_seconds(pids)?);
    crowd.measuring.store(true, Relaxed);
    std::thread::sleep(Duration::from_secs(seconds));
    crowd.measuring.store(false, Relaxed);
    let (wall, cpu) = (began.elapsed(), cpu_seconds(pids)? - cpu);
    let rss = rss_kib(pids)?;
    let gap = ticker.stop();
    let mut report = seen(crowd, viewers);
    report["seconds"] = json!(wall.as_secs_f64());
    report["ticker_gap_ms"] = json!(gap.as_secs_f64() * 1e3);
    if !pids.is_empty() {
        report["server"] = json!({"cpu_s": cpu, "rss_before_kib": rss_before, "rss_kib": rss});
    }
    Ok(report)
}

fn seen(crowd: &Crowd, viewers: &[Arc<Viewer>]) -> Value {
    let now = crowd.millis();
    let mut bytes: Vec<_> = viewers.iter().map(|v| v.bytes.load(Relaxed)).collect();
    bytes.sort_unstable();
    let median = bytes.get(bytes.len() / 2).copied().unwrap_or(0);
    let stalled = |v: &Viewer| {
        let silent = now.saturating_sub(v.last.load(Relaxed));
        silent.max(v.worst_gap.load(Relaxed)) > crowd.options.stall_ms
    };
    let percentiles = |samples: &Mutex<Samples>| {
        let samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.percentiles()
    };
    let failure = crowd.failure.lock().unwrap_or_else(PoisonError::into_inner);
    json!({
        "viewers": viewers.len(),
        "bytes": bytes.iter().sum::<u64>(),
        "requests": crowd.requests.load(Relaxed),
        "stalled": viewers.iter().filter(|v| stalled(v)).count(),
        "lost": viewers.iter().filter(|v| v.lost.load(Relaxed)).count(),
        "behind": bytes.iter().filter(|b| **b * 10 < median * 9).count(),
        "failure": failure.clone(),
        "first_frame_ms": percentiles(&crowd.first_frame),
        "latency_ms": percentiles(&crowd.latency),
        "fetch_ms": percentiles(&crowd.fetch),
    })
}
