//! Whatever happens: every item ends once, in the order of its lane, within the bounds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use webhook::{Batch, Config, Item, Lanes, Room, Settled, Starved, Verdict};

const ITEM: usize = 8;

#[derive(Debug, Clone, Copy)]
enum Step {
    Emit {
        lane: u8,
        size: usize,
    },
    Send,
    Settle {
        which: Index,
        verdict: Verdict,
        jitter: f64,
    },
    Wait(i64),
    /// A read of the store begins.
    Ask,
    /// One that began ends; what was stored meanwhile is not in it.
    Read {
        which: Index,
        fails: bool,
    },
    Discard(Index),
    Replace,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let verdict = prop_oneof![
        4 => Just(Verdict::Taken),
        3 => Just(Verdict::Again { after: None }),
        1 => (0..900u64).prop_map(|s| Verdict::Again { after: Some(Duration::from_secs(s)) }),
        2 => Just(Verdict::Never),
    ];
    prop_oneof![
        8 => (0..5u8, 0..ITEM).prop_map(|(lane, size)| Step::Emit { lane, size }),
        8 => Just(Step::Send),
        8 => (index(), verdict, 0.0..1.0).prop_map(|(which, verdict, jitter)| Step::Settle { which, verdict, jitter }),
        4 => prop_oneof![0..3000i64, 0..400_000i64].prop_map(Step::Wait),
        3 => Just(Step::Ask),
        3 => (index(), any::<bool>()).prop_map(|(which, fails)| Step::Read { which, fails }),
        1 => index().prop_map(Step::Discard),
        1 => Just(Step::Replace),
        1 => Just(Step::Restart),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let bounds = (1..7usize, 1..30usize, 1..4usize, 0..500i64, 0..2_000_000i64);
    let rooms = (1..20usize, ITEM..100, 1..8usize, ITEM..50);
    (bounds, rooms).prop_map(|(bounds, rooms)| Config {
        max_batch: bounds.0,
        batch_bytes: bounds.1,
        concurrency: bounds.2,
        max_wait_ms: bounds.3,
        retry_for_ms: bounds.4,
        room: Room {
            items: rooms.0,
            bytes: rooms.1,
        },
        lane_room: Room {
            items: rooms.2,
            bytes: rooms.3,
        },
    })
}

/// A store, a receiver, and what was seen of both.
struct World {
    config: Config,
    lanes: Lanes,
    now: i64,
    emitted: i64,
    /// What has not ended.
    store: BTreeMap<i64, Item>,
    under_way: Vec<Batch>,
    reads: Vec<(Starved, Vec<Item>, bool)>,
    ended: HashMap<Arc<str>, Vec<i64>>,
    discarded: BTreeSet<i64>,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            lanes: Lanes::new(config.clone()),
            config,
            now: 1_000_000,
            emitted: 0,
            store: BTreeMap::new(),
            under_way: Vec::new(),
            reads: Vec::new(),
            ended: HashMap::new(),
            discarded: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Emit { lane, size } => self.emit(lane, size),
            Step::Send => drop(self.send()),
            Step::Settle {
                which,
                verdict,
                jitter,
            } if !self.under_way.is_empty() => {
                let batch = self.under_way.remove(which.index(self.under_way.len()));
                self.settle(&batch, verdict, jitter);
            }
            Step::Wait(ms) => self.now += ms,
            Step::Ask => drop(self.ask()),
            Step::Read { which, fails } if !self.reads.is_empty() => {
                self.read(which.index(self.reads.len()), fails);
            }
            Step::Discard(which) if !self.store.is_empty() => {
                let id = *self
                    .store
                    .keys()
                    .nth(which.index(self.store.len()))
                    .unwrap();
                self.store.remove(&id);
                self.discarded.insert(id);
                self.lanes.forget(&[id]);
            }
            Step::Replace => self.lanes.replaced(),
            Step::Restart => self.restart(),
            _ => {}
        }
        let (held, room) = (self.lanes.held(), self.config.room);
        assert!(
            held.items <= room.items && held.bytes <= room.bytes,
            "{held:?}"
        );
        assert!(self.lanes.under_way() <= self.config.concurrency);
    }

    fn emit(&mut self, lane: u8, size: usize) {
        self.emitted += 1;
        let item = Item {
            id: self.emitted,
            lane: Arc::from(format!("lane {lane}")),
            attempts: 0,
            first: None,
            payload: Bytes::from(vec![b'x'; size]),
        };
        self.store.insert(item.id, item.clone());
        self.lanes.offer(item);
    }

    fn send(&mut self) -> bool {
        let was_failing = self.lanes.is_failing();
        let Some(batch) = self.lanes.next(self.now) else {
            let later = self.lanes.deadline(self.now);
            assert!(later.is_none_or(|due| due > self.now), "nothing, yet due");
            return false;
        };
        self.check(&batch);
        assert!(
            !was_failing || self.under_way.is_empty(),
            "more than one probe"
        );
        self.under_way.push(batch);
        true
    }

    /// It is of the oldest ones of lanes of which nothing is under way.
    fn check(&self, batch: &Batch) {
        let ids: Vec<_> = batch.items.iter().map(|item| item.id).collect();
        assert!(ids.is_sorted() && !ids.is_empty() && ids.len() <= self.config.max_batch);
        let bytes: usize = batch.items.iter().map(|item| item.payload.len()).sum();
        assert!(bytes <= self.config.batch_bytes || ids.len() == 1);
        let mut lanes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for item in &batch.items {
            lanes.entry(&item.lane).or_default().push(item.id);
        }
        let busy = self.under_way.iter().flat_map(|batch| &batch.items);
        let busy: BTreeSet<_> = busy.map(|item| &item.lane).collect();
        for (lane, ids) in lanes {
            assert!(!busy.contains(lane), "{lane} is busy");
            let oldest = self.store.values().filter(|item| &item.lane == lane);
            let oldest: Vec<_> = oldest.map(|item| item.id).take(ids.len()).collect();
            assert_eq!(ids, oldest, "{lane}");
        }
    }

    fn settle(&mut self, batch: &Batch, verdict: Verdict, jitter: f64) {
        let Settled { taken, dead, again } = self.lanes.settle(batch.id, verdict, self.now, jitter);
        let all = [&taken[..], &dead, &again].concat();
        let told: BTreeSet<_> = all.iter().copied().collect();
        let sent = batch.items.iter().map(|item| item.id);
        let sent: BTreeSet<_> = sent.filter(|id| !self.discarded.contains(id)).collect();
        assert_eq!((told, all.len()), (sent.clone(), sent.len()));
        for id in [taken, dead].concat() {
            let item = self.store.remove(&id).expect("it ended before");
            self.ended.entry(item.lane).or_default().push(id);
        }
        for id in again {
            let sent = batch.items.iter().find(|item| item.id == id).unwrap();
            self.store.insert(id, sent.clone());
        }
    }

    fn ask(&mut self) -> bool {
        let Some(starved) = self.lanes.starved() else {
            return false;
        };
        let missing = self.store.range(starved.after + 1..).map(|(_, item)| item);
        let missing = missing.filter(|item| item.lane == starved.lane);
        let mut found: Vec<_> = missing.cloned().collect();
        let more = found.len() > starved.items;
        found.truncate(starved.items);
        self.reads.push((starved, found, more));
        true
    }

    fn read(&mut self, which: usize, fails: bool) {
        let (starved, found, more) = self.reads.remove(which);
        match fails {
            true => self.lanes.refill(&starved.lane, Vec::new(), true),
            // What was discarded after the read would be sent, which no order forbids.
            false => {
                let found = found
                    .into_iter()
                    .filter(|item| self.store.contains_key(&item.id));
                self.lanes.refill(&starved.lane, found.collect(), more);
            }
        }
    }

    /// Nothing is known of what was under way.
    fn restart(&mut self) {
        self.lanes = Lanes::new(self.config.clone());
        self.under_way.clear();
        self.reads.clear();
        let lanes: BTreeSet<_> = self
            .store
            .values()
            .map(|item| Arc::clone(&item.lane))
            .collect();
        for lane in lanes {
            self.lanes.behind(lane, 0);
        }
    }

    /// From now on the receiver takes everything, and time passes.
    fn finish(&mut self) {
        loop {
            let mut moved = false;
            while let Some(batch) = self.under_way.pop() {
                self.settle(&batch, Verdict::Taken, 0.5);
            }
            while !self.reads.is_empty() || self.ask() {
                self.read(0, false);
                moved = true;
            }
            moved |= self.send();
            if !moved && self.under_way.is_empty() {
                let Some(due) = self.lanes.deadline(self.now) else {
                    break;
                };
                self.now = due;
            }
        }
        assert!(self.store.is_empty(), "left: {:?}", self.store);
        assert_eq!(self.lanes.held(), Room::default());
        let ended: usize = self.ended.values().map(Vec::len).sum();
        assert_eq!(
            ended + self.discarded.len(),
            usize::try_from(self.emitted).unwrap()
        );
        for (lane, ids) in &self.ended {
            assert!(ids.is_sorted_by(|a, b| a < b), "{lane}: {ids:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_item_ends_once_and_in_order(config in config(), steps in vec(step(), 0..300)) {
        let mut world = World::new(config);
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}
