//! A worker, and what it sent.

use std::collections::BTreeMap;
use std::io::{IoSlice, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use container::wire::{Message, Reader, put};
use ladder::{Decision, Health, Job, Ladder, Order, Output, Report};
use media::{Frame, Timestamp, Track, TrackKind};

/// Nothing here takes so long; a worker that does is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Worker {
    child: Child,
    socket: UnixStream,
    messages: Receiver<Message>,
    pub(crate) got: Got,
}

/// What came of it so far.
#[derive(Default)]
pub(crate) struct Got {
    pub(crate) tracks: BTreeMap<Output, Vec<Track>>,
    pub(crate) frames: BTreeMap<Output, Vec<Frame>>,
    pub(crate) decision: Option<Decision>,
    pub(crate) health: Health,
    pub(crate) complaints: Vec<String>,
}

impl Worker {
    pub(crate) fn start() -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let child = Command::new(env!("CARGO_BIN_EXE_weir-transcoder"))
            .env_clear()
            .env("SVT_LOG", "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .expect("a worker");
        let (sender, messages) = channel();
        let mut socket = ours.try_clone().expect("a clone");
        std::thread::spawn(move || {
            let mut reader = Reader::new(64 << 20);
            let mut piece = vec![0; 1 << 16];
            while let Ok(n @ 1..) = socket.read(&mut piece) {
                reader.space().extend_from_slice(&piece[..n]);
                while let Ok(Some(message)) = reader.take() {
                    if sender.send(message).is_err() {
                        return;
                    }
                }
            }
        });
        Self {
            child,
            socket: ours,
            messages,
            got: Got::default(),
        }
    }

    pub(crate) fn with(ladder: Ladder) -> Self {
        let mut worker = Self::start();
        worker.order(&Order::Job(Box::new(job(ladder))));
        worker
    }

    pub(crate) fn order(&mut self, order: &Order) {
        self.send(&Message::Control(order.to_control()));
    }

    pub(crate) fn hold(&mut self, kind: TrackKind, until: Timestamp) {
        self.order(&Order::hold(kind, until));
    }

    pub(crate) fn send(&mut self, message: &Message) {
        let mut chunks = Vec::new();
        put(message, &mut chunks);
        let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|c| IoSlice::new(c)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let written = self.socket.write_vectored(left).expect("the worker reads");
            IoSlice::advance_slices(&mut left, written);
        }
    }

    /// Takes what comes until it is enough.
    pub(crate) fn until(&mut self, enough: impl Fn(&Got) -> bool) {
        while !enough(&self.got) {
            match self.messages.recv_timeout(PATIENCE) {
                Ok(message) => self.got.note(message),
                Err(error) => panic!("{error}; {:?}; {:?}", self.got.complaints, self.got.health),
            }
        }
    }

    /// Waits until all that was sent is decoded and nothing waits to be encoded.
    pub(crate) fn settle(&mut self, received: u64) {
        self.until(|got| {
            let queues = got.health.outputs.iter().map(|o| o.queue).sum::<u64>();
            got.health.received >= received && got.health.queue == 0 && queues == 0
        });
        // What was being encoded then is written before two more heartbeats.
        for _ in 0..2 {
            let before = self.got.health.clone();
            self.got.health = Health::default();
            self.until(|got| got.health.received >= before.received);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("it lives");
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.expect("told").trim().trim_end_matches(" kB");
        kib.parse::<u64>().expect("a number") << 10
    }

    /// No more comes; tells how it ended.
    pub(crate) fn close(mut self) -> std::process::ExitStatus {
        self.socket
            .shutdown(std::net::Shutdown::Write)
            .expect("open");
        self.child.wait().expect("it ends")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Got {
    fn note(&mut self, message: Message) {
        match message {
            Message::Tracks { rendition, tracks } => {
                let output = Output::of(rendition).expect("an output");
                self.tracks
                    .entry(output)
                    .or_default()
                    .extend(tracks.iter().cloned());
            }
            Message::Frame { rendition, frame } => {
                let output = Output::of(rendition).expect("an output");
                self.frames.entry(output).or_default().push(frame);
            }
            Message::Control(text) => match Report::of_control(&text).expect("a report") {
                Report::Ready => {}
                Report::Decided(decision) => self.decision = Some(decision),
                Report::Health(health) => self.health = health,
                Report::Warning(text) | Report::Failed(text) => self.complaints.push(text),
            },
            Message::Group { .. } => panic!("workers open no groups"),
        }
    }

    pub(crate) fn of(&self, output: Output) -> &[Frame] {
        self.frames.get(&output).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn track(&self, output: Output) -> &Track {
        let tracks = &self.tracks[&output];
        assert_eq!(tracks.len(), 1, "an encoder is opened once");
        &tracks[0]
    }
}

pub(crate) fn job(ladder: Ladder) -> Job {
    Job {
        ladder,
        decision: None,
        video_until: None,
        audio_until: None,
    }
}
