//! Inputs of other sizes, rates and codecs take turns under one worker.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::stage::say;
use super::ground::{HD, HEVC, NAME, SD, push, resident, rung, runtime, stream, until, worker};
use super::pictures::Pictures;
use crate::actors::{Decoder, Weir};

/// What the third input is pulled from.
const UPSTREAM: &str = "up";
/// Between two switches.
const BETWEEN: Duration = Duration::from_millis(2_300);

pub(super) async fn run(binary: &Path, switches: u32) -> anyhow::Result<()> {
    say(&format!(
        "\n## {switches} switches: 720p30 H.264, 480p25 H.264, 720p50 H.265 over HLS"
    ));
    let (weir, upstream) = (Weir::start(binary).await?, Weir::start(binary).await?);
    let files = weir.files()?;
    let [hd, sd, hevc] = [
        HD.record(&files).await?,
        SD.record(&files).await?,
        HEVC.record(&files).await?,
    ];
    upstream.create(UPSTREAM).await?;
    let _hevc = push(&hevc, &upstream.publish_url(UPSTREAM)?)?;
    upstream.until(UPSTREAM, "live").await?;
    let pulled = format!("{}/{UPSTREAM}/index.m3u8", upstream.origin()?);
    let inputs = json!([
        {"id": "hd", "url": "publish://", "key": "hd"},
        {"id": "sd", "url": "publish://", "key": "sd"},
        {"id": "hevc", "url": pulled},
    ]);
    weir.create_as(&stream(
        &inputs,
        &[rung("360p", 360, 600), rung("180p", 180, 250)],
    ))
    .await?;
    let base = weir.publish_url(NAME)?;
    let _pushes = [
        push(&hd, &format!("{base}?key=hd"))?,
        push(&sd, &format!("{base}?key=sd"))?,
    ];
    let ready = |r: &Value| (0..3).all(|at| r["inputs"][at]["fault"].is_null());
    until(&weir, "three inputs", ready).await?;
    until(&weir, "a ladder", |r| r["transcoder"]["state"] == "running").await?;
    weir.until_growing(NAME).await?;
    let mut rungs = [
        Pictures::play(&format!("{base}@360p"), 30)?,
        Pictures::play(&format!("{base}@180p"), 30)?,
    ];
    let mut decoder = Decoder::play(&format!("{}/{NAME}/index.m3u8", weir.origin()?))?;
    sleep(Duration::from_secs(8)).await;
    let before = worker(&runtime(&weir).await?);
    let parameters = weir.get(&format!("/{NAME}/v0.m3u8")).await?;
    let map = |playlist: &str| {
        let maps = playlist.lines().filter(|l| l.starts_with("#EXT-X-MAP"));
        maps.map(str::to_owned).collect::<Vec<_>>()
    };
    let memory = before.map(|(pid, _)| resident(pid)).transpose()?;
    let mut classes = std::collections::BTreeMap::<String, u32>::new();
    for n in 0..switches {
        let to = ["sd", "hevc", "hd"][usize::try_from(n % 3)?];
        weir.switch(NAME, Some(to)).await?;
        let now = until(&weir, "a switch", |r| r["input"] == to).await?;
        let class = now["switches"][0]["class"].as_str().unwrap_or("none");
        *classes.entry(class.to_owned()).or_default() += 1;
        sleep(BETWEEN).await;
        rungs.iter_mut().try_for_each(Pictures::gather)?;
    }
    let now = runtime(&weir).await?;
    let playlist = weir.get(&format!("/{NAME}/v0.m3u8")).await?;
    let decoded = decoder.report()?;
    let after = before.map(|(pid, _)| resident(pid)).transpose()?;
    say(&format!(
        "- classes {classes:?}; memory of the worker {memory:?} -> {after:?} KiB"
    ));
    for pictures in &rungs {
        say(&format!("- {}", pictures.found()));
    }
    say(&format!(
        "- decoder of HLS: {} pictures, errors {:?}",
        decoded.pictures, decoded.errors
    ));
    ensure!(worker(&now) == before, "another worker: {before:?}, {now}");
    ensure!(
        map(&playlist).first() == map(&parameters).first(),
        "other parameters"
    );
    ensure!(
        !playlist.contains("EXT-X-DISCONTINUITY\n"),
        "a discontinuity"
    );
    ensure!(decoded.errors.is_empty() && !decoded.ended, "{decoded:?}");
    let whole = rungs
        .iter()
        .map(Pictures::found)
        .all(|f| f.missing == 0 && f.backward == 0);
    ensure!(whole, "pictures are missing");
    Ok(())
}
