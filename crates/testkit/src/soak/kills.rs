//! `kill -9`, over and over.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::stage::{Stage, say};
use crate::actors::Footprint;

/// Rounds after which everything that is allocated once has been, and the window is full.
const WARM_UP: usize = 40;

pub(super) async fn encoder(weir: PathBuf, rounds: u32) -> anyhow::Result<()> {
    say(&format!("\n## {rounds} encoders killed"));
    let mut stage = Stage::restless(&weir).await?;
    let mut prints = Vec::new();
    for round in 0..rounds {
        sleep(Duration::from_millis(1000 + u64::from(round * 370 % 2000))).await;
        stage.cut().await?;
        prints.push(stage.weir.footprint().await?);
        // Longer than a segment: an absence, and not a source with irregular keyframes.
        sleep(Duration::from_millis(2500)).await;
        stage.push()?;
        stage.until_live().await?;
    }
    tell(&prints);
    stage.clear().await?;
    flat(&prints)
}

pub(super) async fn server(weir: PathBuf, rounds: u32) -> anyhow::Result<()> {
    say(&format!("\n## {rounds} times the server killed"));
    let mut stage = Stage::crowded(&weir, 0).await?;
    let mut prints = Vec::new();
    for round in 0..rounds {
        sleep(Duration::from_millis(5000 + u64::from(round * 370 % 2000))).await;
        prints.push(stage.weir.footprint().await?);
        stage.kill_server().await?;
        stage.weir.resume().await?;
        stage.push()?;
        stage.until_live().await?;
    }
    tell(&prints);
    stage.clear().await?;
    flat(&prints)
}

fn tell(prints: &[Footprint]) {
    say("| round | resident KiB | files | tasks |\n|--:|--:|--:|--:|");
    let tenth = prints.len().div_ceil(10).max(1);
    let last = prints.len().saturating_sub(1);
    for (round, p) in prints.iter().enumerate() {
        if round % tenth == 0 || round == last {
            let (rss, files, tasks) = (p.rss_kib, p.files, p.tasks);
            say(&format!("| {round} | {rss} | {files} | {tasks} |"));
        }
    }
}

/// What a round leaves behind would show.
fn flat(prints: &[Footprint]) -> anyhow::Result<()> {
    let warm = prints.get(WARM_UP..).unwrap_or_default();
    let (Some(first), Some(last)) = (warm.first(), warm.last()) else {
        return Ok(());
    };
    let grown = last.rss_kib.saturating_sub(first.rss_kib);
    ensure!(
        grown < 16 << 10,
        "memory grew by {grown} KiB since round {WARM_UP}"
    );
    ensure!(
        last.tasks <= first.tasks + 3 && last.files <= first.files + 3,
        "tasks or files stay: {first:?} to {last:?}"
    );
    Ok(())
}
