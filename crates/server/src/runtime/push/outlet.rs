//! One place that a stream is pushed to, as those see it who look: the API and the metrics.

use std::collections::VecDeque;
use std::sync::Mutex;
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
    course: Course,
    /// Unix milliseconds.
    since_ms: i64,
    connections: u64,
    attempts: u64,
    failures: u64,
    errors: VecDeque<LastError>,
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
    pub(super) fn begin(&self, phase: Phase) {
        self.turn(|told, now| told.course = Course::new(phase, now));
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

    fn turn<T>(&self, change: impl FnOnce(&mut Told, Instant) -> T) -> T {
        let mut told = lock(&self.told);
        let before = told.course.phase;
        let answer = change(&mut told, Instant::now());
        if told.course.phase != before {
            told.since_ms = utc_ms();
        }
        answer
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
