//! Which items a batch is of.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::lane::Lane;
use super::{Config, Item, Lanes};

/// How many of each lane's first items go together.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub(super) runs: Vec<(Arc<str>, usize)>,
    /// Nothing that comes could still join it.
    pub(super) is_full: bool,
}

impl Lanes {
    /// Items in the order of ids, of whatever lane, until there are enough. Lanes that failed or are
    /// under suspicion go by themselves: what makes one request fail holds up its own lane alone.
    pub(super) fn pick(&self, now_ms: i64) -> Picked {
        let ready = |lane: &Lane| lane.is_idle() && lane.due(now_ms) <= now_ms;
        let lanes = self.lanes.iter().filter(|(_, lane)| ready(lane));
        let mut runs: Vec<Run<'_>> = lanes.map(Run::new).collect();
        if self.circuit.is_failing() {
            // The one whose failure is the longest ago: not the one that makes it fail over and over.
            let first = runs.into_iter().min_by_key(Run::patience);
            return first.map_or_else(Picked::default, |run| run.alone(&self.config));
        }
        let heads = runs.iter().enumerate();
        let heads = heads.filter_map(|(at, run)| Some(Reverse((run.head()?.id, at))));
        let heads: BinaryHeap<_> = heads.collect();
        match heads.peek() {
            Some(&Reverse((_, at))) if runs[at].is_alone() => {
                runs.swap_remove(at).alone(&self.config)
            }
            _ => self.merge(runs, heads),
        }
    }

    fn merge(
        &self,
        mut runs: Vec<Run<'_>>,
        mut heads: BinaryHeap<Reverse<(i64, usize)>>,
    ) -> Picked {
        let mut budget = Budget::new(&self.config, self.config.max_batch);
        while let Some(Reverse((_, at))) = heads.pop() {
            let run = &mut runs[at];
            if run.is_alone() || !run.head().is_some_and(|item| budget.take(item)) {
                budget.is_spent = true;
                break;
            }
            run.count += 1;
            heads.extend(run.head().map(|item| Reverse((item.id, at))));
        }
        let runs = runs.into_iter().filter(|run| run.count > 0);
        Picked {
            runs: runs.map(|run| (Arc::clone(run.name), run.count)).collect(),
            is_full: budget.is_spent,
        }
    }
}

/// The first items of a lane that is ready.
struct Run<'a> {
    name: &'a Arc<str>,
    lane: &'a Lane,
    count: usize,
}

impl<'a> Run<'a> {
    const fn new((name, lane): (&'a Arc<str>, &'a Lane)) -> Self {
        let count = 0;
        Self { name, lane, count }
    }

    fn head(&self) -> Option<&'a Item> {
        self.lane.queue.get(self.count)
    }

    fn patience(&self) -> (i64, Option<i64>) {
        (self.lane.not_before, self.head().map(|item| item.id))
    }

    fn is_alone(&self) -> bool {
        self.count == 0 && (self.lane.failures > 0 || self.lane.is_one_by_one())
    }

    /// Half as many after each failure, so that one that fails is found without holding up the rest.
    fn alone(mut self, config: &Config) -> Picked {
        let most = match self.lane.is_one_by_one() {
            true => 1,
            false => config
                .max_batch
                .checked_shr(self.lane.failures)
                .unwrap_or(0),
        };
        let mut budget = Budget::new(config, most);
        while self.head().is_some_and(|item| budget.take(item)) {
            self.count += 1;
        }
        Picked {
            runs: vec![(Arc::clone(self.name), self.count)],
            is_full: true,
        }
    }
}

/// What still goes into a batch. The first item always does.
struct Budget {
    items: usize,
    bytes: usize,
    is_untouched: bool,
    is_spent: bool,
}

impl Budget {
    const fn new(config: &Config, items: usize) -> Self {
        Self {
            items,
            bytes: config.batch_bytes,
            is_untouched: true,
            is_spent: false,
        }
    }

    fn take(&mut self, item: &Item) -> bool {
        let size = item.payload.len();
        if self.is_spent || (!self.is_untouched && size > self.bytes) {
            return false;
        }
        self.is_untouched = false;
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        self.is_spent = self.items == 0 || self.bytes == 0;
        true
    }
}
