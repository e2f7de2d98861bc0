//! The task behind a programme: watches every input, asks the selector, carries out what it says.

mod by_bytes;
mod by_clock;
mod by_utc;

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hub::{Broadcast, Event, Group, Publisher, Subscriber};
use media::{Span, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep};

use crate::board::{Board, InputState};
use crate::fault::{Condition, Fault};
use crate::feed::{Cached, Feed};
use crate::history::{Class, Switch};
use crate::selector::{Choice, InputId, NotFit, Policy, Reason, Role, Selector};
use crate::splice::Splice;
use crate::timeline::{Config, Continuity, Entry, Timeline};
use crate::tolerance::Tolerance;
use by_clock::Way;

/// The shortest silence that is a fault: a switch to another encode costs the viewer a step back
/// of up to a group, one to the same bytes nothing, nor any where a transcoder reads the programme.
const FLOOR: Span = Span::from_millis(450);
const FLOOR_FREE: Span = Span::from_millis(170);
/// A timer that is later than this says that we were away ourselves.
const AWAY: Duration = Duration::from_millis(50);
/// A lead below this is not worth a wait.
const LEAD: Span = Span::from_millis(60);
/// How much earlier than expected a random-access point may come.
const EARLY: Span = Span::from_millis(100);
/// How much later: then what expected it was wrong.
const LATE: Span = Span::from_millis(200);
/// A group that opened as the last frame was written opened before the silence.
const AT_ONCE: Span = Span::from_millis(10);
/// With nothing else to wait for.
const IDLE: Duration = Duration::from_secs(3_600);

/// Tells UTC. The caller's, because tests own time.
pub trait Clock: Fn() -> Timestamp {}

impl<F: Fn() -> Timestamp> Clock for F {}

/// Hears what happens, as it does.
pub trait Observer {
    /// The programme is fed by another input.
    fn switched(&mut self, switch: &Switch);
    /// An input got a fault, or lost it.
    fn turned(&mut self, input: &InputId, fault: Option<Fault>);
}

/// What is asked of a programme.
#[derive(Debug)]
pub enum Order {
    /// The inputs as they are configured now, in their order; the slate, if any, last.
    Inputs(Vec<(InputId, Role)>),
    /// Other rules.
    Policy(Policy),
    /// What is a fault of each input; those that are not named are as they teach themselves.
    Tolerate(BTreeMap<InputId, Tolerance>),
    /// Other bounds of its time, and who reads it.
    Bounds(Config),
    /// An input is connected; what it sent before is over.
    Feed(InputId, Broadcast),
    /// An input was let go.
    Lost(InputId),
    /// Whether anybody watches.
    Viewed(bool),
    /// Hold the programme on this input.
    Switch(InputId, oneshot::Sender<Result<(), NotFit>>),
    /// End that; tells whether there was something to end.
    Release(oneshot::Sender<bool>),
}

/// A programme that runs: feeds one broadcast from the best of its inputs.
#[derive(Debug)]
pub struct Programme<C, O> {
    splice: Splice,
    selector: Selector,
    feeds: BTreeMap<InputId, Feed>,
    tolerances: BTreeMap<InputId, Tolerance>,
    /// Reads the input that feeds the programme.
    source: Option<Subscriber>,
    /// The last groups of an input that went while it fed the programme.
    remains: Vec<Group>,
    batch: Vec<Event>,
    /// What the source sent before it is due.
    early: VecDeque<Event>,
    /// How far ahead of UTC it is due, where the source was entered by the clock.
    pace: Option<Span>,
    /// What added to a DTS of the input that went while it fed the programme gives its wall time.
    left: Option<Span>,
    pending: Option<Pending>,
    /// The input that fed the programme last.
    fed_by: Option<InputId>,
    /// A switch whose first frame is still to be written.
    entered: Option<Switch>,
    orders: mpsc::Receiver<Order>,
    timer: Pin<Box<Sleep>>,
    board: Arc<Board>,
    wanted: watch::Sender<Arc<[InputId]>>,
    clock: C,
    observer: O,
}

#[derive(Debug)]
struct Pending {
    choice: Choice,
    detection: Span,
    decided: Timestamp,
    /// When the random-access point to enter at is expected.
    expected: Option<Expected>,
    /// The random-access point of the other that the present one goes on to, by their clock.
    meet: Option<Timestamp>,
}

/// A random-access point that is still to come.
#[derive(Debug, Clone, Copy)]
struct Expected {
    at: Timestamp,
    /// What opened before is another one.
    from: Timestamp,
}

/// How an input is entered.
#[derive(Debug)]
struct Manner {
    class: Class,
    /// The first group that is read.
    group: Option<Timestamp>,
    replayed: Span,
    gap: bool,
    /// How far ahead of UTC its frames are due, where that is not when they come.
    pace: Option<Span>,
}

impl<C: Clock, O: Observer> Programme<C, O> {
    /// A programme without inputs. `wanted` is told which inputs shall be connected.
    #[must_use]
    pub fn new(
        publisher: Publisher,
        (policy, bounds): (Policy, Config),
        orders: mpsc::Receiver<Order>,
        (board, wanted): (Arc<Board>, watch::Sender<Arc<[InputId]>>),
        (clock, observer): (C, O),
    ) -> Self {
        Self {
            splice: Splice::new(publisher, Timeline::new(bounds)),
            selector: Selector::new(policy),
            feeds: BTreeMap::new(),
            tolerances: BTreeMap::new(),
            source: None,
            remains: Vec::new(),
            batch: Vec::new(),
            early: VecDeque::new(),
            pace: None,
            left: None,
            pending: None,
            fed_by: None,
            entered: None,
            orders,
            timer: Box::pin(sleep(IDLE)),
            board,
            wanted,
            clock,
            observer,
        }
    }

    /// Runs until nobody can give orders any more.
    pub async fn run(&mut self) {
        loop {
            let Some(woken) = poll_fn(|cx| self.poll(cx)).await else {
                return;
            };
            let now = (self.clock)();
            self.forgive(woken.late);
            let mut news = self.forward(now);
            for order in woken.orders {
                self.obey(order, now);
                news = true;
            }
            news |= self.watch(now);
            self.drain(now);
            self.decide(now);
            self.arm(now);
            self.board.show_time(self.splice.timeline());
            if news {
                self.show();
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Woken>> {
        let mut woken = Woken::default();
        let mut ready = false;
        loop {
            match self.orders.poll_recv(cx) {
                Poll::Ready(Some(order)) => woken.orders.push(order),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        if let Some(source) = self.source.as_mut().filter(|_| self.early.is_empty()) {
            ready |= source.poll_next(cx, &mut self.batch).is_ready();
        }
        for feed in self.feeds.values_mut() {
            ready |= feed.poll(cx).is_ready();
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            woken.late = Instant::now() - self.timer.deadline();
            self.timer.as_mut().reset(Instant::now() + IDLE);
            ready = true;
        }
        if ready || !woken.orders.is_empty() {
            return Poll::Ready(Some(woken));
        }
        Poll::Pending
    }

    /// What came late while we ourselves were away is nobody's fault.
    fn forgive(&mut self, late: Duration) {
        if late > AWAY {
            for feed in self.feeds.values_mut() {
                feed.health.forgive(late.into());
            }
        }
    }

    /// Writes what the source sent. Whether that was news for those who look.
    fn forward(&mut self, now: Timestamp) -> bool {
        let silent_since = self.splice.wrote();
        self.release(now);
        let groups = |batch: &[Event]| batch.iter().any(|e| matches!(e, Event::Group { .. }));
        let news = groups(&self.batch);
        let wrote = self.splice.forward(&mut self.batch, now);
        if wrote && let Some(mut switch) = self.entered.take() {
            switch.at = now;
            self.record(switch, silent_since, now);
        }
        news
    }

    fn record(&mut self, mut switch: Switch, silent_since: Option<Timestamp>, now: Timestamp) {
        switch.wall_silence = silent_since.map_or(Span::ZERO, |since| now - since);
        switch.lead = self.splice.timeline().lead();
        let switch = self.board.lock().history.add(switch);
        self.observer.switched(&switch);
    }

    fn obey(&mut self, order: Order, now: Timestamp) {
        match order {
            Order::Inputs(inputs) => {
                let gone = |id: &&InputId| !inputs.iter().any(|(i, _)| i == *id);
                let gone: Vec<_> = self.feeds.keys().filter(gone).cloned().collect();
                for id in &gone {
                    self.let_go(id, now);
                }
                self.selector.set_inputs(&inputs, now);
            }
            Order::Policy(policy) => self.selector.set_policy(policy),
            Order::Tolerate(all) => {
                self.tolerances = all;
                for (id, feed) in &mut self.feeds {
                    let tolerance = self.tolerances.get(id).copied().unwrap_or_default();
                    feed.health.set_tolerance(tolerance);
                }
            }
            Order::Bounds(bounds) => self.bound(bounds),
            Order::Feed(id, broadcast) => self.connect(id, broadcast, now),
            Order::Lost(id) => self.lose(&id, now),
            Order::Viewed(viewed) => self.selector.set_viewed(viewed),
            Order::Switch(id, answer) => {
                let _ = answer.send(self.selector.pin(&id));
            }
            Order::Release(answer) => {
                let _ = answer.send(self.selector.release());
            }
        }
    }

    fn bound(&mut self, bounds: Config) {
        self.splice.timeline_mut().configure(bounds);
        if let Some(active) = self.selector.active().cloned() {
            self.set_floors(&active);
        }
    }

    fn connect(&mut self, id: InputId, broadcast: Broadcast, now: Timestamp) {
        if self.selector.state(&id).is_none() {
            return;
        }
        if self.feeds.contains_key(&id) {
            self.lose(&id, now);
        }
        let mut feed = Feed::new(broadcast, FLOOR);
        let tolerance = self.tolerances.get(&id).copied().unwrap_or_default();
        feed.health.set_tolerance(tolerance);
        self.feeds.insert(id, feed);
    }

    /// The connection is over.
    fn lose(&mut self, id: &InputId, now: Timestamp) {
        let Some(feed) = self.let_go(id, now) else {
            return;
        };
        let wanted = self.selector.wants(id);
        let fault = if wanted { Fault::Closed } else { Fault::Absent };
        self.report(id, Some(fault), feed.health.last(), now);
    }

    /// Nothing more comes of this input; what it still has is written by [`Self::drain`].
    fn let_go(&mut self, id: &InputId, now: Timestamp) -> Option<Feed> {
        let active = self.selector.active() == Some(id);
        if active {
            self.note_clock();
            self.resume(now);
        }
        let feed = self.feeds.remove(id)?;
        if active {
            self.remains = feed.recent();
        }
        Some(feed)
    }

    /// Whether an input that is gone still feeds the programme.
    const fn drains(&self) -> bool {
        self.source.is_some() && self.selector.active().is_none()
    }

    /// All that an input sent is written, at its pace, though it is gone.
    fn drain(&mut self, now: Timestamp) {
        if self.drains() {
            self.catch_up(now);
            self.source.take_if(|_| self.early.is_empty());
        }
    }

    /// Takes note of what every input sent. Whether that was news for those who look.
    fn watch(&mut self, now: Timestamp) -> bool {
        let mut ended = Vec::new();
        let mut opened = Vec::new();
        for (id, feed) in &mut self.feeds {
            let news = feed.take(now);
            if news.groups > 0 {
                opened.push(Arc::clone(id));
            }
            if news.lost && self.selector.active() == Some(id) {
                self.splice.note_loss();
            }
            if news.ended {
                ended.push(Arc::clone(id));
            }
        }
        for id in &ended {
            self.lose(id, now);
        }
        for id in &opened {
            self.selector.opened(id);
            self.set_floors(id);
        }
        let turned = self.report_all(now);
        turned || !ended.is_empty()
    }

    fn report_all(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        let states: Vec<_> = self
            .feeds
            .iter()
            .map(|(id, feed)| (Arc::clone(id), feed.fault(now), feed.health.last()))
            .collect();
        for (id, fault, last) in states {
            any |= self.report(&id, fault, last, now);
        }
        any
    }

    fn report(
        &mut self,
        id: &InputId,
        fault: Option<Fault>,
        last: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let before = self.selector.state(id).map(|(fault, _)| fault);
        self.selector.report(id, fault, last, now);
        if before.is_some_and(|before| Condition::of(before) != Condition::of(fault)) {
            self.observer.turned(id, fault);
        }
        before.is_some_and(|before| before != fault)
    }

    /// A switch that costs nothing may be made sooner.
    fn set_floors(&mut self, opened: &InputId) {
        let Some(active) = self.selector.active().cloned() else {
            return;
        };
        let Some(feed) = self.feeds.get(&active) else {
            return;
        };
        let mut others = self.feeds.iter().filter(|(id, _)| **id != active);
        let equal = others.any(|(_, other)| other.seems_equal(feed));
        let transcoded = self.splice.timeline().continuity() == Continuity::Transcoded;
        let floor = |free| if free { FLOOR_FREE } else { FLOOR };
        let all = floor(equal || transcoded && self.selector.has_other(&active));
        if let Some(feed) = self.feeds.get_mut(&active) {
            feed.health.set_floors(all, floor(equal));
        }
        if *opened != active
            && let Some(feed) = self.feeds.get_mut(opened)
        {
            feed.health.set_floors(FLOOR, FLOOR);
        }
    }

    fn decide(&mut self, now: Timestamp) {
        let Some(choice) = self.selector.choose(now) else {
            self.pending = None;
            self.resume(now);
            return;
        };
        if self.pending.as_ref().is_none_or(|p| p.choice != choice) {
            self.resume(now);
            self.pending = Some(self.plan(choice, now));
        }
        if let Some(pending) = self.pending.take() {
            self.pending = self.try_enter(pending, now);
        }
        self.give_up(now);
    }

    /// What was expected does not come: the next random-access point is entered when it does, and
    /// the lead is repaid another time.
    fn give_up(&mut self, now: Timestamp) {
        let overdue = |p: &mut Pending| p.expected.is_some_and(|e| now >= e.at + LATE);
        if let Some(mut pending) = self.pending.take_if(overdue) {
            self.resume(now);
            pending.expected = None;
            pending.decided = now;
            self.pending = Some(pending);
        }
    }

    /// The present input goes on where it was to end: the hub still holds what was left out.
    fn resume(&mut self, now: Timestamp) {
        self.splice.stop_at(None);
        if !self.splice.is_cut() {
            return;
        }
        let Some(active) = self.selector.active().cloned() else {
            return;
        };
        let group = self.group_at_end(&active);
        if let Some((feed, group)) = self.feeds.get(&active).zip(group) {
            self.source = Some(feed.read_from(group));
            self.early.clear();
            self.splice.go_on();
            self.catch_up(now);
        }
    }

    fn plan(&mut self, choice: Choice, now: Timestamp) -> Pending {
        let active = self.selector.active().and_then(|id| self.feeds.get(id));
        let last = active
            .and_then(|feed| feed.health.last())
            .or_else(|| self.splice.wrote());
        let detection = last
            .filter(|_| !choice.voluntary && choice.reason != Reason::Available)
            .map_or(Span::ZERO, |last| now - last);
        let expected = self.expected(&choice);
        self.splice.stop_at(expected.map(|e| e.at));
        Pending {
            choice,
            detection,
            decided: now,
            expected,
            meet: None,
        }
    }

    /// A lead is repaid where the moment may be chosen: the programme ends where the other input's
    /// random-access point will be on UTC.
    fn expected(&self, choice: &Choice) -> Option<Expected> {
        let timeline = self.splice.timeline();
        let feed = self.feeds.get(&choice.to)?;
        if !choice.voluntary || timeline.lead() < self.worth_repaying(&choice.to) {
            return None;
        }
        let (at, interval) = feed.health.next_keyframe(timeline.end()?)?;
        let half = Span::from_nanos(interval.as_nanos() / 2);
        let from = at - half;
        Some(Expected { at, from })
    }

    fn try_enter(&mut self, mut pending: Pending, now: Timestamp) -> Option<Pending> {
        if self.drains() && pending.choice.reason != Reason::Manual {
            pending.decided = now;
            return Some(pending);
        }
        let to = &pending.choice.to;
        if let Some(manner) = self.by_bytes(to, now).or_else(|| self.by_utc(to, now)) {
            self.enter(pending, &manner, now);
            return None;
        }
        let Some(feed) = self.feeds.get(&pending.choice.to) else {
            return Some(pending);
        };
        if pending.choice.voluntary && !pending.is_due(feed.opened(), now) {
            return Some(pending);
        }
        match self.by_clock(&mut pending, now) {
            Way::Enter(manner) => {
                self.enter(pending, &manner, now);
                return None;
            }
            Way::Wait => return Some(pending),
            Way::None => {}
        }
        let feed = self.feeds.get(&pending.choice.to)?;
        let Some((cached, entry)) = self.by_group(feed, &pending, now) else {
            return Some(pending);
        };
        let waited = feed.opened().is_some_and(|at| at > pending.decided);
        let class = if waited { Class::Next } else { Class::Cached };
        let manner = Manner {
            class,
            group: Some(cached.id),
            replayed: cached.span,
            gap: entry.gap,
            pace: None,
        };
        self.splice.timeline_mut().enter(cached.dts, entry);
        self.enter(pending, &manner, now);
        None
    }

    /// The newest group; or the one before, where that began after the programme fell silent: what
    /// was shown between would be lost.
    fn by_group(&self, feed: &Feed, pending: &Pending, now: Timestamp) -> Option<(Cached, Entry)> {
        let timeline = self.splice.timeline();
        let enter = |cached: &Cached| {
            let entry = timeline.entry(cached.span, now);
            timeline.allows(entry.lead).then_some((*cached, entry))
        };
        let groups = feed.cached();
        let silent = self.splice.wrote().filter(|_| !pending.choice.voluntary);
        let begun = silent.and_then(|at| groups.iter().find(|g| g.opened <= at + AT_ONCE));
        begun
            .and_then(enter)
            .filter(|(_, entry)| !entry.gap)
            .or_else(|| groups.first().and_then(enter))
    }

    fn enter(&mut self, pending: Pending, manner: &Manner, now: Timestamp) {
        let Pending {
            choice, detection, ..
        } = pending;
        let Some(feed) = self.feeds.get(&choice.to) else {
            return;
        };
        // The one before was left before anything of it was shown.
        let unseen = self.entered.take_if(|s| s.class == Class::Overlap);
        self.early.clear();
        self.pace = manner.pace;
        self.left = None;
        self.source = manner.group.map(|id| feed.read_from(id));
        match manner.class {
            Class::Equal => self.splice.go_on(),
            _ => self.splice.turn(),
        }
        self.entered = Some(Switch {
            number: 0,
            at: now,
            from: self.fed_by.replace(Arc::clone(&choice.to)),
            to: Arc::clone(&choice.to),
            reason: choice.reason,
            voluntary: choice.voluntary,
            class: manner.class,
            detection,
            wall_silence: Span::ZERO,
            replayed: manner.replayed,
            lead: Span::ZERO,
            gap: manner.gap,
        });
        if let Some(unseen) = unseen {
            self.record(unseen, self.splice.wrote(), now);
        }
        self.remains.clear();
        self.selector.entered(&choice, now);
        self.catch_up(now);
        self.show();
    }

    /// Writes what the new source has already.
    fn catch_up(&mut self, now: Timestamp) {
        while self.early.is_empty()
            && let Some(source) = &mut self.source
            && source.try_next(&mut self.batch)
        {
            self.forward(now);
        }
    }

    fn arm(&mut self, now: Timestamp) {
        let feeds = self
            .feeds
            .values()
            .filter_map(|feed| feed.health.deadline(now));
        let due = feeds
            .chain(self.selector.deadline(now))
            .chain(self.due())
            .chain(self.pending.as_ref().and_then(|p| p.deadline(now)))
            .min();
        let Some(due) = due else {
            return;
        };
        let at = Instant::now() + (due - now).to_duration();
        // It may fire too early, which costs a look; a frame that came does not move it.
        if at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
    }

    fn show(&self) {
        let mut state = self.board.lock();
        state.active = self.selector.active().cloned();
        state.pinned = self.selector.pinned().cloned();
        state.counters = self.splice.timeline().counters();
        state.inputs = self
            .selector
            .states()
            .map(|(id, fault, since)| InputState {
                id: Arc::clone(id),
                fault,
                since,
                silent_after: self.feeds.get(id).and_then(|f| f.health.silence()),
            })
            .collect();
        state.slate = self.selector.shows_slate();
        drop(state);
        let wanted = self.selector.wanted();
        self.wanted.send_if_modified(|old| {
            let changed = **old != *wanted;
            if changed {
                *old = wanted.into();
            }
            changed
        });
    }
}

#[derive(Debug, Default)]
struct Woken {
    orders: Vec<Order>,
    late: Duration,
}

impl Pending {
    /// Whether the random-access point that was waited for has come. One that came too early is
    /// entered when it was expected, which repays less.
    fn is_due(&self, opened: Option<Timestamp>, now: Timestamp) -> bool {
        let from = match self.expected {
            None => self.decided,
            Some(expected) if now >= expected.at => expected.from,
            Some(expected) => expected.at - EARLY,
        };
        opened.is_some_and(|at| at >= from.max(self.decided))
    }

    /// When something is to be done though nothing comes.
    fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.expected?.at;
        [at, at + LATE].into_iter().find(|at| *at > now)
    }
}
