//! The task of one push: waits for media, calls the far end, and calls again.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use hub::{Broadcast, Event as HubEvent, Hub, Join, Options, Subscriber};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::face::{Ended, Link};
use super::outlet::Pen;
use crate::events::{Event, Events};
use crate::model::Push;
use crate::runtime::millis;
use crate::runtime::players::MAX_LATENCY;
use crate::runtime::pull::{Failure, Means};
use crate::runtime::remuxing::Remuxing;

/// Between two events of the same failure.
const SAME_AGAIN: Duration = Duration::from_secs(60);

/// Before an ended broadcast is asked for its successor.
const BREATH: Duration = Duration::from_millis(100);

/// Where what is pushed comes from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) stream: String,
    pub(super) hub: Hub,
    /// The programme; `None` where a ladder makes renditions of it.
    pub(super) programme: Option<Broadcast>,
    /// What makes MPEG-TS of it.
    pub(super) remuxing: Remuxing,
}

impl Source {
    /// A rendition of this name, or the best, once there is one.
    async fn rendition(&self, name: Option<&str>) -> Broadcast {
        if let Some(programme) = &self.programme {
            return programme.clone();
        }
        loop {
            let mut listing = self.hub.wait(&self.stream).await;
            while !listing.is_closed() {
                let renditions = listing.renditions();
                let mut wanted = renditions.iter().filter(|r| {
                    let named = name.is_none_or(|name| *r.id == *name);
                    named && r.broadcast.ended().is_none()
                });
                if let Some(rendition) = wanted.next() {
                    return rendition.broadcast.clone();
                }
                let given_up = listing.clone();
                tokio::select! {
                    () = listing.changed() => {}
                    () = given_up.closed() => {}
                }
            }
        }
    }
}

/// One push, for as long as its configuration holds.
pub(super) struct Task {
    pub(super) push: Push,
    pub(super) pen: Pen,
    pub(super) source: Source,
    pub(super) means: Means,
    pub(super) events: Events,
}

/// The last failure that was told, and when.
type LastTold = Option<(String, Instant)>;

impl Task {
    /// Runs until `stop`; the far end is told that it is over.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut told = None;
        loop {
            // Who reads keeps on demand what it reads, while it is away too.
            let (broadcast, _reader) = tokio::select! {
                media = self.media() => media,
                () = stop.cancelled() => return,
            };
            self.pen.connect();
            let Some(ended) = self.attempt(&broadcast, &stop).await else {
                return;
            };
            let pause = self.judge(ended, &mut told);
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Waits until media comes: far ends wait for none, and what was there before is not enough.
    async fn media(&self) -> (Broadcast, Subscriber) {
        self.pen.idle();
        loop {
            let wanted = self.push.rendition.as_deref();
            let broadcast = self.source.rendition(wanted).await;
            let mut reader = broadcast.subscribe(Options {
                join: Join::Newest,
                max_latency: MAX_LATENCY,
                wanted: true,
            });
            if comes(&mut reader).await {
                return (broadcast, reader);
            }
            // One that has ended has a successor some time.
            sleep(BREATH).await;
        }
    }

    /// One connection, from its beginning to its end; `None` where it was stopped.
    async fn attempt(
        &self,
        broadcast: &Broadcast,
        stop: &CancellationToken,
    ) -> Option<Result<Ended, Failure>> {
        // A defect of ours costs this connection alone.
        let connection = AssertUnwindSafe(self.connection(broadcast, stop)).catch_unwind();
        connection.await.unwrap_or_else(|_| {
            Some(Err(Failure {
                message: "a defect of ours".to_owned(),
                refusal: false,
            }))
        })
    }

    async fn connection(
        &self,
        broadcast: &Broadcast,
        stop: &CancellationToken,
    ) -> Option<Result<Ended, Failure>> {
        let ends = (&self.source.remuxing, self.pen.sent());
        let opened = tokio::select! {
            opened = Link::open(&self.push, &self.means, ends) => opened,
            () = stop.cancelled() => return None,
        };
        let mut link = match opened {
            Ok(link) => link,
            Err(failure) => return Some(Err(failure)),
        };
        let session = Session::open(self);
        let ended = tokio::select! {
            ended = link.run(broadcast, self.pen.sent()) => Some(ended),
            () = stop.cancelled() => None,
        };
        session.close(match &ended {
            Some(Ok(Ended::Over)) => "over",
            Some(Ok(Ended::Left)) => "closed by the far end",
            Some(Err(failure)) => &failure.message,
            None => "stopped",
        });
        if !matches!(ended, Some(Err(_))) {
            link.close().await;
        }
        ended
    }

    /// How long to wait before the next try.
    fn judge(&self, ended: Result<Ended, Failure>, told: &mut LastTold) -> Duration {
        let Failure { message, refusal } = match ended {
            Ok(Ended::Over) => {
                self.pen.over();
                return Duration::ZERO;
            }
            Ok(Ended::Left) => Failure {
                message: "closed by the far end".to_owned(),
                refusal: false,
            },
            Err(failure) => failure,
        };
        let (stream, push) = (&self.source.stream, &self.push.id);
        tracing::warn!(stream, push, error = message, refusal, "push failed");
        let pause = self.pen.failed(message.clone(), refusal);
        self.tell(message, refusal, pause, told);
        pause
    }

    /// The same again is told once a minute.
    fn tell(&self, error: String, refusal: bool, pause: Duration, told: &mut LastTold) {
        let same = |(last, at): &(String, Instant)| *last == error && at.elapsed() < SAME_AGAIN;
        if told.as_ref().is_some_and(same) {
            return;
        }
        *told = Some((error.clone(), Instant::now()));
        let (push, retry_in_ms) = (self.push.id.clone(), millis(pause));
        let event = if refusal {
            Event::PushRefused {
                push,
                error,
                retry_in_ms,
            }
        } else {
            Event::PushFailed {
                push,
                error,
                retry_in_ms,
            }
        };
        self.events.tell(&self.source.stream, &event);
    }
}

/// Whether frames come, rather than an end.
async fn comes(reader: &mut Subscriber) -> bool {
    let mut batch = Vec::new();
    while reader.try_next(&mut batch) {
        batch.clear();
    }
    loop {
        reader.next(&mut batch).await;
        for event in batch.drain(..) {
            match event {
                HubEvent::Frame(_) => return true,
                HubEvent::End(_) => return false,
                _ => {}
            }
        }
    }
}

/// A connection over which media goes, for those who listen to events.
struct Session<'a> {
    task: &'a Task,
    began: Instant,
    bytes: u64,
}

impl<'a> Session<'a> {
    fn open(task: &'a Task) -> Self {
        let attempt = task.pen.accepted();
        let (stream, push) = (&task.source.stream, &task.push.id);
        tracing::info!(stream, push, "pushing");
        let protocol = task.push.destination().map_or("", |to| to.protocol());
        let event = Event::PushStarted {
            push: push.clone(),
            protocol: protocol.to_owned(),
            attempt,
        };
        task.events.tell(stream, &event);
        Self {
            task,
            began: Instant::now(),
            bytes: task.pen.sent().figures().bytes,
        }
    }

    fn close(self, reason: &str) {
        let (stream, push) = (&self.task.source.stream, &self.task.push.id);
        tracing::info!(stream, push, reason, "push ended");
        let bytes = self.task.pen.sent().figures().bytes;
        let event = Event::PushStopped {
            push: push.clone(),
            reason: reason.to_owned(),
            duration_ms: millis(self.began.elapsed()),
            bytes: bytes - self.bytes,
        };
        self.task.events.tell(stream, &event);
    }
}
