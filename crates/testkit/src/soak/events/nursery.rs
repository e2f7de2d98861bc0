//! Streams that encoders made, as events tell of them: how many at a time, and how fast.

use std::collections::{BTreeMap, HashMap};

use anyhow::ensure;

use super::account::Told;

const MINUTE_MS: u64 = 60_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) per_address: usize,
    pub(super) in_all: usize,
    pub(super) per_minute: usize,
}

/// The most that there ever were.
#[derive(Debug, Default)]
pub(super) struct Lives {
    made: usize,
    gone: usize,
    at_once: usize,
    of_address: usize,
    in_a_minute: usize,
}

impl Lives {
    pub(super) fn of(history: &[Told]) -> Self {
        let (mut lives, mut alive) = (Self::default(), HashMap::new());
        let mut times = Vec::new();
        for event in history {
            match event.kind.as_str() {
                "stream.runtime_created" => {
                    times.push(event.time_ms);
                    alive.insert(&event.stream, event.data["peer"].to_string());
                    lives.count(&alive);
                }
                "stream.runtime_expired" | "stream.promoted" => {
                    lives.gone += 1;
                    alive.remove(&event.stream);
                }
                _ => {}
            }
        }
        lives.made = times.len();
        let within = |from: u64| {
            let minute = from..from + MINUTE_MS;
            times.iter().filter(|at| minute.contains(at)).count()
        };
        let most = times.iter().map(|from| within(*from)).max();
        lives.in_a_minute = most.unwrap_or(0);
        lives
    }

    fn count(&mut self, alive: &HashMap<&String, String>) {
        let mut by_address: BTreeMap<&str, usize> = BTreeMap::new();
        for address in alive.values() {
            *by_address.entry(address).or_default() += 1;
        }
        let most = by_address.values().max().copied().unwrap_or(0);
        self.of_address = self.of_address.max(most);
        self.at_once = self.at_once.max(alive.len());
    }

    pub(super) fn line(&self) -> String {
        format!(
            "- streams made: {}, gone or promoted: {}; at a time {} at most, {} of one address; {} in the worst minute",
            self.made, self.gone, self.at_once, self.of_address, self.in_a_minute
        )
    }

    /// What a bucket holds comes on top of what runs into it.
    pub(super) fn hold(&self, limits: Limits) -> anyhow::Result<()> {
        ensure!(
            self.at_once <= limits.in_all
                && self.of_address <= limits.per_address
                && self.in_a_minute <= 2 * limits.per_minute,
            "beyond {limits:?}: {self:?}"
        );
        ensure!(
            self.made > 0 && self.made == self.gone,
            "some stay: {self:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_most_at_a_time_and_in_a_minute() {
        let event = |stream: &str, kind: &str, time_ms: u64| Told {
            id: 1,
            stream: stream.to_owned(),
            seq: 1,
            kind: format!("stream.{kind}"),
            time_ms,
            data: json!({"peer": "10.0.0.1"}),
        };
        let lives = Lives::of(&[
            event("a", "runtime_created", 0),
            event("b", "runtime_created", 59_999),
            event("a", "runtime_expired", 60_000),
            event("a", "runtime_created", 60_001),
            event("a", "promoted", 70_000),
            event("b", "runtime_expired", 70_000),
        ]);
        let found = (
            lives.made,
            lives.gone,
            lives.at_once,
            lives.of_address,
            lives.in_a_minute,
        );
        assert_eq!(found, (3, 3, 2, 2, 2));
    }
}
