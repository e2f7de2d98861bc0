//! What real players make of absences and restarts (`docs/time-and-numbering.md`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::stage::{Stage, say};
use crate::actors::{PlayerReport, Players};

const ALL: [&str; 6] = ["page", "hls-ll", "hls", "shaka-ll", "shaka", "native"];
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn absence(weir: PathBuf, absences: &[u64]) -> anyhow::Result<()> {
    say("\n## Seconds from the return of the encoder to the end of the last pause");
    say(&format!("| absence, s | {} |", ALL.join(" | ")));
    say(&format!("|--:|{}", "--:|".repeat(ALL.len())));
    for seconds in absences {
        let mut stage = Stage::crowded(&weir, 0).await?;
        let mut players = Players::open(&stage.weir.origin()?, Stage::NAME, &ALL).await?;
        players.playing(60, PATIENCE).await?;
        sleep(Duration::from_secs(15)).await;
        stage.cut().await?;
        sleep(Duration::from_secs(*seconds)).await;
        stage.push()?;
        players.mark("back").await?;
        stage.until_live().await?;
        let reports = back(&mut players, "back").await?;
        say(&row(&seconds.to_string(), &reports, "back"));
        details(&reports);
        stage.clear().await?;
    }
    Ok(())
}

pub(super) async fn restart(weir: PathBuf) -> anyhow::Result<()> {
    const KINDS: [&str; 5] = ["page", "hls-ll", "hls", "shaka-ll", "shaka"];
    restarts(weir.clone(), "stopped", &KINDS).await?;
    restarts(weir, "killed", &KINDS).await
}

async fn restarts(weir: PathBuf, how: &str, kinds: &[&str]) -> anyhow::Result<()> {
    say(&format!(
        "\n## Server {how}: seconds from the return of the encoder to the end of the last pause"
    ));
    say(&format!("| server away, s | {} |", kinds.join(" | ")));
    say(&format!("|--:|{}", "--:|".repeat(kinds.len())));
    for away in [0, 3, 10] {
        let mut stage = Stage::crowded(&weir, 0).await?;
        let mut players = Players::open(&stage.weir.origin()?, Stage::NAME, kinds).await?;
        players.playing(60, PATIENCE).await?;
        sleep(Duration::from_secs(15)).await;
        match how {
            "killed" => stage.kill_server().await?,
            _ => stage.stop_server().await?,
        }
        sleep(Duration::from_secs(away)).await;
        stage.weir.resume().await?;
        stage.push()?;
        players.mark("back").await?;
        stage.until_live().await?;
        let reports = back(&mut players, "back").await?;
        say(&row(&away.to_string(), &reports, "back"));
        details(&reports);
        stage.clear().await?;
    }
    Ok(())
}

pub(super) async fn page(weir: PathBuf, screenshot: &Path) -> anyhow::Result<()> {
    say("\n## Our page for a minute");
    let stage = Stage::crowded(&weir, 0).await?;
    let mut players = Players::open(&stage.weir.origin()?, Stage::NAME, &["page"]).await?;
    players.playing(60, PATIENCE).await?;
    players.mark("start").await?;
    sleep(Duration::from_secs(60)).await;
    players.screenshot(screenshot).await?;
    let reports = players.report().await?;
    details(&reports);
    for report in reports {
        let latency = report.latency.last.unwrap_or(f64::MAX);
        ensure!(
            report.stalls.is_empty() && report.frames > 1500,
            "{report:?}"
        );
        ensure!(latency < 3.0, "{report:?}");
    }
    stage.clear().await.map(drop)
}

/// Until every player has shown ten seconds of new pictures.
pub(super) async fn back(players: &mut Players, mark: &str) -> anyhow::Result<Vec<PlayerReport>> {
    players
        .until(PATIENCE, |r| r.back_after(mark, 300).is_some())
        .await
}

fn row(first: &str, reports: &[PlayerReport], mark: &str) -> String {
    let seconds = reports.iter().filter_map(|r| r.back_after(mark, 1));
    let cells: Vec<_> = seconds.map(|s| format!("{s:.1}")).collect();
    format!("| {first} | {} |", cells.join(" | "))
}

pub(super) fn details(reports: &[PlayerReport]) {
    for r in reports {
        let (kind, frames, latency) = (&r.kind, r.frames, r.latency);
        let (errors, stalls) = (&r.errors, &r.stalls);
        say(&format!(
            "  {kind}: {frames} pictures, latency {:.2?} → {:.2?}, stalls {:.1?}, errors {errors:?} {:?}, answers {:?}",
            latency.first,
            latency.last,
            stalls
                .iter()
                .map(|s| (s.seconds, s.jumped))
                .collect::<Vec<_>>(),
            r.page_errors,
            r.protocols,
        ));
    }
}
