//! Workers, one after the other, for as long as the programme runs.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use container::wire::{self, Message, Reader};
use futures_util::FutureExt as _;
use hub::{Broadcast, Presentation, Relay};
use ladder::{Decision, Job, Ladder, Output, Report};
use media::{Frame, Span, Timestamp, TrackKind};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStderr};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::assembly::Assembly;
use crate::backoff::Backoff;
use crate::board::Board;
use crate::copy;
use crate::feed::Feed;
use crate::lines::Lines;
use crate::silence::Silence;
use crate::watchdog::Watchdog;
use crate::worker::{Ended, Worker};

/// A frame that is ahead of UTC by more would keep all that follow from being published.
const AHEAD: Span = Span::from_secs(86_400);
/// Warnings that are passed on, a second, and lines of its standard error among them.
const LINES: u32 = 10;
/// Characters of one.
const TEXT: usize = 500;
/// How long a worker that closed its ends may take to end.
const FAREWELL: Duration = Duration::from_secs(1);
/// A worker this far behind would hear of an edit late: more than encoders look ahead.
const BEHIND: Span = Span::from_secs(5);
/// After a defect of ours, so that it does not spin.
const BREATH: Duration = Duration::from_secs(1);

/// Tells UTC. The caller's, because tests own time.
pub trait Clock: Fn() -> Timestamp + Send + Sync {}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {}

/// Hears what happens to workers, as it does.
pub trait Observer: Send + Sync {
    /// A worker was started.
    fn started(&self, pid: Option<u32>);
    /// A worker ended that had lived for so long; the next one is started after `wait`.
    fn ended(&self, ended: &Ended, lived: Duration, wait: Duration);
    /// A worker says that something is wrong.
    fn warned(&self, text: &str);
    /// The ladder was fitted to its source.
    fn decided(&self, decision: &Decision);
}

/// One stream's ladder.
pub struct Transcode<C, O> {
    program: PathBuf,
    pub(crate) programme: Broadcast,
    ladder: watch::Receiver<Arc<Ladder>>,
    /// Whether the picture is held while media is away.
    hold: watch::Receiver<bool>,
    /// Another worker is asked for, and a ladder that is fitted anew.
    restart: Arc<Notify>,
    pub(crate) assembly: Mutex<Assembly>,
    silence: Mutex<Silence>,
    board: Arc<Board>,
    /// Warnings of this second.
    said: Mutex<(Instant, u32)>,
    clock: C,
    observer: O,
}

impl<C: Clock, O: Observer> Transcode<C, O> {
    /// Renditions of `programme`, published in `presentation` by workers of this program; `spawn`
    /// lets a relay run beside.
    #[must_use]
    pub fn new(
        program: PathBuf,
        (programme, presentation): (Broadcast, Presentation),
        (ladder, hold, restart): (
            watch::Receiver<Arc<Ladder>>,
            watch::Receiver<bool>,
            Arc<Notify>,
        ),
        (board, spawn): (Arc<Board>, fn(Relay)),
        (clock, observer): (C, O),
    ) -> Self {
        let first = Arc::clone(&ladder.borrow());
        Self {
            program,
            programme,
            ladder,
            hold,
            restart,
            assembly: Mutex::new(Assembly::new(presentation, first, spawn)),
            silence: Mutex::default(),
            board,
            said: Mutex::new((Instant::now(), 0)),
            clock,
            observer,
        }
    }

    /// Runs until the programme ends. Dropping it ends the worker and the renditions.
    pub async fn run(self) {
        while AssertUnwindSafe(self.run_once())
            .catch_unwind()
            .await
            .is_err()
        {
            // A defect of ours costs this stream a moment, and nobody else anything.
            self.board.note_ended(&Ended::Defect, false);
            self.note_gone(&Ended::Defect);
            sleep(BREATH).await;
        }
    }

    async fn run_once(&self) {
        let mut ladder = self.ladder.clone();
        tokio::select! {
            biased;
            () = copy::follow(&self.programme, &self.assembly) => {}
            () = async { while ladder.changed().await.is_ok() {} } => {}
            () = self.supervise() => {}
        }
    }

    /// While there is no worker edits come to the assembly at once.
    async fn without_worker(&self, until: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.follow_edits() => {}
            () = until => {}
        }
    }

    pub(crate) async fn follow_edits(&self) {
        let mut ladder = self.ladder.clone();
        while ladder.changed().await.is_ok() {
            let ladder = Arc::clone(&ladder.borrow_and_update());
            self.assembly.lock().set_ladder(ladder, Instant::now());
        }
    }

    async fn supervise(&self) {
        let mut backoff = Backoff::default();
        loop {
            self.without_worker(self.until_needed()).await;
            let began = Instant::now();
            let ended = self.work().await;
            let lived = began.elapsed();
            let wait = match ended {
                Ended::Behind | Ended::Restart => Duration::ZERO,
                _ => backoff.after(lived),
            };
            self.board.note_ended(&ended, backoff.is_looping());
            self.observer.ended(&ended, lived, wait);
            self.note_gone(&ended);
            let asked = async {
                tokio::select! {
                    () = sleep(wait) => {}
                    () = self.restart.notified() => {}
                }
            };
            self.without_worker(asked).await;
        }
    }

    fn note_gone(&self, ended: &Ended) {
        let mut assembly = self.assembly.lock();
        assembly.note_loss();
        if let Ended::Failed | Ended::Restart | Ended::Defect = ended {
            assembly.forget_decision();
        }
    }

    /// A ladder that copies everything needs no worker.
    async fn until_needed(&self) {
        let mut ladder = self.ladder.clone();
        if ladder.wait_for(|ladder| ladder.encodes()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// One worker, from its start to its end.
    async fn work(&self) -> Ended {
        let mut worker = match Worker::start(&self.program) {
            Ok(worker) => worker,
            Err(error) => {
                self.warn(&error.to_string());
                return Ended::Start;
            }
        };
        let pid = worker.child.id();
        self.board.note_started(pid);
        self.observer.started(pid);
        let job = self.job();
        let (from, to) = worker.socket.into_split();
        let feed = Feed {
            programme: &self.programme,
            ladder: self.ladder.clone(),
            told: Arc::new(job.ladder.clone()),
            assembly: &self.assembly,
            silence: &self.silence,
            board: &self.board,
            clock: &self.clock,
            hold: self.hold.clone(),
        };
        let watchdog = Mutex::new(Watchdog::new(Instant::now()));
        let gone = async {
            // What cannot be written is explained by how the process ended.
            let _ = feed.run(to, job).await;
            std::future::pending::<Ended>().await
        };
        let verdict = tokio::select! {
            ended = self.take(from, &watchdog) => ended,
            ended = gone => Some(ended),
            ended = watch(&watchdog) => Some(ended),
            ended = self.outdated() => Some(ended),
            () = self.restart.notified() => Some(Ended::Restart),
            () = self.listen(worker.stderr.take()) => None,
        };
        self.bury(worker.child, verdict).await
    }

    /// Waits for an edit that the worker would hear of too late: what it has queued comes first.
    async fn outdated(&self) -> Ended {
        let mut ladder = self.ladder.clone();
        ladder.mark_unchanged();
        while ladder.changed().await.is_ok() {
            if self.board.lag() > BEHIND {
                return Ended::Behind;
            }
        }
        std::future::pending().await
    }

    /// Waits for the end of a process that said that it ends, and makes that of any other.
    async fn bury(&self, mut child: Child, verdict: Option<Ended>) -> Ended {
        let patience = if verdict.is_some() {
            Duration::ZERO
        } else {
            FAREWELL
        };
        let status = timeout(patience, child.wait()).await;
        let status = match status {
            Ok(status) => status,
            Err(_) => {
                // It may be gone already.
                let _ = child.start_kill();
                child.wait().await
            }
        };
        verdict.unwrap_or_else(|| status.map_or(Ended::Exit(-1), Ended::from))
    }

    pub(crate) fn job(&self) -> Job {
        let mut assembly = self.assembly.lock();
        let nanos = |at: Timestamp| at.as_nanos();
        let ladder = Arc::clone(&self.ladder.borrow());
        assembly.set_ladder(Arc::clone(&ladder), Instant::now());
        let ladder = Ladder::clone(&ladder);
        // The ladder may have changed since it was decided on.
        let source = assembly.decision().map(|d| d.source);
        Job {
            decision: source.map(|source| Decision::of(&ladder, source)),
            ladder,
            video_until: assembly.video_until.map(nanos),
            audio_until: assembly.audio_until.map(nanos),
        }
    }

    /// Publishes what the worker sends; `None` once it sends no more.
    pub(crate) async fn take(
        &self,
        mut from: impl AsyncRead + Unpin,
        watchdog: &Mutex<Watchdog>,
    ) -> Option<Ended> {
        let mut reader = Reader::new(wire::LONGEST);
        loop {
            match from.read_buf(reader.space()).await {
                Ok(1..) => watchdog.lock().hear(Instant::now()),
                Ok(0) | Err(_) => return None,
            }
            loop {
                match reader.take() {
                    Ok(Some(message)) => {
                        if let Err(ended) = self.accept(message, watchdog) {
                            return Some(ended);
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return Some(self.protest(&error.to_string())),
                }
            }
        }
    }

    fn accept(&self, message: Message, watchdog: &Mutex<Watchdog>) -> Result<(), Ended> {
        match message {
            Message::Tracks { rendition, tracks } => {
                if let (Some(output), Some(track)) = (self.output(rendition), tracks.first()) {
                    let pictures = matches!(output, Output::Video(_));
                    if pictures != (track.kind == TrackKind::Video) {
                        return Err(self.protest("sound is no picture"));
                    }
                    let mut assembly = self.assembly.lock();
                    assembly.track(output, track.clone(), Instant::now());
                }
                Ok(())
            }
            Message::Frame { rendition, frame } => {
                if frame.dts.max(frame.pts) > (self.clock)() + AHEAD {
                    return Err(self.protest("its times are a day ahead"));
                }
                if let Some(output) = self.output(rendition) {
                    self.publish(output, frame);
                }
                Ok(())
            }
            Message::Control(text) => self.hear(&text, watchdog),
            Message::Group { .. } => Err(self.protest("it opens groups")),
        }
    }

    /// The one exact-size copy: what was received is in one buffer with what came beside it.
    fn publish(&self, output: Output, mut frame: Frame) {
        frame.payload = bytes::Bytes::copy_from_slice(&frame.payload);
        self.board
            .note_frame(output, frame.payload.len(), frame.pts);
        self.assembly.lock().frame(output, &frame, Instant::now());
    }

    /// One that the ladder has encoded; another is of a ladder that was edited meanwhile.
    fn output(&self, number: u16) -> Option<Output> {
        let assembly = self.assembly.lock();
        Output::of(number).filter(|output| assembly.ladder().copies(*output) == Some(false))
    }

    fn hear(&self, text: &[u8], watchdog: &Mutex<Watchdog>) -> Result<(), Ended> {
        let report = Report::of_control(text).map_err(|error| self.protest(&error.to_string()))?;
        match report {
            Report::Ready => {}
            Report::Decided(decision) => {
                if !decision.is_sound() {
                    return Err(self.protest("it makes what nobody can"));
                }
                self.observer.decided(&decision);
                let mut assembly = self.assembly.lock();
                self.board.note_decision(&decision, assembly.ladder());
                assembly.decide(decision, Instant::now());
            }
            Report::Health(health) => {
                watchdog.lock().note(&health, Instant::now());
                self.board.note_health(health);
            }
            Report::Warning(text) => self.warn(&text),
            Report::Failed(text) => {
                self.warn(&text);
                return Err(Ended::Failed);
            }
        }
        Ok(())
    }

    /// Passes on what it says on its standard error, until it is gone.
    async fn listen(&self, stderr: Option<ChildStderr>) {
        let Some(stderr) = stderr else {
            return std::future::pending().await;
        };
        let mut lines = Lines::new(stderr);
        while let Some(line) = lines.next().await {
            self.warn(&line);
        }
    }

    fn protest(&self, why: &str) -> Ended {
        self.warn(why);
        Ended::Protocol
    }

    /// Passes on what is wrong, so much a second and no more: a source can be broken without end.
    fn warn(&self, text: &str) {
        let (since, count) = &mut *self.said.lock();
        if since.elapsed() >= Duration::from_secs(1) {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
        if *count <= LINES {
            let text: String = text.chars().take(TEXT).collect();
            self.board.note_warning(&text);
            self.observer.warned(&text);
        }
    }
}

/// Waits until a worker is found to hang.
async fn watch(watchdog: &Mutex<Watchdog>) -> Ended {
    loop {
        let now = Instant::now();
        let (verdict, due) = {
            let watchdog = watchdog.lock();
            (watchdog.verdict(now), watchdog.due(now))
        };
        if let Some(why) = verdict {
            return Ended::Stall(why);
        }
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests;
