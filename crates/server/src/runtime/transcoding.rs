//! The ladder of one stream: its workers, and what they tell.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use http::StatusCode;
use hub::{Broadcast, Presentation};
use ladder::{Capabilities, Decision, Ladder};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use transcode::{Board, Ended, Observer, State, Transcode};

use super::{lock, millis, utc};
use crate::api::Problem;
use crate::events::{Event, Events};

/// Ladders whose rungs' numbers are not given to others: of sixteen rungs each that is half of all.
const PAST: usize = 8;

/// What this machine can encode with, found out once.
#[derive(Debug)]
pub(super) struct Probed {
    program: PathBuf,
    found: Mutex<Option<Arc<Capabilities>>>,
}

impl Probed {
    pub(super) fn new(program: PathBuf) -> Self {
        Self {
            program,
            found: Mutex::default(),
        }
    }

    /// What could not be found out is tried again the next time.
    pub(super) async fn capabilities(&self) -> Result<Arc<Capabilities>, Problem> {
        let mut found = self.found.lock().await;
        if let Some(found) = &*found {
            return Ok(Arc::clone(found));
        }
        let probed = transcode::probe(&self.program).await.map_err(|error| {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "transcoder_unavailable", &error.to_string())
        })?;
        Ok(Arc::clone(found.insert(Arc::new(probed))))
    }
}

/// A ladder that runs, as the rest of the server holds it.
#[derive(Debug)]
pub(crate) struct Transcoding {
    ladder: watch::Sender<Arc<Ladder>>,
    /// Ladders that it was, the newest first: rungs have numbers of their own in all of them.
    past: StdMutex<Vec<Arc<Ladder>>>,
    hold: watch::Sender<bool>,
    restart: Arc<Notify>,
    board: Arc<Board>,
}

impl Transcoding {
    /// Publishes renditions of `programme` in `presentation` until `stop`.
    pub(super) fn start(
        stream: &str,
        ladder: Ladder,
        program: &Path,
        (programme, presentation): (Broadcast, Presentation),
        (stop, events): (&CancellationToken, &Events),
    ) -> Self {
        let ladder = Arc::new(ladder);
        let past = StdMutex::new(vec![Arc::clone(&ladder)]);
        let (ladder, wanted) = watch::channel(ladder);
        let (hold, held) = watch::channel(true);
        let board = Arc::new(Board::default());
        let restart = Arc::new(Notify::new());
        let watcher = Watcher {
            stream: stream.to_owned(),
            events: events.clone(),
        };
        let transcode = Transcode::new(
            PathBuf::from(program),
            (programme, presentation),
            (wanted, held, Arc::clone(&restart)),
            (Arc::clone(&board), |relay| {
                tokio::spawn(relay.run());
            }),
            (utc, watcher),
        );
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = transcode.run() => {}
                () = stopped => {}
            }
        });
        Self {
            ladder,
            past,
            hold,
            restart,
            board,
        }
    }

    /// Another worker, at once, and a ladder that is fitted anew to what comes.
    pub(super) fn restart(&self) {
        self.restart.notify_one();
    }

    /// Another ladder: rungs that stay as they are go on undisturbed.
    pub(super) fn configure(&self, ladder: Ladder) {
        let mut past = lock(&self.past);
        self.ladder.send_if_modified(|old| {
            let ladder = Arc::new(ladder.numbered(&past));
            let changed = *old != ladder;
            *old = ladder;
            if changed {
                past.insert(0, Arc::clone(old));
                past.truncate(PAST);
            }
            changed
        });
    }

    /// The picture is held while media is away, but no longer than `most`. Called every second or so.
    pub(super) fn limit_hold(&self, most: Option<Duration>) {
        let held = self.board.held_for();
        let hold = held.zip(most).is_none_or(|(held, most)| held < most);
        self.hold
            .send_if_modified(|old| std::mem::replace(old, hold) != hold);
    }

    /// Whether the picture is held, or would be if it had not been for too long.
    pub(super) fn is_held(&self) -> bool {
        self.board.held_for().is_some()
    }

    pub(crate) fn state(&self) -> State {
        self.board.state()
    }
}

struct Watcher {
    stream: String,
    events: Events,
}

impl Observer for Watcher {
    fn started(&self, pid: Option<u32>) {
        tracing::info!(stream = self.stream, pid, "transcoder started");
        self.events.tell(&self.stream, &Event::TranscoderStarted {});
    }

    fn ended(&self, ended: &Ended, lived: Duration, wait: Duration) {
        let (lived_ms, wait_ms) = (millis(lived), millis(wait));
        tracing::warn!(
            stream = self.stream,
            %ended,
            lived_ms,
            wait_ms,
            "transcoder ended"
        );
        let told = Event::TranscoderEnded {
            reason: ended.name().to_owned(),
            detail: ended.to_string(),
            lived_ms,
            restart_after_ms: wait_ms,
        };
        self.events.tell(&self.stream, &told);
    }

    fn warned(&self, text: &str) {
        tracing::warn!(stream = self.stream, "transcoder: {text}");
    }

    fn decided(&self, decision: &Decision) {
        let source = decision.source;
        let rungs: Vec<String> = decision
            .rungs
            .iter()
            .map(|r| format!("{} {}x{}@{:.3}", r.name, r.width, r.height, r.rate.as_f64()))
            .collect();
        tracing::info!(
            stream = self.stream,
            width = source.width,
            height = source.height,
            fps = source.rate.as_f64(),
            rungs = rungs.join(", "),
            "ladder"
        );
    }
}
