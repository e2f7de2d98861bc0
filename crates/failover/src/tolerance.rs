//! When what an input does becomes a fault, where an operator knows better than what was learned.

use media::Span;

/// When something becomes a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limit {
    /// As its own arrivals teach, or as is built in.
    #[default]
    Learned,
    /// After so long.
    After(Span),
    /// Never.
    Never,
}

/// One input's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerance {
    /// Nothing comes.
    pub silent: Limit,
    /// Sound or pictures do not come while the other does.
    pub track_silent: Limit,
    /// No random-access point comes.
    pub no_keyframe: Limit,
    /// Its timestamps stand still; judged from group to group.
    pub frozen: Limit,
    /// Its source loses media: of so long each second, within twice the time.
    pub damaged: Limit,
}

impl Limit {
    /// The time that is meant; `None` is never.
    pub(crate) fn or(self, learned: Option<Span>) -> Option<Span> {
        match self {
            Self::Learned => learned,
            Self::After(span) => Some(span),
            Self::Never => None,
        }
    }
}
