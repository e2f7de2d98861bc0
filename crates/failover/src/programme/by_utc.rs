//! Entering another input on UTC, over what the programme holds already: a transcoder leaves out what
//! it has shown, so nothing is waited for and no lead is added.

use media::{Span, Timestamp};

use super::{Clock, Manner, Observer, Programme};
use crate::feed::Feed;
use crate::history::Class;
use crate::overlap;
use crate::selector::InputId;
use crate::timeline::Continuity;

/// A clock that both inputs tell says better than UTC what follows, where it is no further from it:
/// further behind it would cost a silence, further ahead a lead.
const CLOSE: Span = Span::from_millis(100);

impl<C: Clock, O: Observer> Programme<C, O> {
    pub(super) fn by_utc(&mut self, to: &InputId, now: Timestamp) -> Option<Manner> {
        let timeline = self.splice.timeline();
        if timeline.continuity() == Continuity::Passthrough {
            return None;
        }
        let feed = self.feeds.get(to)?;
        let groups = feed.recent();
        let offset = self.place_of(to, feed) - feed.edge();
        let group = overlap::entered(timeline, &groups, offset, now)?;
        let (id, dts) = (group.id, group.frames.first()?.dts);
        let entry = timeline.overlap(dts + offset, feed.edge() - dts, now);
        self.splice.timeline_mut().enter(dts, entry);
        Some(Manner {
            class: Class::Overlap,
            group: Some(id),
            replayed: Span::ZERO,
            gap: entry.gap,
            pace: None,
        })
    }

    /// Programme time of the newest frame: when it came, as one that sends in bursts would else run
    /// ahead by what is left until its next one.
    fn place_of(&self, to: &InputId, feed: &Feed) -> Timestamp {
        let utc = feed.came();
        let timeline = self.splice.timeline();
        let shift = self.shift_by_clock(to);
        let by_clock = shift.and_then(|shift| timeline.place(feed.edge() + shift));
        let close = |lead: Span| lead.abs() <= CLOSE && timeline.allows(lead);
        by_clock.filter(|at| close(*at - utc)).unwrap_or(utc)
    }
}
