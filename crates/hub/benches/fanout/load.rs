//! The load that both sides carry, and what a trial of it yields.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Frame, Timestamp, TrackId};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::measure::{Ticker, worker_cpu};

/// Time for readers to settle before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long a stalling reader does nothing after each read.
const STALL: Duration = Duration::from_secs(3);
const PAYLOAD: usize = 4096;

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) readers: usize,
    pub(crate) stalling: usize,
    pub(crate) per_second: u32,
    pub(crate) length: Duration,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (readers, stalling) = (self.readers, self.stalling);
        let (rate, seconds) = (self.per_second, self.length.as_secs_f32());
        write!(
            f,
            "{readers} readers of which {stalling} stall, {rate} fps of {PAYLOAD} bytes, {seconds} s"
        )
    }
}

impl Load {
    /// Frame `n`; a keyframe every second.
    pub(crate) fn frame(&self, n: u32) -> Frame {
        let at = Timestamp::from_ticks(i64::from(n), self.per_second);
        Frame {
            track: TrackId(0),
            dts: at,
            pts: at,
            duration: None,
            random_access: n.is_multiple_of(self.per_second),
            leading: false,
            payload: Bytes::from(vec![0; PAYLOAD]),
        }
    }

    /// Gives `push` frames at their pace and watches what that costs. A task of its own, as a
    /// publisher's session is.
    pub(crate) async fn carry(self, shared: Arc<Shared>, mut push: impl FnMut(Frame)) -> Trial {
        let mut pace = interval(Duration::from_secs(1) / self.per_second);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let warm_up = (WARM_UP.as_secs_f64() * f64::from(self.per_second)) as u32;
        let count = (self.length.as_secs_f64() * f64::from(self.per_second)) as u32;
        for n in 0..warm_up {
            pace.tick().await;
            push(self.frame(n));
        }
        let mut pushes = Vec::with_capacity(count as usize);
        let (began, delivered, cpu) = (Instant::now(), shared.delivered(), worker_cpu());
        let ticker = Ticker::start();
        for n in warm_up..warm_up + count {
            pace.tick().await;
            let frame = self.frame(n);
            let before = Instant::now();
            push(frame);
            pushes.push(before.elapsed().as_nanos() as u64);
        }
        // The last frame's readers.
        sleep(Duration::from_millis(5)).await;
        Trial {
            pushes,
            worst_gap: ticker.stop(),
            wall: began.elapsed(),
            cpu: worker_cpu() - cpu,
            delivered: shared.delivered() - delivered,
            lost: shared.lost.load(Relaxed),
            skips: shared.skips.load(Relaxed),
        }
    }
}

/// What the readers of a trial count.
#[derive(Default)]
pub(crate) struct Shared {
    delivered: AtomicU64,
    lost: AtomicU64,
    skips: AtomicU64,
}

impl Shared {
    fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// After each read. One that stalls may miss what it likes.
    pub(crate) async fn after_read(&self, stalls: bool, frames: u64, missed: u64) {
        self.delivered.fetch_add(frames, Relaxed);
        let missing = if stalls { &self.skips } else { &self.lost };
        match (stalls, missed) {
            (_, 0) => {}
            (true, _) => drop(missing.fetch_add(1, Relaxed)),
            (false, _) => drop(missing.fetch_add(missed, Relaxed)),
        }
        if stalls {
            sleep(STALL).await;
        }
    }
}

pub(crate) struct Trial {
    /// Nanoseconds.
    pub(crate) pushes: Vec<u64>,
    pub(crate) worst_gap: Duration,
    wall: Duration,
    cpu: Duration,
    delivered: u64,
    /// Frames.
    pub(crate) lost: u64,
    /// Times.
    pub(crate) skips: u64,
}

impl Trial {
    /// CPU nanoseconds per delivery.
    pub(crate) fn per_delivery(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.delivered as f64
    }

    pub(crate) fn of_a_core(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// p50, p99 and the worst, in nanoseconds.
    pub(crate) fn push_percentiles(&self) -> [u64; 3] {
        let mut sorted = self.pushes.clone();
        sorted.sort_unstable();
        [50, 99, 100].map(|p| sorted[(sorted.len() * p / 100).min(sorted.len() - 1)])
    }
}
