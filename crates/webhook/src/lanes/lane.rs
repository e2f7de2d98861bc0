//! One lane: its items in order, its pause, what of it is under way.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::room::{Room, Short};
use super::{Item, Settled};

const SHORTEST_PAUSE: i64 = 1_000;
const LONGEST_PAUSE: i64 = 300_000;
/// Of what a receiver asks for.
const LONGEST_AFTER: i64 = 3_600_000;

/// What becomes of what a lane has under way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Taken,
    Dead,
    OneByOne,
    /// Again, without anything held against the lane.
    Back,
    Again {
        after: i64,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) now_ms: i64,
    pub(super) jitter: f64,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) queue: VecDeque<Item>,
    bytes: usize,
    /// A request with items of it is under way.
    busy: bool,
    /// How many at the front of the queue are in that request.
    sent: usize,
    pub(super) failures: u32,
    pub(super) not_before: i64,
    /// Items up to this id go one by one.
    one_by_one: i64,
    /// The newest id that was held.
    pub(super) last: i64,
    /// The store has more of it.
    pub(super) short: Option<Short>,
}

impl Lane {
    pub(super) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            busy: false,
            sent: 0,
            failures: 0,
            not_before: i64::MIN,
            one_by_one: i64::MIN,
            last: i64::MIN,
            short: None,
        }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.payload.len();
        self.last = item.id;
        self.queue.push_back(item);
    }

    pub(super) fn held(&self) -> Room {
        Room {
            items: self.queue.len(),
            bytes: self.bytes,
        }
    }

    /// Whether something of it could be sent, but for its pause.
    pub(super) fn is_idle(&self) -> bool {
        !self.busy && !self.queue.is_empty()
    }

    /// Whether nothing has to be known of it.
    pub(super) fn is_done(&self) -> bool {
        !self.busy && self.queue.is_empty() && self.short.is_none()
    }

    pub(super) const fn due(&self, now_ms: i64) -> i64 {
        due(self.not_before, now_ms)
    }

    pub(super) fn is_one_by_one(&self) -> bool {
        self.queue
            .front()
            .is_some_and(|item| item.id <= self.one_by_one)
    }

    /// Copies of the first items, which are under way from now on.
    pub(super) fn send(&mut self, count: usize, now_ms: i64) -> Vec<Item> {
        self.busy = true;
        self.sent = count;
        let front = self.queue.iter_mut().take(count);
        let sent = front.map(|item| {
            item.attempts = item.attempts.saturating_add(1);
            item.first.get_or_insert(now_ms);
            item.clone()
        });
        sent.collect()
    }

    pub(super) fn settle(&mut self, fate: Fate, now: Now, retry_for: i64, out: &mut Settled) {
        match fate {
            Fate::Taken => {
                self.failures = 0;
                self.not_before = i64::MIN;
                out.taken.extend(self.drop_front(self.sent));
            }
            Fate::Dead => out.dead.extend(self.drop_front(self.sent)),
            Fate::Back => {}
            Fate::OneByOne => {
                let last = self.queue.iter().take(self.sent).last();
                self.one_by_one = last.map_or(self.one_by_one, |item| item.id);
            }
            Fate::Again { after } => {
                self.failures = self.failures.saturating_add(1);
                let wait = after.max(pause(self.failures, now.jitter));
                self.not_before = now.now_ms + wait;
                let expired = self.expired(now.now_ms, retry_for);
                out.dead.extend(self.drop_front(expired));
            }
        }
        out.again
            .extend(self.queue.iter().take(self.sent).map(|i| i.id));
        self.sent = 0;
        self.busy = false;
    }

    /// How many have been tried for too long. One behind another that has not stays: it would end
    /// before its time in the order.
    fn expired(&self, now_ms: i64, retry_for: i64) -> usize {
        let sent = self.queue.iter().take(self.sent);
        let tried = sent.map(|item| now_ms.saturating_sub(item.first.unwrap_or(now_ms)));
        tried.take_while(|tried| *tried >= retry_for).count()
    }

    fn drop_front(&mut self, count: usize) -> Vec<i64> {
        let dropped: Vec<_> = self.queue.drain(..count).collect();
        self.sent -= count;
        self.bytes -= dropped.iter().map(|item| item.payload.len()).sum::<usize>();
        dropped.into_iter().map(|item| item.id).collect()
    }

    pub(super) fn forget(&mut self, ids: &HashSet<i64>) {
        let sent = self.queue.iter().take(self.sent);
        self.sent -= sent.filter(|item| ids.contains(&item.id)).count();
        self.queue.retain(|item| !ids.contains(&item.id));
        self.bytes = self.queue.iter().map(|item| item.payload.len()).sum();
    }

    pub(super) const fn resume(&mut self) {
        self.failures = 0;
        self.not_before = i64::MIN;
    }
}

/// When a pause ends. One that is longer than any can be comes of a clock that was set back: it is
/// over.
pub(super) const fn due(not_before: i64, now_ms: i64) -> i64 {
    if not_before.saturating_sub(now_ms) > LONGEST_AFTER {
        return now_ms;
    }
    not_before
}

/// 1 s after the first failure, then twice as long each time up to 5 min; of that, a half to the
/// whole.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(super) fn pause(failures: u32, jitter: f64) -> i64 {
    let doublings = failures.saturating_sub(1).min(16);
    let half = (SHORTEST_PAUSE << doublings).min(LONGEST_PAUSE) / 2;
    half + (half as f64 * jitter.clamp(0.0, 1.0)) as i64
}

/// In ms, bounded.
pub(super) fn millis(after: Option<Duration>) -> i64 {
    let ms = after.unwrap_or_default().as_millis();
    i64::try_from(ms).unwrap_or(i64::MAX).min(LONGEST_AFTER)
}
