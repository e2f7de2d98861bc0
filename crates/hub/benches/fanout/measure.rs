//! CPU time of the runtime's workers, gaps that spoil a trial, and the middle of many values.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::load::{Load, Trial};

const WORKER: &str = "fanout-worker";
const WORST_GAP: Duration = Duration::from_millis(10);

/// As the server's, on two cores.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(WORKER)
        .enable_time()
        .build()
        .unwrap()
}

/// CPU time of the workers alone: neither the ticker's nor the harness's.
pub(crate) fn worker_cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.filter_map(|task| {
        let path = task.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let stat = fs::read_to_string(path.join("schedstat")).ok()?;
        let nanos = stat.split(' ').next()?.parse::<u64>().ok()?;
        (name.trim() == WORKER).then_some(nanos)
    });
    Duration::from_nanos(nanos.sum::<u64>())
}

/// Sleeps a millisecond at a time, and remembers the longest.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Ticker {
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut worst = Duration::ZERO;
            let mut last = Instant::now();
            while !stopped.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                let now = Instant::now();
                worst = worst.max(now - last);
                last = now;
            }
            worst
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Duration {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

/// Runs trials until one counts.
pub(crate) struct Judge {
    tries: usize,
    pub(crate) discarded: usize,
}

impl Judge {
    pub(crate) const fn new(tries: usize) -> Self {
        Self {
            tries,
            discarded: 0,
        }
    }

    pub(crate) fn run(&mut self, trial: fn(Load) -> Trial, load: Load) -> Option<Trial> {
        for _ in 0..self.tries {
            let done = trial(load);
            if done.worst_gap <= WORST_GAP {
                return Some(done);
            }
            self.discarded += 1;
        }
        None
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{least:.2}..{most:.2}")
}
