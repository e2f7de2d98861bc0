//! What was checked and what was found: the one place where findings are excused.

use std::collections::{BTreeMap, VecDeque};

use media::{Span, Timestamp};

use super::Rule;
use super::state::{State, Timeline};

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The playlist or resource.
    pub uri: String,
    /// What was seen.
    pub seen: String,
    /// The state of the stream at any moment from here …
    pub from: Timestamp,
    /// … to here may excuse it.
    pub to: Timestamp,
}

/// The state is told by someone who polls, or who acts just before or after it shows.
const TOLD_WITHIN: Span = Span::from_millis(700);
/// Above this a moment in which the machine ran nobody counts.
const STALL: Span = Span::from_millis(10);

/// Everything that the rules say during a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    timeline: Timeline,
    stalls: VecDeque<(Timestamp, Span)>,
    pending: Vec<Finding>,
    pub(crate) violations: Vec<Finding>,
    pub(crate) excused: BTreeMap<Rule, u64>,
    pub(crate) checked: BTreeMap<Rule, u64>,
    /// Timed checks that held only because the machine stood still in between.
    pub(crate) stalled: BTreeMap<Rule, u64>,
    pub(crate) longest_stall: Span,
}

impl Ledger {
    pub(crate) fn set_state(&mut self, at: Timestamp, state: State) {
        self.timeline.set(at, state);
    }

    /// A watcher that wanted to run at `at` only ran `late` after that.
    pub(crate) fn stalled(&mut self, at: Timestamp, late: Span) {
        if late > STALL {
            self.longest_stall = self.longest_stall.max(late);
            self.stalls.push_back((at, late));
            if self.stalls.len() > 10_000 {
                self.stalls.pop_front();
            }
        }
    }

    /// How long the machine stood still during `from..=to`.
    fn still(&self, from: Timestamp, to: Timestamp) -> Span {
        let overlap = |(at, late): &(Timestamp, Span)| {
            let (start, end) = ((*at).max(from), (*at + *late).min(to));
            (end - start).max(Span::ZERO)
        };
        let newest = self
            .stalls
            .iter()
            .rev()
            .take_while(|(at, _)| *at + Span::from_secs(60) > from);
        newest.map(overlap).fold(Span::ZERO, |a, b| a + b)
    }

    pub(crate) fn at<'a>(&'a mut self, uri: &'a str, from: Timestamp, to: Timestamp) -> Bench<'a> {
        Bench {
            ledger: self,
            uri,
            from,
            to,
        }
    }

    /// Judges what has waited for the state to be told.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let (ripe, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|f| f.to + TOLD_WITHIN <= now);
        self.pending = waiting;
        for finding in ripe {
            self.judge(finding);
        }
    }

    /// Nothing more will be told.
    pub(crate) fn close(&mut self) {
        self.settle(Timestamp::MAX);
    }

    fn judge(&mut self, finding: Finding) {
        let state = self
            .timeline
            .during(finding.from - TOLD_WITHIN, finding.to + TOLD_WITHIN);
        if State::bends(finding.rule).meets(state) {
            *self.excused.entry(finding.rule).or_default() += 1;
        } else {
            self.violations.push(finding);
        }
    }
}

/// Where rules are checked: a playlist or resource, over a span of time.
pub(crate) struct Bench<'a> {
    ledger: &'a mut Ledger,
    uri: &'a str,
    from: Timestamp,
    to: Timestamp,
}

impl Bench<'_> {
    /// Notes that `rule` was looked at, and what was `seen` where it is broken.
    pub(crate) fn check(&mut self, rule: Rule, holds: bool, seen: impl FnOnce() -> String) {
        *self.ledger.checked.entry(rule).or_default() += 1;
        if !holds {
            self.ledger.pending.push(Finding {
                rule,
                uri: self.uri.to_owned(),
                seen: seen(),
                from: self.from,
                to: self.to,
            });
        }
    }

    /// Like `check`, for something that `took` a time and may take `limit`: moments in which the
    /// machine ran nobody do not count.
    pub(crate) fn time(&mut self, rule: Rule, what: &str, took: Span, limit: Span) {
        let still = self.ledger.still(self.to - took, self.to);
        let holds = took <= limit + still;
        if holds && took > limit {
            *self.ledger.stalled.entry(rule).or_default() += 1;
        }
        self.check(rule, holds, || {
            format!(
                "{what}: {} ms, {} ms allowed",
                took.as_millis(),
                limit.as_millis()
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_state_that_is_told_a_moment_later_still_excuses() {
        let mut ledger = Ledger::default();
        ledger.set_state(at(0), State::NORMAL);
        ledger
            .at("v0.m3u8", at(5_000), at(5_000))
            .check(Rule::H9, false, String::new);
        ledger
            .at("v0.m3u8", at(5_000), at(5_000))
            .check(Rule::H7, false, String::new);
        ledger.settle(at(5_100));
        assert!(ledger.violations.is_empty(), "not judged yet");
        ledger.set_state(at(5_300), State::HOLD);
        ledger.settle(at(6_000));
        assert_eq!(ledger.excused[&Rule::H9], 1);
        assert_eq!(ledger.violations.len(), 1);
        assert_eq!(ledger.violations[0].rule, Rule::H7);
    }

    #[test]
    fn time_in_which_nobody_ran_does_not_count() {
        let mut ledger = Ledger::default();
        ledger.stalled(at(900), Span::from_millis(50));
        let limit = Span::from_millis(200);
        ledger
            .at("v0.m3u8", at(0), at(1_000))
            .time(Rule::H6, "gap", Span::from_millis(240), limit);
        ledger
            .at("v0.m3u8", at(0), at(1_000))
            .time(Rule::H6, "gap", Span::from_millis(260), limit);
        ledger.close();
        assert_eq!((ledger.violations.len(), ledger.stalled[&Rule::H6]), (1, 1));
    }
}
