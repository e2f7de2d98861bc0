//! The configuration is written anew while everybody watches; nobody may notice.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::ground::{Ground, INPUTS, NAME};
use super::table::GROUP;
use super::tally::Count;
use crate::actors::{Decoder, Relay};
use crate::soak::stage::say;

/// The input that comes and goes.
const THIRD: &str = "third";
/// Until what a change did is seen.
const SEEN: u64 = 45;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(binary: &Path, changes: u32) -> anyhow::Result<()> {
    let mut ground = Ground::set_better(binary).await?;
    let mut decoder = Decoder::play(&format!("{}/{NAME}/index.m3u8", ground.weir.origin()?))?;
    decoder.until(30, PATIENCE).await?;
    let (_, before) = ground.active().await?;
    ground.audience.take()?;
    let mut third = None;
    // At last the third input is gone again.
    let changes = changes.next_multiple_of(3);
    for change in 0..changes {
        third = one(&ground, change, third).await?;
        ground
            .audience
            .until_seen(SEEN * u64::from(change + 1))
            .await?;
    }
    let (at, number) = ground.active().await?;
    let seen = ground.audience.take()?;
    tell(
        &format!("{changes} changes, {} switches", number - before),
        seen,
    );
    let removed = remove_active(&mut ground, &mut decoder).await;
    ground.clear().await?;
    removed?;
    ensure!(at == 0 && number == before, "switched for nothing");
    let lost = seen.iter().any(|c| c.lost + c.repeated > 0);
    ensure!(!lost, "changes cost frames: {seen:?}");
    Ok(())
}

/// Adds an input, changes the order of those that do not feed the programme, and removes it again
/// while it delivers, by turns.
async fn one(ground: &Ground, change: u32, third: Option<Relay>) -> anyhow::Result<Option<Relay>> {
    let mut stream = ground.weir.stream(NAME).await?;
    let inputs = stream["inputs"].as_array_mut().context("inputs")?;
    match change % 3 {
        0 => {
            inputs.push(json!({"id": THIRD, "url": "publish://", "key": THIRD, "priority": 2}));
            ground.weir.put(&stream).await?;
            let third = ground.push_to(THIRD)?;
            ground.until_ready().await?;
            Ok(Some(third))
        }
        1 => {
            let (second, last) = (inputs[1]["priority"].take(), inputs[2]["priority"].take());
            inputs[1]["priority"] = last;
            inputs[2]["priority"] = second;
            ground.weir.put(&stream).await?;
            Ok(third)
        }
        _ => {
            inputs.retain(|i| i["id"] != THIRD);
            inputs[1]["priority"] = json!(1);
            ground.weir.put(&stream).await?;
            Ok(None)
        }
    }
}

/// It is left as one that failed is, and nothing is lost.
async fn remove_active(ground: &mut Ground, decoder: &mut Decoder) -> anyhow::Result<()> {
    let mut stream = ground.weir.stream(NAME).await?;
    let inputs = stream["inputs"].as_array_mut().context("inputs")?;
    inputs.retain(|i| i["id"] != INPUTS[0]);
    ground.weir.put(&stream).await?;
    let switched = |r: &Value| r["switches"][0]["to"] == INPUTS[1];
    let after = ground.until("the other input", switched).await?;
    ground.audience.until_seen(60).await?;
    let seen = ground.audience.take()?;
    let switch = &after["switches"][0];
    let (reason, class, silent) = (
        &switch["reason"],
        &switch["class"],
        &switch["wall_silence_ms"],
    );
    tell(
        &format!("the active input removed: {reason}, {class}, programme silent for {silent} ms"),
        seen,
    );
    let so_far = decoder.report()?.pictures;
    // A player of whole segments is some of them behind.
    let decoded = decoder.until(so_far + 300, PATIENCE).await?;
    say(&format!(
        "- ffmpeg decoded {} pictures of HLS all the time, {} errors",
        decoded.pictures,
        decoded.errors.len()
    ));
    ensure!(switch["gap"] == false, "a gap: {after}");
    ensure!(reason == "removed", "why it was left: {after}");
    ensure!(seen[0].lost == 0, "pictures were lost: {seen:?}");
    ensure!(seen[0].repeated <= GROUP, "pictures came again: {seen:?}");
    Ok(())
}

fn tell(what: &str, [pictures, sounds]: [Count; 2]) {
    say(&format!(
        "- {what}; a player saw {} pictures, {} lost, {} repeated, without one for at most {} ms; {} sounds lost, {} repeated",
        pictures.frames,
        pictures.lost,
        pictures.repeated,
        pictures.silence.as_millis(),
        sounds.lost,
        sounds.repeated,
    ));
}
