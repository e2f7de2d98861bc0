//! Inputs of several kinds fail and return in every order.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::sources::{FAILBACK, SOURCES, Sources};
use super::ticker::Ticker;
use crate::soak::stage::say;

type Order = [usize; 3];

const ORDERS: [Order; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];
/// A probation that is waited for; it doubles with each failure.
const PROBATION: Duration = Duration::from_secs(8);
/// Players see something again after so long, whatever happened.
const MOST: Duration = Duration::from_secs(10);

/// What is done to sources.
const STEPS: [&str; 8] = [
    "main fails",
    "pull fails",
    "other fails",
    "a spare fails",
    "the last fails",
    "the first is back",
    "another is back",
    "the best again",
];
const SPARE: usize = 3;
const LAST: usize = 4;
const FIRST_BACK: usize = 5;
const BACK: usize = 6;
const BEST: usize = 7;

/// The longest time without a picture in each kind of step.
type Silences = [Option<Duration>; STEPS.len()];

pub(super) async fn run(binary: &Path, orders: usize) -> anyhow::Result<()> {
    say(&format!(
        "Milliseconds without a picture at most.\n\n| fail | return | switches | {} | nobody ran |\n|---|---|--:|{}",
        STEPS.join(" | "),
        "--:|".repeat(STEPS.len() + 1)
    ));
    let (mut worst, mut broken) = (Silences::default(), Vec::new());
    for failing in ORDERS.iter().take(orders) {
        // What one order showed does not keep the others from being told.
        if let Err(why) = series(binary, *failing, &mut worst).await {
            say(&format!("- NOT OK: {}: {why:#}", names(*failing)));
            broken.push(names(*failing));
        }
    }
    say(&format!("| all | | | {} | |", cells(&worst)));
    ensure!(broken.is_empty(), "orders: {}", broken.join(", "));
    let most = worst.iter().flatten().max();
    ensure!(
        most.is_none_or(|most| *most <= MOST),
        "players saw nothing for {most:?}"
    );
    Ok(())
}

/// Sources fail in that order, and return in every one.
async fn series(binary: &Path, failing: Order, worst: &mut Silences) -> anyhow::Result<()> {
    let mut sources = Sources::set(binary).await?;
    let ticker = Ticker::start();
    for (round, returning) in (1..).zip(ORDERS) {
        let before = sources.switches().await?;
        let seen = through(&mut sources, failing, returning, round).await;
        let seen = seen.with_context(|| format!("returning {}", names(returning)))?;
        say(&format!(
            "| {} | {} | {} | {} | {} |",
            names(failing),
            names(returning),
            sources.switches().await? - before,
            cells(&seen),
            ticker.take().as_millis(),
        ));
        for (worst, seen) in worst.iter_mut().zip(seen) {
            *worst = (*worst).max(seen);
        }
    }
    sources.clear().await
}

/// All fail, all return; `round` failures of each are remembered then.
async fn through(
    sources: &mut Sources,
    failing: Order,
    returning: Order,
    round: u32,
) -> anyhow::Result<Silences> {
    let mut seen = Silences::default();
    let mut note = |step: usize, silence| seen[step] = seen[step].max(Some(silence));
    for (nth, at) in failing.into_iter().enumerate() {
        let (active, silence) = sources
            .fail(at)
            .await
            .with_context(|| format!("{} fails", SOURCES[at]))?;
        let step = match (nth, active) {
            (2, _) => LAST,
            (_, true) => at,
            (_, false) => SPARE,
        };
        note(step, silence);
    }
    for (nth, at) in returning.into_iter().enumerate() {
        let silence = sources.mend(at).await;
        let silence = silence.with_context(|| format!("{} is back", SOURCES[at]))?;
        note(if nth == 0 { FIRST_BACK } else { BACK }, silence);
    }
    if FAILBACK * 2_u32.pow(round) <= PROBATION {
        let silence = sources.until_best().await;
        note(BEST, silence.context("the best again")?);
    } else {
        sources.by_hand().await?;
    }
    sources.until_known().await?;
    Ok(seen)
}

fn names(order: Order) -> String {
    order.map(|at| SOURCES[at]).join(" ")
}

fn cells(silences: &Silences) -> String {
    let cell = |s: &Option<Duration>| s.map_or_else(String::new, |s| s.as_millis().to_string());
    silences.iter().map(cell).collect::<Vec<_>>().join(" | ")
}
