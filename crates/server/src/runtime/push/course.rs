//! How one push fares: what it is doing, and when it is tried again. Pure.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

/// A failure is followed by a pause that doubles, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What was refused will be refused again for a while. A far end that has not noticed yet that we
/// were gone refuses too, so that it is not the longest pause at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
/// What held for so long was well.
pub(super) const STEADY: Duration = Duration::from_secs(30);

/// What a push is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// It is switched off.
    Disabled,
    /// There is no media to push.
    Idle,
    /// The far end is asked.
    Connecting,
    /// The far end takes media.
    Pushing,
    /// It was lost or could not be reached, and will be tried again.
    BackingOff,
    /// The far end does not want it, and will be asked again.
    Refused,
}

/// How one push fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) phase: Phase,
    /// Since when that is so.
    since: Instant,
    /// Tries since it last was well, with the present one.
    pub(super) attempt: u32,
    /// When it is tried again.
    pub(super) until: Option<Instant>,
    /// What the next failure is followed by.
    pause: Duration,
}

impl Course {
    pub(super) const fn new(phase: Phase, now: Instant) -> Self {
        Self {
            phase,
            since: now,
            attempt: 0,
            until: None,
            pause: FIRST_PAUSE,
        }
    }

    const fn turn(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
        self.until = None;
    }

    /// Media is waited for.
    pub(super) fn idle(&mut self, now: Instant) {
        self.turn(Phase::Idle, now);
    }

    pub(super) fn connect(&mut self, now: Instant) {
        self.attempt = self.attempt.saturating_add(1);
        self.turn(Phase::Connecting, now);
    }

    /// The far end takes media.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.turn(Phase::Pushing, now);
    }

    /// What was pushed is over, and nobody failed.
    pub(super) fn over(&mut self, now: Instant) {
        *self = Self::new(Phase::Idle, now);
    }

    /// It was lost, or refused. `jitter` within 0.5..=1, so that many do not come at once. Answers how
    /// long to wait.
    pub(super) fn failed(&mut self, refused: bool, jitter: f64, now: Instant) -> Duration {
        if self.phase == Phase::Pushing && now - self.since >= STEADY {
            self.attempt = 0;
            self.pause = FIRST_PAUSE;
        }
        let least = if refused { REFUSED_PAUSE } else { FIRST_PAUSE };
        let pause = self.pause.max(least);
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        let wait = pause.mul_f64(jitter);
        let phase = if refused {
            Phase::Refused
        } else {
            Phase::BackingOff
        };
        self.turn(phase, now);
        self.until = Some(now + wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (Course, Instant) {
        let now = Instant::now();
        (Course::new(Phase::Idle, now), now)
    }

    /// The pauses, in seconds, after so many failures in a row.
    fn pauses(course: &mut Course, now: Instant, refused: bool, count: usize) -> Vec<u64> {
        let one = |_| {
            course.connect(now);
            assert_eq!(course.phase, Phase::Connecting);
            course.failed(refused, 1.0, now).as_secs()
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let (mut course, now) = start();
        let found = pauses(&mut course, now, false, 8);
        assert_eq!(found, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!((course.phase, course.attempt), (Phase::BackingOff, 8));
        assert_eq!(course.until, Some(now + Duration::from_secs(60)));
    }

    #[test]
    fn what_is_refused_is_asked_seldom() {
        let (mut course, now) = start();
        assert_eq!(pauses(&mut course, now, true, 4), [10, 20, 40, 60]);
        assert_eq!(course.phase, Phase::Refused);
        let (mut course, now) = start();
        pauses(&mut course, now, false, 7);
        assert_eq!(pauses(&mut course, now, true, 1), [60]);
    }

    #[test]
    fn jitter_shortens_the_wait_and_not_the_pause() {
        let (mut course, now) = start();
        assert_eq!(course.failed(false, 0.5, now), Duration::from_millis(500));
        assert_eq!(course.failed(false, 0.5, now), Duration::from_secs(1));
    }

    #[test]
    fn what_was_well_for_a_while_begins_anew() {
        let (mut course, now) = start();
        pauses(&mut course, now, false, 6);
        let mut brief = course;
        brief.accepted(now);
        assert_eq!(brief.phase, Phase::Pushing);
        assert_eq!(brief.until, None);
        let early = now + STEADY - Duration::from_millis(1);
        assert_eq!(brief.failed(false, 1.0, early), LONGEST_PAUSE);
        assert_eq!(brief.attempt, 6);
        course.accepted(now);
        assert_eq!(course.failed(false, 1.0, now + STEADY), FIRST_PAUSE);
        course.connect(now + STEADY);
        assert_eq!(course.attempt, 1);
    }

    #[test]
    fn an_end_is_no_failure() {
        let (mut course, now) = start();
        pauses(&mut course, now, false, 3);
        course.accepted(now);
        course.over(now);
        assert_eq!(course, Course::new(Phase::Idle, now));
        course.idle(now);
        assert_eq!(pauses(&mut course, now, false, 1), [1]);
    }
}
