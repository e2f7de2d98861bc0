//! How long something took, by upper bounds.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use media::Span;

/// Counts durations. Reading it costs those who count nothing.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// One more than the bounds: beyond the last.
    counts: Vec<AtomicU64>,
    sum_ns: AtomicI64,
}

impl Histogram {
    /// `bounds` are seconds, ascending.
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_ns: AtomicI64::new(0),
        }
    }

    pub(crate) fn note(&self, took: Span) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(took.as_nanos(), Relaxed);
    }

    /// What fell below each bound and above the one before it, and the sum in seconds.
    pub(crate) fn read(&self) -> (Vec<(f64, u64)>, f64) {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|c| c.load(Relaxed));
        let sum = Span::from_nanos(self.sum_ns.load(Relaxed)).as_secs_f64();
        (bounds.zip(counts).collect(), sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_falls_into_the_first_bound_that_holds_it() {
        let histogram = Histogram::new(&[0.01, 0.1]);
        for ms in [10, 11, 5_000] {
            histogram.note(Span::from_millis(ms));
        }
        let (buckets, sum) = histogram.read();
        assert_eq!(
            buckets.iter().map(|(_, n)| *n).collect::<Vec<_>>(),
            [1, 1, 1]
        );
        assert!((sum - 5.021).abs() < 1e-9);
    }
}
