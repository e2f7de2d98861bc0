//! A great many switches: nothing may pile up, no segment may miss, the programme's clock stays.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::ground::{Ground, INPUTS, Plan};
use crate::actors::Footprint;
use crate::soak::stage::say;

/// It is looked at after so many.
const EACH: u64 = 50;
/// So far the programme's clock may be from UTC and the lead that is told: a frame.
const DRIFT_MS: i64 = 33;

/// What must not grow with the number of switches.
#[derive(Debug, Clone, Copy)]
struct Held {
    footprint: Footprint,
    lead_ms: i64,
    /// By how much decoding times are ahead of the clock and of that lead.
    ahead_ms: i64,
}

/// The active input is killed and comes back, until the programme was switched so often.
pub(super) async fn run(binary: &Path, switches: u64) -> anyhow::Result<()> {
    let mut ground = Ground::set(binary, Plan::default()).await?;
    let (mut at, begin) = ground.active().await?;
    // What the first quarter fills is not counted as growth.
    let (mut warm, mut last) = (None, None);
    say("\n| switches | RSS KiB | files | tasks | lead ms | clock ms |\n|--:|--:|--:|--:|--:|--:|");
    for done in 1..=switches {
        ground.relay(at)?.kill()?;
        let other = 1 - at;
        ground
            .until("the other input", |r| {
                r["switches"][0]["to"] == INPUTS[other]
            })
            .await?;
        ground.push(at)?;
        ground.until_ready().await?;
        at = other;
        if done % EACH == 0 || done == switches {
            last = Some(tell(&mut ground, done).await?);
            if done >= switches / 4 {
                warm = warm.or(last);
            }
        }
    }
    let (_, number) = ground.active().await?;
    let metered = metered(&ground).await?;
    ground.clear().await?;
    ensure!(
        number - begin == switches && metered == number,
        "{switches} failures, {} switches, {metered} of {number} in metrics",
        number - begin
    );
    warm.zip(last)
        .map_or(Ok(()), |(warm, last)| compare(warm, last))
}

/// How often the metrics say that the programme was switched.
async fn metered(ground: &Ground) -> anyhow::Result<u64> {
    let metrics = ground.weir.get("/metrics").await?;
    let switches = metrics
        .lines()
        .filter(|l| l.starts_with("weir_failover_switches_total{"));
    let counts = switches.filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok());
    Ok(counts.sum())
}

async fn tell(ground: &mut Ground, done: u64) -> anyhow::Result<Held> {
    // A second of pictures, in which nothing is switched.
    ground.audience.take()?;
    ground.audience.until_seen(30).await?;
    let [pictures, _] = ground.audience.take()?;
    let runtime = ground.runtime().await?;
    let lead_ms = runtime["lead_ms"].as_i64().context("no lead")?;
    let footprint = ground.weir.footprint().await?;
    let Footprint {
        rss_kib,
        files,
        tasks,
    } = footprint;
    let ahead_ms = pictures.ahead.context("no pictures")? - lead_ms;
    say(&format!(
        "| {done} | {rss_kib} | {files} | {tasks} | {lead_ms} | {ahead_ms} |"
    ));
    Ok(Held {
        footprint,
        lead_ms,
        ahead_ms,
    })
}

fn compare(warm: Held, held: Held) -> anyhow::Result<()> {
    let (before, now) = (warm.footprint, held.footprint);
    let most = before.rss_kib + before.rss_kib / 20;
    ensure!(
        now.rss_kib <= most,
        "memory grew by more than 5 %: {before:?}, {now:?}"
    );
    // A player that asks at this moment, and who it was a moment ago.
    let near = now.files <= before.files + 4 && now.tasks <= before.tasks + 4;
    ensure!(near, "files or tasks piled up: {before:?}, {now:?}");
    let drift = (held.ahead_ms - warm.ahead_ms).abs();
    ensure!(
        drift < DRIFT_MS,
        "the programme drifted: {warm:?}, {held:?}"
    );
    ensure!(held.lead_ms <= 2_000, "a lead without bound: {held:?}");
    Ok(())
}
