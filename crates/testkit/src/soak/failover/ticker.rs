//! Whether the machine ran us: a trial that it did not run in time says nothing about the server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::thread::{available_parallelism, sleep, spawn};
use std::time::{Duration, Instant};

/// A trial counts only where no tick came later than this.
pub(in crate::soak) const MOST: Duration = Duration::from_millis(10);
const TICK: Duration = Duration::from_millis(1);

/// A thread for each processor that wakes every millisecond.
#[derive(Debug)]
pub(in crate::soak) struct Ticker {
    worst: Arc<AtomicU64>,
    _running: Arc<AtomicBool>,
}

impl Ticker {
    pub(in crate::soak) fn start() -> Self {
        let worst = Arc::<AtomicU64>::default();
        let running = Arc::<AtomicBool>::default();
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            let (worst, running) = (Arc::clone(&worst), Arc::downgrade(&running));
            spawn(move || tick(&worst, &running));
        }
        Self {
            worst,
            _running: running,
        }
    }

    /// The longest time between two ticks since this was asked last.
    pub(in crate::soak) fn take(&self) -> Duration {
        Duration::from_micros(self.worst.swap(0, Relaxed))
    }

    /// The same as a line of the report: pauses as long as that may be the machine's.
    pub(in crate::soak) fn line(&self) -> String {
        let worst = self.take().as_millis();
        format!("- the machine: nobody ran for at most {worst} ms")
    }
}

fn tick(worst: &AtomicU64, running: &Weak<AtomicBool>) {
    let mut last = Instant::now();
    while running.strong_count() > 0 {
        sleep(TICK);
        let gap = u64::try_from(last.elapsed().as_micros()).unwrap_or(u64::MAX);
        last = Instant::now();
        worst.fetch_max(gap, Relaxed);
    }
}
