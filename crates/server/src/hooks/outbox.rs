//! What became of deliveries, on its way to the database: a little later than it happened, in few
//! transactions. What is lost on the way is delivered twice, which receivers know by its id.

use std::collections::BTreeMap;

use store::Store;
use webhook::Settled;

use crate::runtime::utc_ms;

/// Dead letters that are kept of one hook.
const DEAD: i64 = 10_000;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    taken: Vec<i64>,
    /// By what went wrong.
    dead: BTreeMap<String, Vec<i64>>,
    again: BTreeMap<String, Vec<i64>>,
    /// When the first of those that were not tried before was.
    tried_ms: Option<i64>,
}

impl Outbox {
    pub(super) fn add(&mut self, settled: &Settled, error: &str) {
        self.taken.extend(&settled.taken);
        for (kept, ids) in [
            (&mut self.dead, &settled.dead),
            (&mut self.again, &settled.again),
        ] {
            if !ids.is_empty() {
                kept.entry(error.to_owned()).or_default().extend(ids);
            }
        }
        if !settled.again.is_empty() {
            self.tried_ms.get_or_insert_with(utc_ms);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.dead.is_empty() && self.again.is_empty()
    }

    /// What could not be written stays.
    pub(super) async fn write(&mut self, store: &Store, hook: &str) -> Result<(), store::Error> {
        if !self.taken.is_empty() {
            store.delivered(hook, &self.taken).await?;
            self.taken.clear();
        }
        while let Some((error, ids)) = self.again.first_key_value() {
            let first = self.tried_ms.unwrap_or_else(utc_ms);
            store.failed(hook, ids, first, error).await?;
            self.again.pop_first();
        }
        self.tried_ms = None;
        let buries = !self.dead.is_empty();
        while let Some((error, ids)) = self.dead.first_key_value() {
            store.buried(hook, ids, utc_ms(), error).await?;
            self.dead.pop_first();
        }
        if buries {
            store.shed_dead(hook, DEAD).await?;
        }
        Ok(())
    }
}

pub(super) const fn most_dead() -> u64 {
    DEAD as u64
}
