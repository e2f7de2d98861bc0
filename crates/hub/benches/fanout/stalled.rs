//! Whether readers that take nothing slow the writer: its pushes to 200 healthy ones with and
//! without them, in interleaved pairs.

use crate::Plan;
use crate::load::Load;
use crate::measure::{Judge, median};
use crate::ours;

const HEALTHY: usize = 200;
const STALLING: usize = 2;

pub(crate) fn compare(plan: &Plan, judge: &mut Judge) {
    let mut p99 = |stalling: usize| {
        let load = Load {
            readers: HEALTHY + stalling,
            stalling,
            per_second: 240,
            length: plan.pushes / 2,
        };
        let [_, p99, _] = judge.run(ours::trial, load)?.push_percentiles();
        Some(p99 as f64 / 1e3)
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for pair in 0..plan.stalled {
        // Who is first alternates: what grows with time is in both.
        let (stalled, healthy) = if pair % 2 == 0 {
            (p99(STALLING), p99(0))
        } else {
            let healthy = p99(0);
            (p99(STALLING), healthy)
        };
        if let (Some(stalled), Some(healthy)) = (stalled, healthy) {
            with.push(stalled);
            without.push(healthy);
        }
    }
    let ratios: Vec<_> = with.iter().zip(&without).map(|(a, b)| a / b).collect();
    let (least, most) = interval(&ratios);
    println!(
        "p99 with {:.2} µs, without {:.2} µs: {:.2} of it, 95 % within {least:.2}..{most:.2}, {} pairs",
        median(&with),
        median(&without),
        median(&ratios),
        ratios.len()
    );
}

/// Around the median, by rank: the true one lies within in about 95 of 100 cases.
fn interval(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let rank = (count / 2.0 - 0.98 * count.sqrt()).round().max(1.0) as usize - 1;
    let at = |rank: usize| sorted.get(rank).copied().unwrap_or(f64::NAN);
    (at(rank), at(sorted.len().saturating_sub(rank + 1)))
}
