//! Whether a source loses media again and again. Pure.

use std::collections::VecDeque;

use media::{Span, Timestamp};

use crate::tolerance::Limit;

/// What a loss spoils, and all others within that time.
const SPOILT: Span = Span::from_secs(1);
/// Half of ten seconds spoilt is worse to watch than a switch; one packet of 10,000 lost at 5 Mbit/s
/// spoils a third.
const MOST: Span = Span::from_secs(5);
/// Without a loss for so long it is whole again.
const WHOLE: Span = Span::from_secs(5);

/// The losses of one connection.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// When each spoilt second began, lately.
    spoilt: VecDeque<Timestamp>,
    /// The last loss, where there were too many.
    damaged: Option<Timestamp>,
}

impl Damage {
    /// Something was lost. It is damaged once as much is spoilt as the limit says, in twice the time.
    pub(crate) fn lost(&mut self, limit: Limit, now: Timestamp) {
        let Some(most) = limit.or(Some(MOST)) else {
            return;
        };
        if self.over().is_some_and(|at| now >= at) {
            *self = Self::default();
        }
        let old = |at: &mut Timestamp| now - *at >= most.times(2);
        while self.spoilt.pop_front_if(old).is_some() {}
        if self.spoilt.back().is_none_or(|at| now - *at >= SPOILT) {
            self.spoilt.push_back(now);
        }
        let spoilt = SPOILT.times(i64::try_from(self.spoilt.len()).unwrap_or(i64::MAX));
        if self.damaged.is_some() || spoilt >= most {
            self.damaged = Some(now);
        }
    }

    pub(crate) fn is_at(&self, now: Timestamp) -> bool {
        self.over().is_some_and(|at| now < at)
    }

    /// When it is whole again if nothing more is lost.
    pub(crate) fn over(&self) -> Option<Timestamp> {
        self.damaged.map(|last| last + WHOLE)
    }
}
