//! What was told, and what of it arrived: nothing may miss, nothing may overtake.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::receiver::Asked;

/// An event, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: u64,
    /// Empty: the server.
    pub(super) stream: String,
    pub(super) seq: u64,
    pub(super) kind: String,
    pub(super) time_ms: u64,
    pub(super) data: Value,
}

impl Told {
    pub(super) fn read(value: &Value) -> anyhow::Result<Self> {
        let number = |name: &str| {
            let number = value[name].as_u64();
            number.with_context(|| format!("no {name}: {value}"))
        };
        Ok(Self {
            id: number("id")?,
            stream: value["stream"].as_str().unwrap_or_default().to_owned(),
            seq: number("seq")?,
            kind: value["type"].as_str().context("no type")?.to_owned(),
            time_ms: number("time_ms")?,
            data: value["data"].clone(),
        })
    }

    /// What is told of a hook is not told to that hook.
    pub(super) fn is_about(&self, hook: &str) -> bool {
        self.kind.starts_with("hook.") && self.data["hook"] == hook
    }
}

/// What became of everything that one hook wants.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Events that were wanted.
    pub(super) wanted: usize,
    /// Events in all requests.
    pub(super) arrived: usize,
    /// Of them, those that had arrived before.
    pub(super) again: usize,
    /// Of them, those that had been taken before.
    pub(super) twice: usize,
    /// Wanted, and never taken.
    pub(super) missing: Vec<u64>,
    /// Taken, and wanted by nobody.
    pub(super) strangers: Vec<u64>,
    /// Arrived for the first time after a later one of the same stream.
    pub(super) late: Vec<u64>,
    /// One event, several ids of deliveries.
    pub(super) renamed: Vec<u64>,
}

impl Account {
    /// `excused` are those that were refused for good once, and may come late.
    pub(super) fn of(
        wanted: &[Told],
        asked: &[Asked],
        excused: &BTreeSet<u64>,
    ) -> anyhow::Result<Self> {
        let mut account = Self {
            wanted: wanted.len(),
            ..Self::default()
        };
        let (mut names, mut newest) = (HashMap::new(), BTreeMap::new());
        let mut taken = BTreeSet::new();
        for request in asked {
            let events = request.events()?;
            let single = events.len() == 1;
            for event in events {
                account.arrived += 1;
                let known = names.entry(event.id);
                let first = matches!(known, std::collections::hash_map::Entry::Vacant(_));
                let name = known.or_insert_with(|| request.id.clone());
                account.again += usize::from(!first);
                // A batch that is cut anew is another delivery.
                if single && !name.contains('-') && *name != request.id {
                    account.renamed.push(event.id);
                }
                let most: &mut u64 = newest.entry(event.stream).or_default();
                if first && event.seq < *most && !excused.contains(&event.id) {
                    account.late.push(event.id);
                }
                *most = event.seq.max(*most);
                if request.is_taken() {
                    account.twice += usize::from(!taken.insert(event.id));
                }
            }
        }
        let ids: BTreeSet<_> = wanted.iter().map(|event| event.id).collect();
        account.missing = ids.difference(&taken).copied().collect();
        account.strangers = taken.difference(&ids).copied().collect();
        Ok(account)
    }

    pub(super) const HEAD: &str = "| hook | wanted | arrived | again | taken twice | missing | out of order | renamed | strangers |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|";

    pub(super) fn row(&self, hook: &str) -> String {
        format!(
            "| {hook} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.wanted,
            self.arrived,
            self.again,
            self.twice,
            self.missing.len(),
            self.late.len(),
            self.renamed.len(),
            self.strangers.len()
        )
    }

    pub(super) fn holds(&self, hook: &str) -> anyhow::Result<()> {
        let wrong = [
            ("missing", &self.missing),
            ("out of order", &self.late),
            ("of several ids", &self.renamed),
            ("strangers", &self.strangers),
        ];
        for (what, ids) in wrong {
            let some: Vec<_> = ids.iter().take(10).collect();
            ensure!(
                ids.is_empty(),
                "{hook}: {} {what}, such as {some:?}",
                ids.len()
            );
        }
        ensure!(self.wanted > 0, "{hook}: nothing was told");
        Ok(())
    }
}

/// Ids count from 1 without holes, and so do the events of each stream.
pub(super) fn without_holes(history: &[Told]) -> anyhow::Result<()> {
    let mut next: HashMap<&str, u64> = HashMap::new();
    for (event, id) in history.iter().zip(1..) {
        ensure!(event.id == id, "{} stands where {id} should", event.id);
        let seq = next.entry(event.stream.as_str()).or_default();
        *seq += 1;
        ensure!(
            event.seq == *seq,
            "{id} is {} of {:?}, not {seq}",
            event.seq,
            event.stream
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::time::Instant;

    fn event(id: u64, stream: &str, seq: u64) -> Value {
        json!({"id": id, "version": 1, "time_ms": 1, "stream": stream, "seq": seq, "type": "input.up", "data": {}})
    }

    fn asked(id: &str, status: u16, body: &Value) -> Asked {
        Asked {
            at: Instant::now(),
            path: String::new(),
            id: id.to_owned(),
            timestamp: String::new(),
            signature: String::new(),
            body: body.to_string().into(),
            status,
        }
    }

    #[test]
    fn what_misses_overtakes_or_is_renamed_shows() {
        let all = [event(1, "a", 1), event(2, "a", 2), event(3, "b", 1)];
        let told: Vec<_> = all.iter().map(|e| Told::read(e).unwrap()).collect();
        without_holes(&told).unwrap();
        assert!(without_holes(&told[1..]).is_err());

        let good = [
            asked("h.1", 500, &all[0]),
            asked("h.3", 200, &json!([all[2]])),
            asked("h.1", 200, &all[0]),
            asked("h.2", 200, &all[1]),
            asked("h.2", 200, &all[1]),
        ];
        let account = Account::of(&told, &good, &BTreeSet::new()).unwrap();
        account.holds("good").unwrap();
        assert_eq!((account.again, account.twice), (2, 1));

        let bad = [asked("h.2", 200, &all[1]), asked("h.1", 400, &all[0])];
        let account = Account::of(&told, &bad, &BTreeSet::new()).unwrap();
        assert_eq!(
            (&account.missing[..], &account.late[..]),
            (&[1, 3][..], &[1][..])
        );
        let account = Account::of(&told, &bad, &BTreeSet::from([1])).unwrap();
        assert!(account.late.is_empty());
    }
}
