//! Inputs of other sizes, rates and codecs take turns under one worker.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::stage::say;
use super::ground::{HD, HEVC, NAME, SD, push, resident, rung, runtime, stream, until, worker};
use super::pictures::Pictures;
use crate::actors::{Decoder, Level, Players, Weir, offset};

/// What the third input is pulled from.
const UPSTREAM: &str = "up";
const KINDS: [&str; 2] = ["hls-ll", "shaka-ll"];
/// Seconds of a segment.
const SEGMENT: u64 = 2;
/// Milliseconds that sound and pictures may end up apart: a picture.
const APART: f64 = 34.0;
/// Between two switches.
const BETWEEN: Duration = Duration::from_millis(2_300);

pub(super) async fn run(binary: &Path, switches: u32) -> anyhow::Result<()> {
    say(&format!(
        "- {switches} switches: 720p30 H.264 over SRT, 480p25 H.264 over RTMP, 720p50 H.265 over HLS"
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
        push(&hd, &weir.srt_publish_url(&format!("{NAME}:hd")))?,
        push(&sd, &format!("{base}?key=sd"))?,
    ];
    let ready = |r: &Value| (0..3).all(|at| r["inputs"][at]["fault"].is_null());
    until(&weir, "three inputs", ready).await?;
    until(&weir, "a ladder", |r| r["transcoder"]["state"] == "running").await?;
    weir.until_growing(NAME).await?;
    let mut rungs = [
        Pictures::play(&format!("{base}@360p"), 30)?,
        Pictures::play(&format!("{base}@180p"), 30)?,
        Pictures::listen(&format!("{base}@180p"))?,
    ];
    let mut decoder = Decoder::play(&format!("{}/{NAME}/index.m3u8", weir.origin()?))?;
    let mut players = Players::open(&weir.origin()?, NAME, &KINDS).await?;
    players.playing(60, Duration::from_secs(60)).await?;
    // In low latency Shaka leaves pictures out where it changes rungs of its own accord.
    players.level(Level::High).await?;
    let best = format!("{base}@360p");
    let apart = offset(&best, 8).await?;
    let before = worker(&runtime(&weir).await?);
    let numbers = Numbers::of(&weir).await?;
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
    let numbers = (numbers, Numbers::of(&weir).await?);
    let apart = (apart, offset(&best, 8).await?);
    let reports = players.report().await?;
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
    say(&format!(
        "- sound behind pictures: {:.1} ms before, {:.1} ms after; segments {} -> {} in {:.0} s",
        apart.0,
        apart.1,
        numbers.0.newest,
        numbers.1.newest,
        (numbers.1.at - numbers.0.at).as_secs_f64()
    ));
    for report in &reports {
        say(&format!(
            "- {}: {} pictures, stalls {:?}, errors {:?}, {:?}",
            report.kind, report.frames, report.stalls, report.errors, report.heights
        ));
    }
    ensure!(
        (apart.1 - apart.0).abs() <= APART,
        "sound and pictures drift apart"
    );
    let undisturbed = |r: &crate::actors::PlayerReport| r.stalls.is_empty() && r.errors.count == 0;
    ensure!(reports.iter().all(undisturbed), "players were disturbed");
    ensure!(worker(&now) == before, "another worker: {before:?}, {now}");
    ensure!(
        numbers.0.parameters == numbers.1.parameters,
        "other parameters"
    );
    numbers.1.follow(&numbers.0)?;
    ensure!(decoded.errors.is_empty() && !decoded.ended, "{decoded:?}");
    let whole = rungs
        .iter()
        .map(Pictures::found)
        .all(|f| f.missing == 0 && f.backward == 0);
    ensure!(whole, "pictures are missing");
    Ok(())
}

/// What players hold on to: parameter sets of the rungs, and the numbers of segments.
struct Numbers {
    at: Instant,
    /// The initialisation segments' bytes.
    parameters: Vec<Bytes>,
    newest: u64,
    discontinuities: usize,
}

impl Numbers {
    async fn of(weir: &Weir) -> anyhow::Result<Self> {
        let (mut parameters, mut newest, mut discontinuities) = (Vec::new(), 0, 0);
        let at = Instant::now();
        for name in ["v0", "v0-180p"] {
            let playlist = weir.get(&format!("/{NAME}/{name}.m3u8")).await?;
            let tag = |tag: &str| {
                playlist
                    .lines()
                    .find_map(|l| l.strip_prefix(tag).map(str::to_owned))
            };
            let first: u64 = tag("#EXT-X-MEDIA-SEQUENCE:")
                .context("no number")?
                .parse()?;
            let segments = playlist
                .lines()
                .filter(|l| l.starts_with("#EXTINF"))
                .count();
            newest = first + u64::try_from(segments)?;
            discontinuities += playlist
                .lines()
                .filter(|l| *l == "#EXT-X-DISCONTINUITY")
                .count();
            let map = tag("#EXT-X-MAP:URI=\"").context("no map")?;
            let uri = map.split('"').next().unwrap_or_default();
            parameters.push(weir.bytes(&format!("/{NAME}/{uri}")).await?);
        }
        Ok(Self {
            at,
            parameters,
            newest,
            discontinuities,
        })
    }

    /// As many segments later as time has passed.
    fn follow(&self, before: &Self) -> anyhow::Result<()> {
        let due = (self.at - before.at).as_secs() / SEGMENT;
        let (least, most) = (before.newest + due - 1, before.newest + due + 2);
        ensure!(
            (least..=most).contains(&self.newest),
            "{} -> {}, {due} due",
            before.newest,
            self.newest
        );
        ensure!(
            self.discontinuities == 0,
            "{} discontinuities",
            self.discontinuities
        );
        Ok(())
    }
}
