//! Whether the receiver as a whole fails, and how it is asked then.

use super::lane::{Now, due, pause};

/// Failures in a row, of any lane, after which the receiver counts as failing.
const FAILURES: u32 = 5;

#[derive(Debug, Default)]
pub(super) struct Circuit {
    in_a_row: u32,
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    failures: u32,
    not_before: i64,
}

impl Circuit {
    pub(super) const fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    pub(super) const fn concurrency(&self, usual: usize) -> usize {
        if self.is_failing() { 1 } else { usual }
    }

    pub(super) fn due(&self, now_ms: i64) -> i64 {
        let failing = self.failing.as_ref();
        failing.map_or(i64::MIN, |failing| due(failing.not_before, now_ms))
    }

    /// Only what was sent to find out makes the pauses longer: what went out together fails together.
    pub(super) fn failed(&mut self, is_probe: bool, after: i64, now: Now) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        match &mut self.failing {
            Some(failing) => {
                failing.failures += u32::from(is_probe);
                let wait = if is_probe {
                    after.max(pause(failing.failures, now.jitter))
                } else {
                    after
                };
                failing.not_before = failing.not_before.max(now.now_ms + wait);
            }
            None if self.in_a_row >= FAILURES => {
                let not_before = now.now_ms + after.max(pause(1, now.jitter));
                let failures = 1;
                self.failing = Some(Failing {
                    failures,
                    not_before,
                });
            }
            None => {}
        }
    }
}
