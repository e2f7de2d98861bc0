//! Sends numbered datagrams, each when it is due.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use super::payload::{LENGTH, Stamp};
use crate::link::{prefer, socket};

/// Sends until it is dropped.
#[derive(Debug)]
pub struct Pacer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    sent: AtomicU64,
    /// Microseconds.
    latest: AtomicU64,
    ended: AtomicBool,
}

impl Pacer {
    /// So many bits of TS a second, so many datagrams at once.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn start(to: SocketAddr, bits: u64, burst: u64) -> io::Result<Self> {
        let socket = socket(to)?;
        socket.set_nonblocking(false)?;
        let every = Duration::from_secs_f64(LENGTH as f64 * 8.0 / bits.max(1) as f64);
        let shared = Arc::<Shared>::default();
        let of = Arc::clone(&shared);
        let thread = spawn(move || {
            prefer();
            let begin = Instant::now();
            while !of.ended.load(Relaxed) {
                let number = of.sent.load(Relaxed);
                // All of a burst are due with its first.
                let due = every.mul_f64((number - number % burst.max(1)) as f64);
                sleep(due.saturating_sub(begin.elapsed()));
                of.late(begin.elapsed().saturating_sub(due));
                let sent = super::now();
                let stamp = Stamp { number, sent };
                // Who does not listen yet, or no more, has lost it.
                let _ = socket.send_to(&stamp.datagram(), to);
                of.sent.store(number + 1, Relaxed);
            }
        });
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// How many were sent; the next one has this number.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Relaxed)
    }

    /// The latest one was so late, since this was asked last.
    #[must_use]
    pub fn latest(&self) -> Duration {
        Duration::from_micros(self.shared.latest.swap(0, Relaxed))
    }

    /// Sends no more; how many there were.
    #[must_use]
    pub fn end(mut self) -> u64 {
        self.join();
        self.sent()
    }

    fn join(&mut self) {
        self.shared.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic; what it sent is counted anyway.
            let _ = thread.join();
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.join();
    }
}

impl Shared {
    fn late(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.latest.fetch_max(micros, Relaxed);
    }
}
