//! A transcoder's worker as the server starts it, and what it sends.
//!
//! Its orders and reports are JSON, and are taken as such: the ladder comes from a file.

use std::io::{IoSlice, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use container::wire::{Message, Reader, put};
use serde_json::Value;

use crate::watch;

/// The longest message that a worker may send.
const MOST: usize = 64 << 20;
/// A worker reports four times a second; one that is silent for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(10);
/// Reports in a row that say that nothing waits: what was at work at the first is written then.
const IDLE_REPORTS: u32 = 3;

/// A message, and when all of it was here.
pub(crate) type Arrival = (Instant, Message);

pub(crate) struct Worker {
    child: Child,
    socket: UnixStream,
    arrivals: Receiver<Arrival>,
}

impl Worker {
    pub(crate) fn start(program: &Path) -> anyhow::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .env_clear()
            .env("SVT_LOG", "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let (sender, arrivals) = channel();
        let ours = socket.try_clone()?;
        std::thread::spawn(move || read(ours, &sender));
        Ok(Self {
            child,
            socket,
            arrivals,
        })
    }

    /// Returns when the last byte is written.
    pub(crate) fn send(&mut self, message: &Message) -> anyhow::Result<()> {
        let mut chunks = Vec::new();
        put(message, &mut chunks);
        let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|c| IoSlice::new(c)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let written = self.socket.write_vectored(left).context("it is gone")?;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    pub(crate) fn order(&mut self, order: &Value) -> anyhow::Result<()> {
        self.send(&Message::Control(Bytes::from(order.to_string())))
    }

    /// All that came until it had made what can be made of `sent` access units.
    pub(crate) fn finish(&self, sent: u64) -> anyhow::Result<Vec<Arrival>> {
        let mut all = Vec::new();
        let mut idle = 0;
        while idle < IDLE_REPORTS {
            let arrival = self
                .arrivals
                .recv_timeout(PATIENCE)
                .context("it is silent")?;
            if let Message::Control(text) = &arrival.1 {
                let report: Value = serde_json::from_slice(text)?;
                let complaint = report.get("failed").or_else(|| report.get("warning"));
                ensure!(complaint.is_none(), "{report}");
                if let Some(health) = report.get("health") {
                    idle = if is_idle(health, sent) { idle + 1 } else { 0 };
                }
            } else {
                all.push(arrival);
            }
        }
        Ok(all)
    }

    /// Ends it; tells its CPU seconds, from its start to its very end.
    pub(crate) fn close(mut self) -> anyhow::Result<f64> {
        self.socket.shutdown(std::net::Shutdown::Write)?;
        while !watch::has_ended(self.child.id())? {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Until it is waited for the kernel keeps its account.
        let spent = watch::cpu_seconds(&[self.child.id()])?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(spent)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut socket: UnixStream, to: &Sender<Arrival>) {
    let mut reader = Reader::new(MOST);
    let mut piece = vec![0; 1 << 16];
    while let Ok(n @ 1..) = socket.read(&mut piece) {
        let now = Instant::now();
        reader.space().extend_from_slice(&piece[..n]);
        while let Ok(Some(message)) = reader.take() {
            if to.send((now, message)).is_err() {
                return;
            }
        }
    }
}

/// Whether it has all that was sent, and nothing waits.
fn is_idle(health: &Value, sent: u64) -> bool {
    let outputs = health["outputs"].as_array().map_or(&[][..], Vec::as_slice);
    let waiting = outputs.iter().chain([health]).any(|o| o["queue"] != 0);
    health["received"].as_u64() >= Some(sent) && !waiting
}
