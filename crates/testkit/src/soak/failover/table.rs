//! One row for each room, and what the design promises.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::trial::Trial;
use crate::lint::Quantiles;

type Figure = fn(&Trial) -> i64;

/// What must hold: times for 99 trials of 100, frames for each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Promise {
    /// Milliseconds from the signal to the decision.
    pub(super) decision: Option<i64>,
    /// Milliseconds from the last frame to the decision.
    pub(super) detection: Option<i64>,
    /// Pictures that may come twice.
    pub(super) repeated: u64,
}

/// Pictures of a group: where inputs differ, at most so many may be repeated.
pub(super) const GROUP: u64 = 30;
/// The programme may be silent for so much longer than it takes to notice.
const TWO_FRAMES: i64 = 67;

/// What stands above all rows.
pub(super) const HEAD: &str = "\n| room | trials | discarded | class | signal to decision ms | detection ms \
    | programme silent ms | player without picture ms | pictures lost | repeated | sounds lost | repeated \
    | lead ms |\n|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// Times of trials that were not disturbed, frames of all: median, 99th percentile, most.
pub(super) fn row(name: &str, trials: &[Trial]) -> String {
    let disturbed = trials.iter().filter(|t| t.disturbed).count();
    let mut classes = BTreeMap::<&str, u32>::new();
    for trial in trials {
        *classes.entry(&trial.class).or_default() += 1;
    }
    let classes: Vec<_> = classes.iter().map(|(c, n)| format!("{c} {n}")).collect();
    let times: [Figure; 4] = [
        |t| t.decision,
        |t| t.detection,
        |t| t.silence,
        |t| i64::try_from(t.seen[0].silence.as_millis()).unwrap_or(i64::MAX),
    ];
    let frames: [Figure; 5] = [
        |t| t.seen[0].lost.cast_signed(),
        |t| t.seen[0].repeated.cast_signed(),
        |t| t.seen[1].lost.cast_signed(),
        |t| t.seen[1].repeated.cast_signed(),
        |t| t.lead,
    ];
    let cell = |timed: bool, of: &Figure| {
        let q = quantiles(trials, timed, *of);
        format!(" {} / {} / {} |", q.p50, q.p99, q.max)
    };
    let cells: String = times.iter().map(|of| cell(true, of)).collect();
    let rest: String = frames.iter().map(|of| cell(false, of)).collect();
    format!(
        "| {name} | {} | {disturbed} | {} |{cells}{rest}",
        trials.len(),
        classes.join(", ")
    )
}

/// # Errors
/// What was not kept.
pub(super) fn hold(name: &str, trials: &[Trial], promise: Promise) -> anyhow::Result<()> {
    hold_frames(name, trials, promise.repeated)?;
    for trial in trials.iter().filter(|t| !t.disturbed) {
        let slow = trial.silence > trial.detection + TWO_FRAMES;
        ensure!(
            !slow,
            "{name}: silent for longer than two frames: {trial:?}"
        );
    }
    let times: [(&str, Option<i64>, Figure); 2] = [
        ("from the signal to the decision", promise.decision, |t| {
            t.decision
        }),
        ("detection", promise.detection, |t| t.detection),
    ];
    for (what, most, of) in times {
        let p99 = quantiles(trials, true, of).p99;
        ensure!(
            most.is_none_or(|most| p99 <= most),
            "{name}: {what}: {p99} ms"
        );
    }
    Ok(())
}

/// What must hold however busy the machine is.
///
/// # Errors
/// What did not.
pub(super) fn hold_frames(name: &str, trials: &[Trial], repeated: u64) -> anyhow::Result<()> {
    let lost = trials.iter().filter(|t| t.seen[0].lost > 0).count();
    let worst = trials.iter().max_by_key(|t| t.seen[0].lost);
    ensure!(
        lost == 0,
        "{name}: {lost} trials lost pictures, as in {worst:?}"
    );
    let again = trials.iter().max_by_key(|t| t.seen[0].repeated);
    let most = again.map_or(0, |t| t.seen[0].repeated);
    ensure!(
        most <= repeated,
        "{name}: {most} pictures were repeated: {again:?}"
    );
    Ok(())
}

fn quantiles(trials: &[Trial], timed: bool, of: Figure) -> Quantiles {
    let counted = trials.iter().filter(|t| !(timed && t.disturbed));
    Quantiles::of(&counted.map(of).collect::<Vec<_>>())
}
