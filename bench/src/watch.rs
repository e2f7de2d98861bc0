//! What the server costs, by /proc, and whether the machine was fit to measure.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// USER_HZ, which is 100 wherever Linux runs.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of processes: user and system, threads that ended included.
pub(crate) fn cpu_seconds(pids: &[u32]) -> anyhow::Result<f64> {
    pids.iter().map(|pid| cpu_of(*pid)).sum()
}

fn cpu_of(pid: u32) -> anyhow::Result<f64> {
    let stat = stat(pid)?;
    let ticks = stat.split(' ').skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

/// Whether a child has ended and was not waited for yet.
pub(crate) fn has_ended(pid: u32) -> anyhow::Result<bool> {
    Ok(stat(pid)?.starts_with('Z'))
}

/// The fields behind the name, which may hold anything.
fn stat(pid: u32) -> anyhow::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    Ok(stat.rsplit_once(") ").context("stat")?.1.to_owned())
}

/// Resident KiB of processes.
pub(crate) fn rss_kib(pids: &[u32]) -> anyhow::Result<u64> {
    let rss = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let value = line.and_then(|l| l.split_whitespace().next());
        Ok(value.context("VmRSS")?.parse::<u64>()?)
    };
    pids.iter().map(rss).sum()
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
            let (mut worst, mut last) = (Duration::ZERO, Instant::now());
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
        self.thread.join().unwrap_or(Duration::MAX)
    }
}
