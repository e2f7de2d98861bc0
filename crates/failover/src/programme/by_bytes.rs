//! Entering another input that carries the same bytes: the next frame follows.

use hub::Group;
use media::{Span, Timestamp};

use super::by_clock::{HELD, SLACK};
use super::{Clock, Manner, Observer, Programme};
use crate::feed::Feed;
use crate::history::Class;
use crate::selector::InputId;

/// Sound comes no longer after the pictures that it belongs to.
const INTERLEAVED: Span = Span::from_secs(1);

impl<C: Clock, O: Observer> Programme<C, O> {
    pub(super) fn by_bytes(&mut self, to: &InputId, now: Timestamp) -> Option<Manner> {
        let feed = self.feeds.get(to)?;
        let shift = self.shift_to(feed)?;
        let timeline = self.splice.timeline();
        let (edge, end) = (timeline.place(feed.edge() + shift)?, timeline.end()?);
        let lead = timeline.lead().max(Span::ZERO).min(timeline.most());
        // Behind the edge its own frame follows: where that is missing, it is waited for.
        let waits = edge < end && !self.is_soon(end - edge, now);
        if waits || edge - now - lead > HELD {
            return None;
        }
        self.splice.timeline_mut().follow(shift);
        Some(Manner {
            class: Class::Equal,
            group: self.group_at_end(to),
            replayed: Span::ZERO,
            gap: false,
            pace: Some(lead + SLACK),
        })
    }

    /// What added to the feed's times gives those of what feeds the programme.
    fn shift_to(&self, feed: &Feed) -> Option<Span> {
        let active = self.selector.active().and_then(|id| self.feeds.get(id));
        match active {
            Some(active) => feed.shift_to(&active.recent()),
            None => feed.shift_to(&self.remains),
        }
    }

    /// The group from which on the feed's frames go on where the programme ends, in each track. What
    /// it begins with is there already, and is left out by the timeline.
    pub(super) fn group_at_end(&self, to: &InputId) -> Option<Timestamp> {
        let feed = self.feeds.get(to)?;
        let timeline = self.splice.timeline();
        let end = timeline.end()? - INTERLEAVED;
        let groups = feed.recent();
        let begun = |g: &&Group| g.frames.first().and_then(|f| timeline.place(f.dts)) <= Some(end);
        let found = groups.iter().rev().find(begun).or_else(|| groups.first());
        found.map(|g| g.id)
    }
}
