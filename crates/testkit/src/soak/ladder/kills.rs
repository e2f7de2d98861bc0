//! The worker dies, or hangs, beside a copy: encoded rungs go on, the copy notices nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use super::super::stage::say;
use super::ground::{HD, NAME, copy, push, pushed, rung, runtime, signal, stream, until, worker};
use super::pictures::Pictures;
use crate::actors::Weir;
use crate::lint::Quantiles;

/// One that lived for less is taken for one that fails at once.
const LIVED: Duration = Duration::from_millis(5_500);
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Kill,
    Stop,
}

pub(super) async fn run(binary: &Path, rounds: u32, how: How) -> anyhow::Result<()> {
    say(&format!("- worker: {how:?}, {rounds} times"));
    let weir = Weir::start(binary).await?;
    let file = HD.record(&weir.files()?).await?;
    weir.create_as(&stream(
        &pushed(),
        &[rung("360p", 360, 600), rung("180p", 180, 250)],
    ))
    .await?;
    let _encoder = push(&file, &weir.publish_url(NAME)?)?;
    trial(&weir, rounds, how, "without a copy", "360p").await?;
    on_grid(&weir.get(&format!("/{NAME}/v0.m3u8")).await?)?;
    let mut edited = stream(&pushed(), &[copy(), rung("180p", 180, 250)]);
    edited["name"] = "n".into();
    weir.put(&edited).await?;
    until(&weir, "a copy", |r| r["status"] == "live").await?;
    trial(&weir, rounds.div_ceil(5), how, "beside a copy", "180p").await
}

async fn trial(weir: &Weir, rounds: u32, how: How, what: &str, name: &str) -> anyhow::Result<()> {
    until(weir, "a worker", |r| r["transcoder"]["state"] == "running").await?;
    let base = weir.publish_url(NAME)?;
    let mut encoded = Pictures::play(&format!("{base}@{name}"), 30)?;
    let mut first = Pictures::play(&base, 30)?;
    sleep(LIVED).await;
    let mut waits = Vec::new();
    for _ in 0..rounds {
        let (pid, restarts) = worker(&runtime(weir).await?).unwrap_or_default();
        ensure!(pid > 0, "no worker");
        encoded.gather()?;
        let killed = Instant::now();
        match how {
            How::Kill => signal(pid, "KILL").await?,
            How::Stop => signal(pid, "STOP").await?,
        }
        until(weir, "another worker", |r| {
            worker(r).is_some_and(|(p, n)| p != pid && n > restarts)
        })
        .await?;
        let replaced = Instant::now();
        waits.push(wait(&mut encoded, killed, replaced).await?);
        sleep(LIVED).await;
    }
    first.gather()?;
    encoded.gather()?;
    let spread = Quantiles::of(&waits);
    let (top, low) = (first.found(), encoded.found());
    say(&format!(
        "- {what}: first picture again after p50 {} p99 {} max {} ms; {name}: {low}; best rung: {top}",
        spread.p50, spread.p99, spread.max
    ));
    ensure!(low.backward + top.backward == 0, "times that do not grow");
    Ok(())
}

/// Milliseconds from the signal to the first picture of the next worker: the last pause's end.
async fn wait(encoded: &mut Pictures, killed: Instant, replaced: Instant) -> anyhow::Result<i64> {
    let start = Instant::now();
    loop {
        if let Some(at) = encoded.first_after(replaced)? {
            return Ok(i64::try_from((at - killed).as_millis())?);
        }
        ensure!(start.elapsed() < PATIENCE, "no picture came");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Segments begin where they would have begun: at even seconds.
fn on_grid(playlist: &str) -> anyhow::Result<()> {
    let dates = playlist
        .lines()
        .filter_map(|l| l.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    let mut segments = 0;
    for date in dates {
        segments += 1;
        let (second, fraction) = date
            .rsplit_once(':')
            .and_then(|(_, s)| s.split_once('.'))
            .unwrap_or(("1", ""));
        let even = second.parse::<u32>()?.is_multiple_of(2);
        ensure!(
            even && fraction.starts_with("000"),
            "a segment begins at {date}"
        );
    }
    say(&format!("- {segments} segments, all at even seconds"));
    ensure!(segments > 0, "no segments: {playlist}");
    Ok(())
}
