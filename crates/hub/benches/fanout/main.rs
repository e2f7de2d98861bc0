//! What fan-out costs: a thousand readers at 60 fps of which 5 % stall, beside `tokio::broadcast`
//! under the same load; how long a push takes; what a delivery allocates.
//!
//! `cargo bench -p hub`; `WEIR_BENCH_QUICK=1` takes about three seconds and is for seeing that it
//! runs. A trial counts only if a 1 ms ticker on the same cores saw no gap above 10 ms.

#![allow(clippy::print_stdout, reason = "a table is what it makes")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

mod allocations;
mod load;
mod measure;
mod ours;
mod peer;
mod stalled;

use std::time::Duration;

use load::{Load, Trial};
use measure::{Judge, median, spread};

/// How much of everything.
struct Plan {
    pairs: usize,
    tries: usize,
    fan_out: Duration,
    pushes: Duration,
    /// Pairs.
    stalled: usize,
}

impl Plan {
    fn from_env() -> Self {
        if std::env::var_os("WEIR_BENCH_QUICK").is_some() {
            Self {
                pairs: 1,
                tries: 1,
                fan_out: Duration::from_millis(700),
                pushes: Duration::from_millis(200),
                stalled: 2,
            }
        } else {
            Self {
                pairs: 5,
                tries: 4,
                fan_out: Duration::from_secs(8),
                pushes: Duration::from_secs(8),
                stalled: 12,
            }
        }
    }
}

type Run = fn(Load) -> Trial;

fn main() {
    let plan = Plan::from_env();
    let mut judge = Judge::new(plan.tries);
    let crowd = Load {
        readers: 1000,
        stalling: 50,
        per_second: 60,
        length: plan.fan_out,
    };
    println!("\nFan-out: {crowd}, {} pairs\n", plan.pairs);
    fan_out(crowd, &plan, &mut judge);
    println!("\nPush: 240 frames a second to readers that all keep up\n");
    pushes(&plan, &mut judge);
    println!(
        "\nPush with two readers that stall, beside without, {} pairs\n",
        plan.stalled
    );
    stalled::compare(&plan, &mut judge);
    println!("\nAllocations: {}", allocations::count());
    println!(
        "Trials discarded for a gap above 10 ms: {}\n",
        judge.discarded
    );
}

/// Pairs alternate, so that what disturbs the machine disturbs both.
fn fan_out(load: Load, plan: &Plan, judge: &mut Judge) {
    println!(
        "| what | CPU per delivery, µs (min..max) | of one core, % | lost by healthy readers | skips or lags of stalled | counted |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let (mut hub, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..plan.pairs {
        let (ours, theirs) = (judge.run(ours::trial, load), judge.run(peer::trial, load));
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            hub.push(ours);
            peer.push(theirs);
        }
    }
    print_crowd("hub", &hub);
    print_crowd("tokio::broadcast(256)", &peer);
    let ratio = hub
        .iter()
        .zip(&peer)
        .map(|(a, b)| a.per_delivery() / b.per_delivery());
    let ratios: Vec<_> = ratio.collect();
    println!(
        "\nhub / broadcast, CPU per delivery: {:.2} ({})",
        median(&ratios),
        spread(&ratios)
    );
}

fn print_crowd(what: &str, trials: &[Trial]) {
    let cost: Vec<_> = trials.iter().map(|t| t.per_delivery() / 1e3).collect();
    let core: Vec<_> = trials.iter().map(|t| t.of_a_core() * 100.0).collect();
    let lost: u64 = trials.iter().map(|t| t.lost).sum();
    let skips: u64 = trials.iter().map(|t| t.skips).sum();
    println!(
        "| {what} | {:.3} ({}) | {:.1} | {lost} | {skips} | {} |",
        median(&cost),
        spread(&cost),
        median(&core),
        trials.len()
    );
}

fn pushes(plan: &Plan, judge: &mut Judge) {
    println!("| what | readers | p50, µs | p99, µs | max, µs | pushes |");
    println!("|---|--:|--:|--:|--:|--:|");
    for (what, run) in [
        ("hub", ours::trial as Run),
        ("tokio::broadcast(256)", peer::trial),
    ] {
        for readers in [0, 500] {
            let load = Load {
                readers,
                stalling: 0,
                per_second: 240,
                length: plan.pushes,
            };
            let Some(trial) = judge.run(run, load) else {
                println!("| {what} | {readers} | – | – | – | 0 |");
                continue;
            };
            let [p50, p99, max] = trial.push_percentiles().map(|ns| ns as f64 / 1e3);
            let count = trial.pushes.len();
            println!("| {what} | {readers} | {p50:.2} | {p99:.2} | {max:.1} | {count} |");
        }
    }
}
