//! What happens to the show.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::time::sleep;

use super::super::ladder::ground::{HD, NAME, SD, rung, runtime, signal, until, worker};
use super::super::stage::say;
use super::show::{self, Show, tell, undisturbed};
use crate::actors::{Decoder, Level, Players, Weir};
use crate::lint::State;

const LOW_LATENCY: [&str; 2] = ["dash-ll", "shaka-dash-ll"];
const CLASSIC: [&str; 2] = ["dash", "shaka-dash"];
/// How long players may need behind a hole: as far as they stay behind, and a second.
const BACK: [(&str, f64); 4] = [
    ("dash-ll", 4.5),
    ("shaka-dash-ll", 4.5),
    ("dash", 10.5),
    ("shaka-dash", 7.5),
];
/// After a restart numbers begin beyond all that may have been issued: the lead, and two segments.
const RESTART: f64 = 5.0;
/// Until what a player had before is shown, and more came.
const SETTLED: Duration = Duration::from_secs(15);
const BETWEEN: Duration = Duration::from_secs(5);
/// A link that carries the lower rung alone.
const NARROW: u32 = 620;
/// One that carries both, and is no local one, for dash.js: what comes within 50 ms is a cache's, and
/// tells it nothing of the link. Shaka, behind this one as Chromium makes it, goes up too early when it
/// is narrow again, and has pauses; why is not known.
const WIDE: u32 = 4_000;
const TURN: Duration = Duration::from_secs(40);

pub(super) async fn clean(binary: &Path, low_latency: bool, seconds: u64) -> anyhow::Result<()> {
    say(&format!("- 720p30, {seconds} s"));
    let kinds = if low_latency { LOW_LATENCY } else { CLASSIC };
    let show = Show::open(binary, &[HD], low_latency, &json!({})).await?;
    let query = if low_latency { "" } else { "?ll=0" };
    let mpd = format!("{}/{NAME}/index.mpd{query}", show.weir.origin()?);
    let mut decoder = Decoder::play(&mpd)?;
    let mut players = show.players(&kinds, 0).await?;
    sleep(Duration::from_secs(seconds)).await;
    let picture = std::env::temp_dir().join(format!("weir-{}.png", kinds[0]));
    players.screenshot(&picture).await?;
    say(&format!("- a picture of it: {}", picture.display()));
    let reports = players.report().await?;
    let decoded = decoder.report()?;
    say(&format!(
        "- ffmpeg: {} pictures, {:?}",
        decoded.pictures, decoded.errors
    ));
    drop(players);
    show.clear().await?;
    reports.iter().try_for_each(undisturbed)?;
    ensure!(decoded.errors.is_empty() && !decoded.ended, "{decoded:?}");
    Ok(())
}

pub(super) async fn absence(binary: &Path) -> anyhow::Result<()> {
    let mut show = Show::open(binary, &[HD], true, &json!({})).await?;
    let kinds = [LOW_LATENCY, CLASSIC].concat();
    let mut players = show.players(&kinds, 0).await?;
    sleep(SETTLED).await;
    let mut in_time = true;
    for seconds in [10, 60] {
        show.cut().await?;
        sleep(Duration::from_secs(seconds)).await;
        in_time &= back(&mut show, &mut players, &format!("{seconds} s"), 0.0).await?;
    }
    let reports = players.report().await?;
    drop(players);
    reports.iter().try_for_each(tell)?;
    show.clear().await?;
    ensure!(in_time, "somebody was late");
    Ok(())
}

/// The encoder comes back, and players behind it. Tells whether all did in time, or so many seconds
/// later.
async fn back(
    show: &mut Show,
    players: &mut Players,
    after: &str,
    later: f64,
) -> anyhow::Result<bool> {
    players.mark(after).await?;
    show.push(HD).await?;
    show.weir.until_growing(NAME).await?;
    sleep(SETTLED).await;
    show.tell(State::NORMAL);
    let mut in_time = true;
    for report in players.report().await? {
        let back = report.after.last().and_then(|a| a.seconds);
        say(&format!(
            "- {after}: {} is back after {back:?} s",
            report.kind
        ));
        let most = BACK.iter().find(|(kind, _)| *kind == report.kind);
        let (_, most) = most.context("an unknown player")?;
        in_time &= back.is_some_and(|back| back <= *most + later);
    }
    Ok(in_time)
}

pub(super) async fn restart(binary: &Path) -> anyhow::Result<()> {
    let weir = Weir::start_secure(binary).await?;
    let mut show = Show::of(weir, &[HD], true, &json!({})).await?;
    let kinds = [LOW_LATENCY, CLASSIC].concat();
    let mut players = show.players(&kinds, 0).await?;
    sleep(SETTLED).await;
    let mut in_time = true;
    for (killed, away) in [(false, 0), (true, 0), (false, 5), (true, 5)] {
        show.end_server(killed).await?;
        sleep(Duration::from_secs(away)).await;
        show.weir.resume().await?;
        let how = if killed { "killed" } else { "stopped" };
        let after = format!("{how}, {away} s away");
        in_time &= back(&mut show, &mut players, &after, RESTART).await?;
    }
    let reports = players.report().await?;
    drop(players);
    for report in &reports {
        show::say_what_was_seen(report);
        // Who waits for a segment is asked to come again when the server leaves.
        let asked_again = report.refused.last.iter().all(|r| r.starts_with("503 "));
        ensure!(asked_again && report.dead.is_none(), "{report:?}");
        let protocols: Vec<_> = report.protocols.keys().map(String::as_str).collect();
        ensure!(protocols == ["h2"], "{report:?}");
    }
    show.clear().await?;
    ensure!(in_time, "somebody was late");
    Ok(())
}

pub(super) async fn switches(binary: &Path, switches: u32) -> anyhow::Result<()> {
    say(&format!("- {switches} switches: 720p30 and 480p25"));
    let show = Show::open(binary, &[HD, SD], true, &json!({})).await?;
    let kinds = [LOW_LATENCY, CLASSIC].concat();
    let mut players = show.players(&kinds, 0).await?;
    let ready = |r: &serde_json::Value| (0..2).all(|at| r["inputs"][at]["fault"].is_null());
    until(&show.weir, "two inputs", ready).await?;
    for n in 0..switches {
        let to = if n % 2 == 0 { SD.id } else { HD.id };
        show.tell(State::SWITCH);
        show.weir.switch(NAME, Some(to)).await?;
        until(&show.weir, "a switch", |r| r["input"] == to).await?;
        sleep(BETWEEN).await;
        show.tell(State::NORMAL);
    }
    let reports = players.report().await?;
    drop(players);
    reports.iter().try_for_each(tell)?;
    show.clear().await?;
    for report in reports.iter().filter(|r| r.kind.ends_with("-ll")) {
        ensure!(report.stalls.is_empty(), "{} paused", report.kind);
    }
    Ok(())
}

pub(super) async fn ladder(binary: &Path) -> anyhow::Result<()> {
    let video = [rung("360p", 360, 600), rung("180p", 180, 250)];
    let ladder = json!({"transcode": {"video": video, "audio": [{"name": "aac"}]}});
    let show = Show::open(binary, &[HD], true, &ladder).await?;
    let mut told = show.players(&LOW_LATENCY, 0).await?;
    let mut free = show.players(&CLASSIC, 0).await?;
    for turn in 0..4 {
        let narrow = turn % 2 == 1;
        told.level(if narrow { Level::Low } else { Level::High })
            .await?;
        free.link(narrow.then_some(NARROW)).await?;
        if !narrow {
            free.link_of("dash", Some(WIDE)).await?;
        }
        sleep(TURN).await;
    }
    told.level(Level::High).await?;
    told.mark("killed").await?;
    show.tell(State::SWITCH);
    let (pid, _) = worker(&runtime(&show.weir).await?).context("no worker")?;
    signal(pid, "KILL").await?;
    until(&show.weir, "another worker", |r| {
        worker(r).is_some_and(|(p, _)| p != pid)
    })
    .await?;
    sleep(SETTLED).await;
    show.tell(State::NORMAL);
    let mut reports = told.report().await?;
    reports.extend(free.report().await?);
    drop((told, free));
    reports.iter().try_for_each(tell)?;
    show.clear().await?;
    for report in &reports {
        ensure!(
            report.heights.len() >= 3,
            "{} stayed where it was",
            report.kind
        );
    }
    Ok(())
}

pub(super) async fn clock(binary: &Path) -> anyhow::Result<()> {
    let show = Show::open(binary, &[HD], true, &json!({})).await?;
    for skew in [-60, 60] {
        say(&format!("- clocks of players are {skew} s wrong"));
        let mut players = show.players(&LOW_LATENCY, skew).await?;
        sleep(SETTLED).await;
        let reports = players.report().await?;
        drop(players);
        reports.iter().try_for_each(undisturbed)?;
    }
    show.clear().await.map(drop)
}
