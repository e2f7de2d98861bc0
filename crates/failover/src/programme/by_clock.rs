//! Entering another input where it shows what the programme shows next, by the clock of both.

use hub::Event;
use media::{Span, Timestamp};

use super::{Clock, LEAD, Manner, Observer, Pending, Programme};
use crate::history::Class;
use crate::selector::InputId;
use crate::wall::Step;

/// An input that is further ahead is not waited with: the hub holds 10 s of it.
pub(super) const HELD: Span = Span::from_secs(8);

/// What is due so soon is not kept back: it is jitter.
pub(super) const SLACK: Span = Span::from_millis(60);

/// What the clocks say.
pub(super) enum Way {
    /// Nothing, or nothing that helps.
    None,
    /// Soon.
    Wait,
    /// Now, and so.
    Enter(Manner),
}

impl<C: Clock, O: Observer> Programme<C, O> {
    /// Keeps the clock of the input that feeds the programme, for when it is gone.
    pub(super) fn note_clock(&mut self) {
        if let Some(active) = self
            .selector
            .active()
            .filter(|a| self.feeds.contains_key(*a))
        {
            self.left = self.clock_of(active);
        }
    }

    fn clock_of(&self, id: &InputId) -> Option<Span> {
        self.feeds.get(id)?.clock(self.selector.belief(id))
    }

    /// What added to this input's times gives those of equal wall time of what feeds the programme.
    pub(super) fn shift_by_clock(&self, to: &InputId) -> Option<Span> {
        let ours = match self.selector.active() {
            Some(active) => self.clock_of(active),
            None => self.left,
        };
        Some(self.clock_of(to)? - ours?)
    }

    /// The lead that a planned switch repays. Between inputs of one clock it leaves out media for
    /// that, so only once there is little room for another failure.
    pub(super) fn worth_repaying(&self, to: &InputId) -> Span {
        match self.shift_by_clock(to) {
            Some(_) => Span::from_nanos(self.splice.timeline().most().as_nanos() / 2),
            None => LEAD,
        }
    }

    pub(super) fn by_clock(&mut self, pending: &mut Pending, now: Timestamp) -> Way {
        if pending.expected.is_some() {
            return Way::None;
        }
        self.way(pending, now).unwrap_or(Way::None)
    }

    fn way(&mut self, pending: &mut Pending, now: Timestamp) -> Option<Way> {
        let shift = self.shift_by_clock(&pending.choice.to)?;
        let (missing, half) = self.splice.timeline().missing()?;
        if self.splice.timeline().entry(Span::ZERO, now).gap {
            return None;
        }
        let mut time = missing - shift;
        if pending.choice.voluntary {
            self.set_meeting(pending, time + half, shift);
            if let Some(meet) = pending.meet {
                if time + half < meet && !self.splice.is_cut() {
                    return Some(Way::Wait);
                }
                time = time.max(meet);
            }
        }
        let held = self.feeds.get_mut(&pending.choice.to)?.held();
        let edge = held.edge;
        match held.step(time, half) {
            Step::Enter(at, repeated) => {
                self.enter_at(&pending.choice.to, (at, edge), repeated, now)
            }
            Step::Wait if self.is_soon(time - edge, now) => {
                if pending.choice.voluntary {
                    self.meet_at(pending, time, shift);
                }
                Some(Way::Wait)
            }
            Step::Wait | Step::Ahead => None,
        }
    }

    /// Where the moment can be chosen and the other is ahead: its random-access point, so that
    /// nothing is repeated.
    fn set_meeting(&mut self, pending: &mut Pending, time: Timestamp, shift: Span) {
        let feed = self.feeds.get_mut(&pending.choice.to);
        let newest = feed.and_then(|feed| feed.held().points.last().copied());
        if let Some(newest) = newest.filter(|newest| *newest > time) {
            self.meet_at(pending, newest, shift);
        }
    }

    /// The present input goes on to here and no further.
    fn meet_at(&mut self, pending: &mut Pending, time: Timestamp, shift: Span) {
        if pending.meet.is_none() {
            pending.meet = Some(time);
            let place = self.splice.timeline().place(time + shift);
            self.splice.stop_at(place);
        }
    }

    /// Whether what is missing comes before the silence is a gap.
    pub(super) fn is_soon(&self, missing: Span, now: Timestamp) -> bool {
        let later = self.splice.timeline().entry(Span::ZERO, now + missing);
        !later.gap
    }

    /// The programme keeps the lead that it had, and gets what is repeated on top.
    fn enter_at(
        &mut self,
        to: &InputId,
        (at, edge): (Timestamp, Timestamp),
        replayed: Span,
        now: Timestamp,
    ) -> Option<Way> {
        let group = self.feeds.get(to)?.group_at(at)?;
        let timeline = self.splice.timeline_mut();
        let lead = (timeline.lead() + replayed).max(Span::ZERO);
        let entry = timeline.entry(edge - at, now);
        if !timeline.allows(lead) || entry.lead - lead > HELD {
            return None;
        }
        timeline.enter(at, entry);
        Some(Way::Enter(Manner {
            class: Class::Clock,
            group: Some(group),
            replayed,
            gap: false,
            pace: Some(lead + SLACK),
        }))
    }

    /// Keeps back what is not due yet.
    pub(super) fn release(&mut self, now: Timestamp) {
        if self.pace.is_none() {
            return;
        }
        self.early.extend(self.batch.drain(..));
        while self.due().is_none_or(|at| at <= now || at - now > HELD)
            && let Some(event) = self.early.pop_front()
        {
            self.batch.push(event);
        }
    }

    /// When the first frame that is kept back is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let Some(Event::Frame(frame)) = self.early.front() else {
            return None;
        };
        Some(self.splice.timeline().place(frame.dts)? - self.pace?)
    }
}
