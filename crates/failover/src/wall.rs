//! Where two inputs of one wall clock are equally far. Pure.

use hub::WallTime;
use media::{Span, Timestamp};

/// The wall clock is that of a source that is no further from UTC, all delays of its way included.
const NEAR: Span = Span::from_secs(10);
/// Pairs of media and wall time that agree to so much are of one clock.
const STEADY: Span = Span::from_millis(50);
/// So many pairs after the first one must agree.
const PAIRS: u32 = 2;

/// Whether an input's own wall clock is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Belief {
    /// Where it is steady, and within 10 s of UTC.
    #[default]
    Auto,
    /// Always.
    Trust,
    /// Never.
    Ignore,
}

/// What one connection tells of its wall clock.
#[derive(Debug, Default)]
pub struct Wall {
    pair: Option<WallTime>,
    agreed: u32,
    near: bool,
}

impl Wall {
    /// The newest pair; media of this PTS has come at `now`.
    pub fn note(&mut self, pair: WallTime, pts: Timestamp, now: Timestamp) {
        let offset = pair.utc - pair.media;
        match self.pair.replace(pair) {
            Some(before) if before == pair => {}
            Some(before) if (offset - (before.utc - before.media)).abs() <= STEADY => {
                self.agreed = self.agreed.saturating_add(1);
            }
            _ => self.agreed = 0,
        }
        self.near = (pts + offset - now).abs() <= NEAR;
    }

    /// What added to a PTS gives its wall time, where that is believed.
    #[must_use]
    pub fn offset(&self, belief: Belief) -> Option<Span> {
        let pair = self.pair?;
        let believed = match belief {
            Belief::Auto => self.agreed >= PAIRS && self.near,
            Belief::Trust => true,
            Belief::Ignore => false,
        };
        believed.then(|| pair.utc - pair.media)
    }
}

/// Where another input is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// At this one of its random-access points; what is repeated by that.
    Enter(Timestamp, Span),
    /// It is behind: a later one repeats less than a group.
    Wait,
    /// It has nothing that is old enough.
    Ahead,
}

/// What an input has, on its own clock.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// Its random-access points, in their order.
    pub points: &'a [Timestamp],
    /// Its newest picture.
    pub edge: Timestamp,
    /// How far apart its random-access points are at most, where that is known.
    pub group: Option<Span>,
}

impl Held<'_> {
    /// The random-access point that goes on at `time` with nothing lost and at most a group
    /// repeated: the last one at or before, give or take `tolerance`.
    #[must_use]
    pub fn step(&self, time: Timestamp, tolerance: Span) -> Step {
        let before = self.points.iter().rfind(|p| **p <= time + tolerance);
        let Some(at) = before.copied() else {
            return Step::Ahead;
        };
        let repeated = (time - at).max(Span::ZERO);
        let much = self.group.is_some_and(|group| repeated > group + tolerance);
        if much && self.edge < time {
            return Step::Wait;
        }
        Step::Enter(at, repeated)
    }
}
