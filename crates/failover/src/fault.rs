//! What is wrong with an input.

use std::fmt;

/// Why an input cannot feed the programme now, or had better not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It is not connected, or was let go because nobody needs it.
    Absent,
    /// It was, and the connection is closed.
    Closed,
    /// It is connected and has not delivered a random-access point yet.
    Starting,
    /// Nothing comes, for longer than was normal for it.
    Silent,
    /// Sound or pictures no longer come while the other does.
    TrackSilent,
    /// No random-access point for longer than two of its groups.
    NoKeyframe,
    /// Its timestamps stand still.
    Frozen,
    /// It delivers, but its source loses media again and again.
    Damaged,
}

/// How an input is, the better the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    Well,
    /// It feeds the programme where no other does better.
    Damaged,
    Down,
}

impl Condition {
    pub(crate) fn of(fault: Option<Fault>) -> Self {
        match fault {
            None => Self::Well,
            Some(fault) if fault.delivers() => Self::Damaged,
            Some(_) => Self::Down,
        }
    }
}

impl Fault {
    /// All of them, for metrics that list each.
    pub const ALL: [Self; 8] = [
        Self::Absent,
        Self::Closed,
        Self::Starting,
        Self::Silent,
        Self::TrackSilent,
        Self::NoKeyframe,
        Self::Frozen,
        Self::Damaged,
    ];

    /// The lower-case name, as used in the API and in metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Closed => "closed",
            Self::Starting => "starting",
            Self::Silent => "silent",
            Self::TrackSilent => "track_silent",
            Self::NoKeyframe => "no_keyframe",
            Self::Frozen => "frozen",
            Self::Damaged => "damaged",
        }
    }

    /// Whether media comes all the same, which is better than none.
    #[must_use]
    pub const fn delivers(self) -> bool {
        matches!(self, Self::Damaged)
    }

    /// Whether nothing more can come of this connection: the others may yet go on.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Absent | Self::Closed)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
