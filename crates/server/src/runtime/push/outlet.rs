//! One place that a stream is pushed to, as those see it who look: the API and the metrics.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::course::{Course, Phase};
use super::face::{Sent, SentFigures};
use crate::runtime::{LastError, lock, utc_ms};

/// Errors that are remembered.
const ERRORS: usize = 5;

/// One place that a stream is pushed to. It counts on when its configuration changes.
#[derive(Debug)]
pub(crate) struct Outlet {
    id: String,
    pub(super) sent: Sent,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    /// Whose pen writes.
    serial: u64,
    course: Course,
    /// Unix milliseconds.
    since_ms: i64,
    connections: u64,
    attempts: u64,
    failures: u64,
    errors: VecDeque<LastError>,
}

/// Writes down how a push fares, until another pen was taken: of a task that was told to go nothing
/// is heard any more.
#[derive(Debug)]
pub(super) struct Pen {
    outlet: Arc<Outlet>,
    serial: u64,
}

/// How it is at one moment.
#[derive(Debug)]
pub(crate) struct OutletFigures {
    pub(crate) phase: Phase,
    /// Tries since it last was well, with the present one.
    pub(crate) attempt: u32,
    /// Unix milliseconds since when it is in this phase.
    pub(crate) since_ms: i64,
    /// How long until it is tried again.
    pub(crate) retry_in: Option<Duration>,
    /// Times that the far end took media.
    pub(crate) connections: u64,
    pub(crate) attempts: u64,
    pub(crate) failures: u64,
    /// The last ones, the newest first.
    pub(crate) errors: Vec<LastError>,
    pub(crate) sent: SentFigures,
}

impl Outlet {
    pub(super) fn new(id: &str) -> Self {
        let told = Told {
            serial: 0,
            course: Course::new(Phase::Disabled, Instant::now()),
            since_ms: utc_ms(),
            connections: 0,
            attempts: 0,
            failures: 0,
            errors: VecDeque::new(),
        };
        Self {
            id: id.to_owned(),
            sent: Sent::default(),
            told: Mutex::new(told),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What it was configured as before does not matter any more.
    pub(super) fn begin(self: &Arc<Self>, phase: Phase) -> Pen {
        let mut told = lock(&self.told);
        told.serial += 1;
        told.course = Course::new(phase, Instant::now());
        told.since_ms = utc_ms();
        Pen {
            outlet: Arc::clone(self),
            serial: told.serial,
        }
    }

    pub(crate) fn figures(&self) -> OutletFigures {
        let told = lock(&self.told);
        let now = Instant::now();
        OutletFigures {
            phase: told.course.phase,
            attempt: told.course.attempt,
            since_ms: told.since_ms,
            retry_in: told.course.until.map(|until| until - now),
            connections: told.connections,
            attempts: told.attempts,
            failures: told.failures,
            errors: told.errors.iter().cloned().collect(),
            sent: self.sent.figures(),
        }
    }
}

impl Pen {
    pub(super) fn sent(&self) -> &Sent {
        &self.outlet.sent
    }

    pub(super) fn idle(&self) {
        self.turn(|told, now| told.course.idle(now));
    }

    pub(super) fn connect(&self) {
        self.turn(|told, now| {
            told.attempts += 1;
            told.course.connect(now);
        });
    }

    /// Tells which try it was.
    pub(super) fn accepted(&self) -> u32 {
        self.turn(|told, now| {
            told.connections += 1;
            told.course.accepted(now);
            told.course.attempt
        })
    }

    pub(super) fn over(&self) {
        self.turn(|told, now| told.course.over(now));
    }

    /// Answers how long to wait.
    pub(super) fn failed(&self, message: String, refused: bool) -> Duration {
        let jitter = rand::random_range(0.5..=1.0);
        self.turn(|told, now| {
            told.failures += 1;
            told.errors.truncate(ERRORS - 1);
            told.errors.push_front(LastError::now(message));
            told.course.failed(refused, jitter, now)
        })
    }

    fn turn<T: Default>(&self, change: impl FnOnce(&mut Told, Instant) -> T) -> T {
        let mut told = lock(&self.outlet.told);
        if told.serial != self.serial {
            return T::default();
        }
        let before = told.course.phase;
        let answer = change(&mut told, Instant::now());
        if told.course.phase != before {
            told.since_ms = utc_ms();
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_told_to_go_is_not_heard() {
        let outlet = Arc::new(Outlet::new("cdn"));
        let pen = outlet.begin(Phase::Idle);
        pen.connect();
        assert_eq!(pen.accepted(), 1);
        tokio::time::advance(Duration::from_secs(31)).await;
        let wait = pen.failed("lost".to_owned(), false);
        let now = outlet.figures();
        assert_eq!((now.phase, now.retry_in), (Phase::BackingOff, Some(wait)));
        assert!(wait <= Duration::from_secs(1) && wait >= Duration::from_millis(500));
        assert_eq!((now.attempts, now.connections, now.failures), (1, 1, 1));
        let _disabled = outlet.begin(Phase::Disabled);
        pen.connect();
        assert_eq!(pen.accepted(), 0);
        let now = outlet.figures();
        assert_eq!(
            (now.phase, now.attempts, now.errors.len()),
            (Phase::Disabled, 1, 1)
        );
    }
}
