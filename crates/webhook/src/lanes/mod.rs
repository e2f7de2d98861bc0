//! What is sent when: in order per lane, in batches, again until it is taken. Without clock or socket.
//!
//! In one lane one request is under way at most, so that what a receiver sees of it is in order. A
//! lane that failed pauses by itself; a receiver that fails whoever is sent to it is asked by one
//! request at a time. Times are in ms since the epoch.

mod circuit;
mod lane;
mod pick;
mod room;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

pub use self::room::{Room, Starved};
use crate::verdict::Verdict;
use circuit::Circuit;
use lane::{Fate, Lane, Now};

/// Something to deliver. A clone shares the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place: ids grow, over all lanes.
    pub id: i64,
    /// What it is in order with.
    pub lane: Arc<str>,
    /// How often it was sent; in a batch, that one included.
    pub attempts: u32,
    /// When it was sent first.
    pub first: Option<i64>,
    /// What is sent.
    pub payload: Bytes,
}

/// How to deliver.
#[derive(Debug, Clone)]
pub struct Config {
    /// Items in a batch.
    pub max_batch: usize,
    /// Bytes of payload in a batch; a larger item goes alone.
    pub batch_bytes: usize,
    /// How long a batch that is not full waits for more, in ms.
    pub max_wait_ms: i64,
    /// Batches under way at once.
    pub concurrency: usize,
    /// How long after its first attempt an item is given up, in ms.
    pub retry_for_ms: i64,
    /// What is held in all. An item that is larger is held where there is nothing else.
    pub room: Room,
    /// What is held of one lane, likewise.
    pub lane_room: Room,
}

/// What goes out in one request, in the order of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// For [`Lanes::settle`].
    pub id: u64,
    /// At least one.
    pub items: Vec<Item>,
}

/// What became of a batch: ids, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Delivered, and forgotten here.
    pub taken: Vec<i64>,
    /// Given up, and forgotten here.
    pub dead: Vec<i64>,
    /// Kept: they are sent again.
    pub again: Vec<i64>,
}

/// What waits for one receiver, and what is under way to it.
#[derive(Debug)]
pub struct Lanes {
    config: Config,
    lanes: BTreeMap<Arc<str>, Lane>,
    held: Room,
    under_way: HashMap<u64, UnderWay>,
    circuit: Circuit,
    /// Since when a batch waits to be full.
    waiting: Option<i64>,
    next_batch: u64,
    /// How often the receiver was replaced.
    target: u64,
}

#[derive(Debug)]
struct UnderWay {
    lanes: Vec<Arc<str>>,
    items: usize,
    /// Whether it was sent to find out if the receiver is back.
    is_probe: bool,
    target: u64,
}

impl Lanes {
    /// Nothing waits. What a store holds is told by [`Lanes::behind`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            lanes: BTreeMap::new(),
            held: Room::default(),
            under_way: HashMap::new(),
            circuit: Circuit::default(),
            waiting: None,
            next_batch: 0,
            target: 0,
        }
    }

    /// The next batch to send, where one is due.
    pub fn next(&mut self, now_ms: i64) -> Option<Batch> {
        if self.is_busy() || self.circuit.due(now_ms) > now_ms {
            return None;
        }
        let picked = self.pick(now_ms);
        if picked.runs.is_empty() {
            self.waiting = None;
            return None;
        }
        if !picked.is_full && self.waits(now_ms) {
            return None;
        }
        self.waiting = None;
        Some(self.send(picked.runs, now_ms))
    }

    fn is_busy(&self) -> bool {
        self.under_way.len() >= self.circuit.concurrency(self.config.concurrency)
    }

    fn waits(&mut self, now_ms: i64) -> bool {
        let since = self.waiting.map_or(now_ms, |since| since.min(now_ms));
        self.waiting = Some(since);
        now_ms.saturating_sub(since) < self.config.max_wait_ms
    }

    fn send(&mut self, runs: Vec<(Arc<str>, usize)>, now_ms: i64) -> Batch {
        let mut items = Vec::new();
        for (name, count) in &runs {
            if let Some(lane) = self.lanes.get_mut(name) {
                items.extend(lane.send(*count, now_ms));
            }
        }
        items.sort_unstable_by_key(|item| item.id);
        let id = self.next_batch;
        self.next_batch += 1;
        let under_way = UnderWay {
            lanes: runs.into_iter().map(|(name, _)| name).collect(),
            items: items.len(),
            is_probe: self.circuit.is_failing(),
            target: self.target,
        };
        self.under_way.insert(id, under_way);
        Batch { id, items }
    }

    /// When [`Lanes::next`] may have something, if nothing else happens until then.
    #[must_use]
    pub fn deadline(&self, now_ms: i64) -> Option<i64> {
        if self.is_busy() {
            return None;
        }
        let dues = self.lanes.values().filter(|lane| lane.is_idle());
        let due = dues.map(|lane| lane.due(now_ms)).min()?;
        let due = due.max(self.circuit.due(now_ms)).max(now_ms);
        match self.waiting {
            Some(since) if due == now_ms && !self.pick(now_ms).is_full => {
                let full = since.min(now_ms).saturating_add(self.config.max_wait_ms);
                Some(full.max(now_ms))
            }
            _ => Some(due),
        }
    }

    /// Says what came of a batch. `jitter`, of 0 to 1, spreads the pause that follows a failure. A
    /// batch that is not known, or settled already, does nothing.
    pub fn settle(&mut self, batch: u64, verdict: Verdict, now_ms: i64, jitter: f64) -> Settled {
        let mut settled = Settled::default();
        let Some(sent) = self.under_way.remove(&batch) else {
            return settled;
        };
        let now = Now { now_ms, jitter };
        let fate = self.fate(&sent, verdict, now);
        for name in &sent.lanes {
            if let Some(lane) = self.lanes.get_mut(name) {
                let before = lane.held();
                lane.settle(fate, now, self.config.retry_for_ms, &mut settled);
                self.held.shrink(before, lane.held());
            }
            self.tidy(name);
        }
        settled.sort();
        settled
    }

    fn fate(&mut self, sent: &UnderWay, verdict: Verdict, now: Now) -> Fate {
        let is_other = sent.target != self.target;
        match verdict {
            Verdict::Taken => {
                if !is_other {
                    self.circuit = Circuit::default();
                }
                Fate::Taken
            }
            // What another receiver did not want, this one may.
            _ if is_other => Fate::Back,
            // One of them may be what it does not want.
            Verdict::Never if sent.items > 1 => Fate::OneByOne,
            Verdict::Never => Fate::Dead,
            Verdict::Again { after } => {
                let after = lane::millis(after);
                self.circuit.failed(sent.is_probe, after, now);
                Fate::Again { after }
            }
        }
    }

    fn tidy(&mut self, name: &str) {
        if self.lanes.get(name).is_some_and(Lane::is_done) {
            self.lanes.remove(name);
        }
    }

    /// The receiver is another one, or was mended: all pauses end.
    pub fn replaced(&mut self) {
        self.target += 1;
        self.circuit = Circuit::default();
        self.lanes.values_mut().for_each(Lane::resume);
    }

    /// Drops items that were discarded elsewhere. Those under way still arrive, but nothing is said of
    /// them later.
    pub fn forget(&mut self, ids: &[i64]) {
        let ids: HashSet<i64> = ids.iter().copied().collect();
        for lane in self.lanes.values_mut() {
            let before = lane.held();
            lane.forget(&ids);
            self.held.shrink(before, lane.held());
        }
        self.lanes.retain(|_, lane| !lane.is_done());
    }

    /// Whether the receiver counts as failing: five failures in a row, and nothing taken since.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.circuit.is_failing()
    }

    /// Requests under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// What is held, under way or not.
    #[must_use]
    pub const fn held(&self) -> Room {
        self.held
    }
}

impl Settled {
    fn sort(&mut self) {
        for ids in [&mut self.taken, &mut self.dead, &mut self.again] {
            ids.sort_unstable();
        }
    }
}
