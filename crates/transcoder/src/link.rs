//! What comes in: read, and dealt out to the threads that decode.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, bail};
use container::wire::{self, Message, Reader};
use ladder::{Job, Order, Report};
use media::{Frame, Timestamp, Track, TrackId, TrackKind};

use crate::sending::{self, Outbox};
use crate::{audio, limits, video};

/// What is read at once.
const PIECE: usize = 64 << 10;

/// What a thread that decodes is told.
pub(crate) enum Input {
    /// What is to be made.
    Job(Arc<Job>),
    /// The tracks of its kind, from the next group on.
    Tracks(Vec<Track>),
    /// A group opens.
    Group {
        /// It comes from another source.
        spliced: bool,
        /// Frames are missing before it.
        lost: bool,
    },
    /// An access unit.
    Unit(Frame),
    /// Nothing came up to here.
    Hold(Timestamp),
}

/// The threads that decode, and which tracks are whose.
pub(crate) struct Switchboard {
    video: SyncSender<Input>,
    audio: SyncSender<Input>,
    pictures: Option<TrackId>,
    sounds: Vec<TrackId>,
    outbox: Outbox,
}

/// Works until the socket closes.
pub(crate) fn run(socket: &UnixStream) -> Result<()> {
    let (mut board, _) = start(socket.try_clone()?)?;
    read_all(socket, |message| board.deal(message))
}

/// Starts all threads. The one that writes is the last to end, once the switchboard is dropped.
pub(crate) fn start(to: impl Write + Send + 'static) -> Result<(Switchboard, JoinHandle<()>)> {
    let (outbox, write) = sending::open(to);
    let writer = std::thread::Builder::new()
        .name("send".to_owned())
        .spawn(move || {
            if write().is_err() {
                // Nobody reads any more: there is nothing left to do for any thread.
                std::process::exit(0);
            }
        })?;
    let board = Switchboard {
        video: video::start(outbox.clone())?,
        audio: audio::start(outbox.clone())?,
        pictures: None,
        sounds: Vec::new(),
        outbox,
    };
    board.outbox.report(&Report::Ready);
    Ok((board, writer))
}

/// Until no more comes.
pub(crate) fn read_all(
    mut from: impl Read,
    mut each: impl FnMut(Message) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::new(wire::LONGEST);
    loop {
        let space = reader.space();
        let before = space.len();
        space.resize(before + PIECE, 0);
        let got = from.read(&mut space[before..]);
        space.truncate(before + got.as_ref().copied().unwrap_or_default());
        let got = match got {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            got => got?,
        };
        if got == 0 {
            return Ok(());
        }
        while let Some(message) = reader.take()? {
            each(message)?;
        }
    }
}

impl Switchboard {
    pub(crate) fn deal(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Control(text) => self.obey(Order::of_control(&text)?),
            Message::Tracks { tracks, .. } => self.follow(&tracks),
            Message::Group { spliced, lost, .. } => self.to_both(|| Input::Group { spliced, lost }),
            Message::Frame { frame, .. } => self.pass(frame),
        }
    }

    fn obey(&self, order: Order) -> Result<()> {
        match order {
            Order::Job(job) => {
                limits::check(&job).context("the job")?;
                let job = Arc::new(*job);
                self.to_both(|| Input::Job(Arc::clone(&job)))
            }
            Order::Hold { video, audio } => {
                let hold = |until| Input::Hold(Timestamp::from_nanos(until));
                if let Some(until) = video {
                    give(&self.video, hold(until))?;
                }
                if let Some(until) = audio {
                    give(&self.audio, hold(until))?;
                }
                Ok(())
            }
        }
    }

    /// The first video track is what is shown; all sound is heard.
    fn follow(&mut self, tracks: &[Track]) -> Result<()> {
        let of_kind = |kind| tracks.iter().filter(move |t| t.kind == kind).cloned();
        let pictures: Vec<Track> = of_kind(TrackKind::Video).take(1).collect();
        let sounds: Vec<Track> = of_kind(TrackKind::Audio).collect();
        self.pictures = pictures.first().map(|t| t.id);
        self.sounds = sounds.iter().map(|t| t.id).collect();
        give(&self.video, Input::Tracks(pictures))?;
        give(&self.audio, Input::Tracks(sounds))
    }

    fn pass(&self, frame: Frame) -> Result<()> {
        let tally = self.outbox.tally();
        tally.received.fetch_add(1, Relaxed);
        if self.pictures == Some(frame.track) {
            tally.queue.fetch_add(1, Relaxed);
            give(&self.video, Input::Unit(frame))
        } else if self.sounds.contains(&frame.track) {
            tally.queue.fetch_add(1, Relaxed);
            give(&self.audio, Input::Unit(frame))
        } else {
            Ok(())
        }
    }

    fn to_both(&self, input: impl Fn() -> Input) -> Result<()> {
        give(&self.video, input())?;
        give(&self.audio, input())
    }
}

fn give(to: &SyncSender<Input>, input: Input) -> Result<()> {
    if to.send(input).is_err() {
        bail!("a thread has ended");
    }
    Ok(())
}
