//! The database is stopped: `kill -STOP` of PostgreSQL, the worst of its absences, because it goes on
//! taking connections and never answers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{sleep, timeout};

use super::stage::{Stage, say};
use crate::actors::{Postgres, Weir};

const SETTLED: Duration = Duration::from_secs(10);
/// Counters of media that did not get through.
const LOST: [&str; 7] = [
    "weir_ingest_ignored_total",
    "weir_hub_refused_frames_total",
    "weir_hub_skipped_frames_total",
    "weir_timeline_dropped_frames_total",
    "weir_packager_dropped_frames_total",
    "weir_packager_silent_frames_total",
    "weir_packager_holds_total",
];

pub(super) async fn run(weir: PathBuf, seconds: u64) -> anyhow::Result<()> {
    say(&format!("\n## PostgreSQL stopped for {seconds} s"));
    let postgres = Postgres::start()?;
    let weir = Weir::start_on(&weir, postgres.database()?).await?;
    let stage = Stage::of(weir).await?;
    sleep(SETTLED).await;
    let before = Flow::of(&stage.weir).await?;
    postgres.freeze()?;
    sleep(Duration::from_secs(seconds)).await;
    let after = Flow::of(&stage.weir).await?;
    let said = stage.weir.get("/readyz").await?;
    ensure!(said.starts_with("degraded"), "it is {said}");
    postgres.thaw()?;
    timeout(SETTLED, ready(&stage.weir))
        .await
        .context("the database is back, and not used")?;
    sleep(SETTLED).await;
    let end = Flow::of(&stage.weir).await?;
    say("| | frames in | frames delivered | lost |\n|---|--:|--:|--:|");
    for (when, flow) in [("before", &before), ("stopped", &after), ("after", &end)] {
        let (frames, delivered, lost) = (flow.frames, flow.delivered, flow.lost);
        say(&format!("| {when} | {frames} | {delivered} | {lost} |"));
    }
    stage.clear().await?;
    // The encoder sends 30 pictures a second and 48000 / 1024 frames of sound.
    let sent = seconds * (30 * 1024 + 48_000) / 1024;
    let came = after.frames - before.frames;
    ensure!(came.abs_diff(sent) <= sent / 100, "{came} of {sent} frames");
    ensure!(end.lost == before.lost, "frames were lost");
    Ok(())
}

async fn ready(weir: &Weir) {
    while !weir
        .get("/readyz")
        .await
        .is_ok_and(|said| said == "ready\n")
    {
        sleep(Duration::from_millis(50)).await;
    }
}

/// What came in, and what of it did not get through.
pub(super) struct Flow {
    pub(super) frames: u64,
    /// Read by readers; the packager is one.
    delivered: u64,
    pub(super) lost: u64,
}

impl Flow {
    pub(super) async fn of(weir: &Weir) -> anyhow::Result<Self> {
        let metrics = weir.get("/metrics").await?;
        let ours = format!("stream=\"{}\"", Stage::NAME);
        let sum = |name: &str| {
            let lines = metrics
                .lines()
                .filter(|l| l.starts_with(&format!("{name}{{")) && l.contains(&ours));
            let values = lines.filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok());
            values.sum::<u64>()
        };
        Ok(Self {
            frames: sum("weir_ingest_frames_total"),
            delivered: sum("weir_hub_delivered_frames_total"),
            lost: LOST.iter().map(|name| sum(name)).sum(),
        })
    }
}
