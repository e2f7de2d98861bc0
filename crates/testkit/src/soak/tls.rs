//! TLS under load: browsers, certificates that change, restarts on sockets that stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use media::Span;
use tokio::time::{Instant, sleep};

use super::knock::Knockers;
use super::players::{PATIENCE, back, details};
use super::stage::{Stage, say};
use crate::actors::{PlayerReport, Players};

/// A server looks at its certificate's files every five seconds.
const CHANGE: Duration = Duration::from_secs(7);
/// What a browser on the same two cores takes from the linter.
const CROWDED: Span = Span::from_secs(2);
/// Chromium's own player does not start on a playlist of two segments.
const SEGMENTS: Duration = Duration::from_secs(8);

pub(super) async fn run(weir: PathBuf, seconds: u64, rounds: u32) -> anyhow::Result<()> {
    // What one found wrong does not keep the others from being told.
    let certificates = certificates(&weir, Duration::from_secs(seconds)).await;
    let restarts = restarts(&weir, rounds).await;
    let players = players(&weir).await;
    certificates.context("certificates")?;
    restarts.context("restarts")?;
    players.context("players")
}

/// Each for a minute, alone.
async fn players(weir: &Path) -> anyhow::Result<()> {
    say("\n## Players over HTTPS, a minute each");
    let stage = Stage::secure(weir, 0, CROWDED).await?;
    let mut all = Vec::new();
    for kind in ["page", "hls-ll", "hls", "shaka-ll", "shaka", "native"] {
        let mut players = Players::open(&stage.weir.origin()?, Stage::NAME, &[kind]).await?;
        players.playing(60, PATIENCE).await?;
        sleep(Duration::from_secs(60)).await;
        let reports = players.report().await?;
        details(&reports);
        all.extend(reports);
    }
    stage.clear().await?;
    all.iter().try_for_each(smooth)
}

/// A minute of pictures without a pause or an error, all of it over HTTP/2.
fn smooth(report: &PlayerReport) -> anyhow::Result<()> {
    let calm = report.stalls.is_empty() && report.errors.count == 0 && report.dead.is_none();
    ensure!(calm && report.frames > 1500, "{report:?}");
    let protocols: Vec<_> = report.protocols.keys().map(String::as_str).collect();
    ensure!(protocols == ["h2"], "{report:?}");
    Ok(())
}

async fn certificates(weir: &Path, whole: Duration) -> anyhow::Result<()> {
    say(&format!(
        "\n## Another certificate every {CHANGE:?}, 50 readers over HTTP/2"
    ));
    let stage = Stage::secure(weir, 50, CROWDED).await?;
    let knockers = Knockers::start(&stage.weir)?;
    let end = Instant::now() + whole;
    let mut issued = 1;
    while Instant::now() < end {
        sleep(CHANGE).await;
        let secure = stage.weir.secure.as_ref().context("TLS")?;
        secure.issue()?;
        issued += 1;
    }
    sleep(CHANGE).await;
    for tally in knockers.leave().await? {
        tally.served()?;
        let seen = tally.certificates();
        ensure!(
            seen == issued,
            "{seen} of {issued} certificates were served"
        );
    }
    stage.clear().await.map(drop)
}

async fn restarts(weir: &Path, rounds: u32) -> anyhow::Result<()> {
    const KINDS: [&str; 2] = ["native", "page"];
    say(&format!("\n## {rounds} restarts on inherited sockets"));
    let mut stage = Stage::secure(weir, 0, CROWDED).await?;
    sleep(SEGMENTS).await;
    let mut players = Players::open(&stage.weir.origin()?, Stage::NAME, &KINDS).await?;
    players.playing(60, PATIENCE).await?;
    let knockers = Knockers::start(&stage.weir)?;
    say(&format!(
        "| round | {} |",
        KINDS.map(|k| format!("{k} back, s")).join(" | ")
    ));
    say("|--:|--:|--:|");
    for round in 0..rounds {
        sleep(Duration::from_secs(15)).await;
        stage.stop_server().await?;
        // It waits in the socket's queue, as everybody does.
        stage.push()?;
        stage.weir.resume().await?;
        let mark = format!("restart-{round}");
        players.mark(&mark).await?;
        stage.until_live().await?;
        let reports = back(&mut players, &mark).await?;
        let cells = reports.iter().filter_map(|r| r.back_after(&mark, 1));
        let cells: Vec<_> = cells.map(|s| format!("{s:.1}")).collect();
        say(&format!("| {round} | {} |", cells.join(" | ")));
    }
    let [https, rtmps] = knockers.leave().await?;
    details(&players.report().await?);
    stage.clear().await?;
    https.served()?;
    // Encoders are let go when a server stops, whatever they were about to say.
    rtmps.never_refused()
}
