//! Nothing happens, for long: every picture of every rung, keyframes on the grid, the linter, and
//! players that move through the ladder.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use media::Span;
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::stage::say;
use super::ground::{HD, NAME, push, pushed, rung, runtime, stream, until};
use super::pictures::Pictures;
use crate::actors::{Decoder, Keyframes, Level, PlayerReport, Players, Weir};
use crate::lint::{Limits, State};
use crate::poll::{self, Source};

/// Those that are told what to show, and those that see for themselves: players of low latency have
/// nothing in hand with which to find out that their link became narrow.
const TOLD: [&str; 2] = ["hls-ll", "shaka-ll"];
const FREE: [&str; 2] = ["hls", "shaka"];
/// Microseconds from one keyframe to the next: the length of a segment.
const GOP: i64 = 2_000_000;
/// A link that carries the lower rung alone.
const NARROW: u32 = 620;
/// ffmpeg keeps a second connection for when it is behind: idle ones are ended, it opens another.
const IDLE: &str = "Error reading HTTP response: End of file";
/// Players are told something else, or their link is changed, as often.
const TURN: Duration = Duration::from_secs(30);

pub(super) async fn run(binary: &Path, seconds: u64) -> anyhow::Result<()> {
    say(&format!("- 720p30 to 360p and 180p, {seconds} s"));
    let weir = Weir::start(binary).await?;
    let file = HD.record(&weir.files()?).await?;
    weir.create_as(&stream(
        &pushed(),
        &[rung("360p", 360, 600), rung("180p", 180, 250)],
    ))
    .await?;
    let base = weir.publish_url(NAME)?;
    let _encoder = push(&file, &base)?;
    until(&weir, "a ladder", |r| r["transcoder"]["state"] == "running").await?;
    weir.until_growing(NAME).await?;
    let mut rungs = [
        Pictures::play(&format!("{base}@360p"), 30)?,
        Pictures::play(&format!("{base}@180p"), 30)?,
        Pictures::listen(&format!("{base}@180p"))?,
    ];
    let origin = weir.origin()?;
    let playlist = |name: &str| format!("{origin}/{NAME}/{name}.m3u8");
    let (top, low) = (playlist("v0"), playlist("v0-180p"));
    let mut decoders = [Decoder::play(&top)?, Decoder::play(&low)?];
    let keys = (
        Keyframes::play(&top, seconds)?,
        Keyframes::play(&low, seconds)?,
    );
    let (told, state) = watch::channel(State::NORMAL);
    let config = poll::Config {
        duration: Duration::MAX,
        // Two browsers share the machine.
        limits: Limits::of_slack(Span::from_secs(2)),
        ..poll::Config::new(&playlist("index"))
    };
    let linter = tokio::spawn(async move { poll::run(&config, Source::Told(state)).await });
    let mut obedient = Players::open(&origin, NAME, &TOLD).await?;
    let mut free = Players::open(&origin, NAME, &FREE).await?;
    for players in [&mut obedient, &mut free] {
        players.playing(60, Duration::from_secs(60)).await?;
    }
    for turn in 0..seconds / TURN.as_secs() {
        let narrow = turn % 2 == 1;
        let level = if narrow { Level::Low } else { Level::High };
        obedient.level(level).await?;
        free.link(narrow.then_some(NARROW)).await?;
        sleep(TURN).await;
        rungs.iter_mut().try_for_each(Pictures::gather)?;
    }
    let mut reports = obedient.report().await?;
    reports.extend(free.report().await?);
    drop(told);
    let report = linter.await??;
    for pictures in &rungs {
        say(&format!("- {}", pictures.found()));
    }
    reports.iter().for_each(tell);
    let (top, low) = (keys.0.told().await?, keys.1.told().await?);
    say(&format!(
        "- keyframes of 360p: {}, of 180p: {}",
        top.len(),
        low.len()
    ));
    say(&format!("- {}", runtime(&weir).await?["transcoder"]));
    say(&report.to_string());
    for decoder in &mut decoders {
        let decoded = decoder.report()?;
        say(&format!("- decoded {} pictures", decoded.pictures));
        let fine = decoded.errors.iter().all(|e| e.contains(IDLE));
        ensure!(fine && !decoded.ended, "{decoded:?}");
    }
    same_grid(&top, &low)?;
    ensure!(report.violations.is_empty(), "rules were broken");
    let turns = usize::try_from(seconds / TURN.as_secs())?;
    for report in &reports {
        let fine = report.stalls.is_empty() || report.kind == TOLD[1] && goes_on(report);
        ensure!(fine && report.errors.count == 0, "{report:?}");
        ensure!(
            report.heights.len() >= turns,
            "{} stayed where it was: {:?}",
            report.kind,
            report.heights
        );
    }
    let whole = rungs
        .iter()
        .map(Pictures::found)
        .all(|f| f.missing == 0 && f.backward == 0);
    ensure!(whole, "pictures are missing");
    Ok(())
}

/// In low latency Shaka changes rungs in mid-segment: Chromium shows the other one from its next
/// keyframe on, and meanwhile time and sound go on.
fn goes_on(report: &PlayerReport) -> bool {
    let gop = Span::from_nanos(GOP * 1_000).as_secs_f64();
    let mut stalls = report.stalls.iter();
    // Where it changes in the last moments of a segment, the next one's first pictures, too.
    let most = report.heights.len() * 2;
    report.stalls.len() <= most
        && stalls.all(|s| (s.seconds - s.jumped).abs() < 0.15 && s.seconds <= gop)
}

fn tell(report: &PlayerReport) {
    let heights: Vec<u32> = report.heights.iter().map(|h| h.height).collect();
    say(&format!(
        "- {}: {} pictures, heights {heights:?}, latency {:.1} s, stalls {:?}, errors {:?}",
        report.kind,
        report.frames,
        report.latency.median.unwrap_or(0.0),
        report.stalls,
        report.errors
    ));
}

/// Where both played, each keyframe of one is one of the other.
fn same_grid(top: &[i64], low: &[i64]) -> anyhow::Result<()> {
    let off = |at: &&i64| (*at + GOP / 2).rem_euclid(GOP).abs_diff(GOP / 2) > 20;
    let off: Vec<&i64> = top.iter().chain(low).filter(off).collect();
    ensure!(off.is_empty(), "keyframes off the grid: {off:?}");
    let (Some(from), Some(to)) = (top.first().max(low.first()), top.last().min(low.last())) else {
        anyhow::bail!("no keyframes");
    };
    let within = |keys: &[i64]| -> BTreeSet<i64> {
        let rounded = keys.iter().filter(|at| (from..=to).contains(at));
        rounded.map(|at| (at + GOP / 2) / GOP).collect()
    };
    let (top, low) = (within(top), within(low));
    ensure!(top == low, "keyframes that one rung has alone");
    let (Some(first), Some(last)) = (top.first(), top.last()) else {
        anyhow::bail!("no keyframes together");
    };
    ensure!(
        top.len() == usize::try_from(last - first + 1)?,
        "keyframes are missing"
    );
    Ok(())
}
