//! What was wrong with a transport.

use super::continuity::Step;
use crate::ingest::Stats;

/// PIDs that are told apart.
const PIDS: usize = 16;

/// What was wrong with the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Gaps in continuity counters.
    pub cc_errors: u64,
    /// The same by PID.
    pub cc_errors_by_pid: ByPid,
    /// Packets marked as damaged.
    pub transport_errors: u64,
    /// Times that packets did not follow each other.
    pub sync_losses: u64,
    /// Packets that came again.
    pub repeated: u64,
}

/// A counter for each of the first 16 PIDs that had anything to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByPid {
    counted: [(u16, u64); PIDS],
    len: usize,
}

impl ByPid {
    /// PIDs and what was counted, in the order in which they were seen.
    #[must_use]
    pub fn all(&self) -> &[(u16, u64)] {
        &self.counted[..self.len]
    }

    fn add(&mut self, pid: u16) {
        if let Some((_, n)) = self.counted[..self.len].iter_mut().find(|(p, _)| *p == pid) {
            *n += 1;
        } else if let Some(free) = self.counted.get_mut(self.len) {
            *free = (pid, 1);
            self.len += 1;
        }
    }
}

impl Counters {
    /// Sets them in a session's counters.
    pub fn tell(&self, stats: &Stats) {
        stats.set("cc_errors", self.cc_errors);
        stats.set("transport_errors", self.transport_errors);
        stats.set("sync_losses", self.sync_losses);
        stats.set("repeated_packets", self.repeated);
        stats.set_cc_errors_by_pid(self.cc_errors_by_pid.all());
    }

    pub(super) fn count(&mut self, pid: u16, step: Step) {
        match step {
            Step::Lost => {
                self.cc_errors += 1;
                self.cc_errors_by_pid.add(pid);
            }
            Step::Repeated => self.repeated += 1,
            Step::Next | Step::Announced => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_are_told_apart_up_to_a_bound() {
        let mut counters = Counters::default();
        for pid in 0..20 {
            counters.count(pid, Step::Lost);
            counters.count(pid, Step::Lost);
            counters.count(pid, Step::Repeated);
        }
        assert_eq!((counters.cc_errors, counters.repeated), (40, 20));
        assert_eq!(counters.cc_errors_by_pid.all().len(), 16);
        assert!(counters.cc_errors_by_pid.all().contains(&(15, 2)));
    }
}
