//! A ladder that the machine cannot carry: because something else keeps it busy, which ends; because
//! the ladder is too heavy, until it is edited.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use super::super::stage::say;
use super::ground::{HD, NAME, copy, push, pushed, resident, rung, runtime, stream, until, worker};
use super::pictures::Pictures;
use crate::actors::Weir;

/// The longest time without a picture of the copy.
const PAUSE: Duration = Duration::from_millis(300);
/// How long it is too slow.
const SLOW: u32 = 60;
/// Programs that do nothing, and take all there is: many more than the machine has cores.
const BUSY: usize = 12;

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    say(&format!(
        "- the machine is busy with something else, {SLOW} s"
    ));
    let weir = Weir::start(binary).await?;
    let file = HD.record(&weir.files()?).await?;
    let fair = |name: &str, height: u32| json!({"name": name, "height": height, "preset": "fast"});
    weir.create_as(&stream(
        &pushed(),
        &[copy(), fair("a", 480), fair("b", 360)],
    ))
    .await?;
    let base = weir.publish_url(NAME)?;
    let _encoder = push(&file, &base)?;
    until(&weir, "a worker", |r| r["transcoder"]["state"] == "running").await?;
    sleep(Duration::from_secs(5)).await;
    let busy: Vec<Child> = (0..BUSY)
        .map(|_| idle_away())
        .collect::<anyhow::Result<_>>()?;
    suffer(&weir, &base).await?;
    drop(busy);
    recover(&weir).await?;

    say(&format!("- a ladder that is too heavy, {SLOW} s"));
    let heavy = |name: &str, height: u32| json!({"name": name, "height": height, "crf": 18, "preset": "veryslow"});
    let before = worker(&runtime(&weir).await?);
    weir.put(&stream(
        &pushed(),
        &[copy(), heavy("a", 720), heavy("b", 700), heavy("c", 680)],
    ))
    .await?;
    suffer(&weir, &base).await?;
    ensure!(worker(&runtime(&weir).await?) == before, "another worker");
    weir.put(&stream(&pushed(), &[copy(), rung("a", 180, 250)]))
        .await?;
    recover(&weir).await
}

/// A program that takes what it gets of a core.
fn idle_away() -> anyhow::Result<Child> {
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", "while :; do :; done"])
        .kill_on_drop(true);
    Ok(command.spawn()?)
}

/// It is said, memory stays bounded, and who plays the copy notices nothing.
async fn suffer(weir: &Weir, base: &str) -> anyhow::Result<()> {
    let mut copied = Pictures::play(&format!("{base}@source"), 30)?;
    let (mut server, mut process) = (Vec::new(), Vec::new());
    let mut said = None;
    let start = Instant::now();
    for _ in 0..SLOW {
        sleep(Duration::from_secs(1)).await;
        copied.gather()?;
        server.push(weir.footprint().await?.rss_kib);
        let now = runtime(weir).await?;
        if let Some((pid, _)) = worker(&now) {
            process.push(resident(pid)?);
        }
        if now["transcoder"]["overloaded"] == true {
            said.get_or_insert_with(|| start.elapsed());
        }
    }
    let now = runtime(weir).await?;
    let (told, found) = (&now["transcoder"], copied.found());
    let most = |kib: &[u64]| kib.iter().max().copied().unwrap_or_default() / 1024;
    let (first, last) = process.split_at(process.len() / 2);
    say(&format!(
        "- copy: {found}; memory at most: server {} MiB, worker {} then {} MiB; overloaded after {said:?}: {}",
        most(&server),
        most(first),
        most(last),
        brief(told)
    ));
    ensure!(said.is_some(), "it is not said: {told}");
    // Where the source is repeated a picture is missing in itself.
    let steady = found.backward == 0 && found.silence < PAUSE;
    ensure!(steady, "the copy suffers");
    Ok(())
}

/// By itself, with the worker that there is or another.
async fn recover(weir: &Weir) -> anyhow::Result<()> {
    let start = Instant::now();
    let quick = |r: &Value| {
        let told = &r["transcoder"];
        let speed = told["speed"].as_f64().unwrap_or(0.0);
        let lag = told["lag_ms"].as_f64().unwrap_or(f64::MAX);
        lag < 3_000.0 && (0.95..1.05).contains(&speed)
    };
    until(weir, "renditions in time", quick).await?;
    let in_time = start.elapsed();
    let fine = |r: &Value| r["transcoder"]["overloaded"] == false && quick(r);
    let fine = until(weir, "recovery", fine).await?;
    say(&format!(
        "- in time again after {:.1} s, said so after {:.1} s: {}",
        in_time.as_secs_f64(),
        start.elapsed().as_secs_f64(),
        brief(&fine["transcoder"])
    ));
    Ok(())
}

fn brief(told: &Value) -> String {
    let mut brief = told.clone();
    if let Some(brief) = brief.as_object_mut() {
        brief.remove("renditions");
    }
    brief.to_string()
}
