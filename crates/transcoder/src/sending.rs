//! What goes out: one thread writes all of it, and says how the others do.

use std::collections::BTreeMap;
use std::io::{IoSlice, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use container::wire::{self, Message};
use ladder::{Health, Output, OutputHealth, Report};
use media::{Frame, Track};

/// How often it is told how we do.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// Messages that wait to be written.
const WAITING: usize = 256;
/// Messages of one write.
const BATCH: usize = 32;

/// Where every thread puts what it has made.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: SyncSender<Message>,
    tally: Arc<Tally>,
}

/// What was counted.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) received: AtomicU64,
    pub(crate) decoded: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) switches: AtomicU64,
    /// Access units that wait to be decoded.
    pub(crate) queue: AtomicU64,
    outputs: Mutex<BTreeMap<u16, Arc<OutputTally>>>,
}

/// Of one output.
#[derive(Default)]
pub(crate) struct OutputTally {
    sent: AtomicU64,
    bytes: AtomicU64,
    pub(crate) held: AtomicU64,
    pub(crate) queue: AtomicU64,
}

impl Outbox {
    pub(crate) fn report(&self, report: &Report) {
        self.put(Message::Control(report.to_control()));
    }

    pub(crate) fn warn(&self, what: impl std::fmt::Display) {
        self.report(&Report::Warning(what.to_string()));
    }

    /// What decoders of this output need.
    pub(crate) fn track(&self, output: Output, track: Track) {
        self.put(Message::Tracks {
            rendition: output.number(),
            tracks: [track].into(),
        });
    }

    pub(crate) fn frame(&self, output: Output, tally: &OutputTally, frame: Frame) {
        tally.sent.fetch_add(1, Relaxed);
        tally.bytes.fetch_add(frame.payload.len() as u64, Relaxed);
        self.put(Message::Frame {
            rendition: output.number(),
            frame,
        });
    }

    /// Where nobody reads any more the process ends by itself.
    fn put(&self, message: Message) {
        let _ = self.queue.send(message);
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Where an output is counted from now on.
    pub(crate) fn output(&self, output: Output) -> Arc<OutputTally> {
        let mut outputs = self
            .tally
            .outputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(outputs.entry(output.number()).or_default())
    }

    /// It is made no more.
    pub(crate) fn forget(&self, output: Output) {
        let mut outputs = self
            .tally
            .outputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        outputs.remove(&output.number());
    }
}

/// An outbox, and what writes it until nobody reads any more, or nobody has anything to say.
pub(crate) fn open(mut to: impl Write) -> (Outbox, impl FnOnce() -> Result<()>) {
    let (queue, waiting) = sync_channel(WAITING);
    let tally = Arc::new(Tally::default());
    let outbox = Outbox {
        queue,
        tally: Arc::clone(&tally),
    };
    (outbox, move || write_all(&mut to, &waiting, &tally))
}

fn write_all(to: &mut impl Write, waiting: &Receiver<Message>, tally: &Tally) -> Result<()> {
    let mut chunks = Vec::new();
    let mut beat = Instant::now();
    loop {
        match waiting.recv_timeout(beat.saturating_duration_since(Instant::now())) {
            Ok(message) => wire::put(&message, &mut chunks),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        for message in waiting.try_iter().take(BATCH) {
            wire::put(&message, &mut chunks);
        }
        let now = Instant::now();
        if now >= beat {
            let health = Report::Health(tally.health());
            wire::put(&Message::Control(health.to_control()), &mut chunks);
            beat = now + HEARTBEAT;
        }
        write(to, &chunks)?;
        chunks.clear();
    }
}

fn write(to: &mut impl Write, chunks: &[Bytes]) -> Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|c| IoSlice::new(c)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let written = to.write_vectored(left)?;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

impl Tally {
    fn health(&self) -> Health {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = outputs.iter().map(|(output, tally)| OutputHealth {
            output: *output,
            sent: tally.sent.load(Relaxed),
            bytes: tally.bytes.load(Relaxed),
            held: tally.held.load(Relaxed),
            queue: tally.queue.load(Relaxed),
        });
        Health {
            received: self.received.load(Relaxed),
            decoded: self.decoded.load(Relaxed),
            undecodable: self.undecodable.load(Relaxed),
            switches: self.switches.load(Relaxed),
            queue: self.queue.load(Relaxed),
            outputs: outputs.collect(),
        }
    }
}
