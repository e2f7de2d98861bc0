//! Many durations, and what of them matters.

use std::time::Duration;

use serde_json::{Value, json};

/// Microseconds each.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<u64>);

impl Samples {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0
            .push(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// In milliseconds; null where nothing was seen.
    pub(crate) fn percentiles(&self) -> Value {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let Some(max) = sorted.last() else {
            return Value::Null;
        };
        let at = |permille: usize| {
            let rank = (sorted.len() * permille).div_ceil(1000).max(1) - 1;
            sorted[rank] as f64 / 1e3
        };
        json!({
            "count": sorted.len(),
            "p50": at(500),
            "p99": at(990),
            "p999": at(999),
            "max": *max as f64 / 1e3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_seen() {
        let mut samples = Samples::default();
        assert_eq!(samples.percentiles(), Value::Null);
        for ms in (1..=1000).rev() {
            samples.add(Duration::from_millis(ms));
        }
        let seen = samples.percentiles();
        assert_eq!(seen["p50"], 500.0);
        assert_eq!(seen["p999"], 999.0);
        assert_eq!(
            (&seen["max"], &seen["count"]),
            (&json!(1000.0), &json!(1000))
        );
    }
}
