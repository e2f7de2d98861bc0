//! One source in, many tracks out: a copy beside an encoded rung, two languages, each in two codecs.

use std::path::Path;
use std::time::Duration;

use anyhow::{bail, ensure};
use serde_json::json;

use super::super::stage::say;
use super::ground::{NAME, copy, rung, runtime, until};
use crate::actors::{
    BEEPS, Decoder, FLASHES, Keyframes, Level, PlayerReport, Players, Weir, ffmpeg_done, offset,
};

/// Chromium's own player does not go from one codec of sound to another.
const KINDS: [&str; 4] = ["hls-ll", "shaka-ll", "hls", "shaka"];
const PATIENCE: Duration = Duration::from_secs(60);
/// Pictures of some seconds.
const PICTURES: u64 = 450;
/// Milliseconds that sound and pictures may be apart: a picture.
const APART: f64 = 34.0;

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    say("- a copy and 180p, two languages in AAC and Opus");
    let weir = Weir::start(binary).await?;
    let file = weir.files()?.join("two.ts");
    ffmpeg_done(&format!(
        "-v error -y -f lavfi -i testsrc2=s=640x360:r=30,{FLASHES} -f lavfi -i {BEEPS}:s=48000 -f lavfi -i {BEEPS}:s=44100 -t 150 \
         -map 0 -map 1 -map 2 -c:v libx264 -preset veryfast -tune zerolatency -b:v 900k -g 60 -sc_threshold 0 -c:a aac -ac 2 \
         -b:a 96k -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -f mpegts {}",
        file.display()
    ))
    .await?;
    weir.create_as(&json!({
        "name": NAME,
        "inputs": [{"id": "file", "url": "file://two.ts"}],
        "transcode": {
            "video": [copy(), rung("180p", 180, 250)],
            "audio": [{"name": "aac", "bitrate_kbps": 96}, {"name": "opus", "codec": "opus"}],
        },
    }))
    .await?;
    until(&weir, "a ladder", |r| r["transcoder"]["state"] == "running").await?;
    weir.until_growing(NAME).await?;
    let index = weir.get(&format!("/{NAME}/index.m3u8")).await?;
    let tracks: Vec<&str> = index.lines().filter(|l| l.contains("TYPE=AUDIO")).collect();
    say(&format!("- {}", tracks.join("\n- ")));
    for (group, language) in [("aac", "en"), ("aac", "de"), ("opus", "en"), ("opus", "de")] {
        let is = |l: &&&str| {
            l.contains(&format!("GROUP-ID=\"audio-{group}\""))
                && l.contains(&format!("LANGUAGE=\"{language}\""))
        };
        ensure!(
            tracks.iter().filter(is).count() == 1,
            "{language} in {group}: {index}"
        );
    }
    let playlist = |name: &str| Ok::<_, anyhow::Error>(format!("{}/{NAME}/{name}", weir.origin()?));
    let (top, low) = (playlist("v0.m3u8")?, playlist("v0-180p.m3u8")?);
    let (top, low) = (Keyframes::play(&top, 20)?, Keyframes::play(&low, 20)?);
    let mut decoders = Vec::new();
    for line in index.lines() {
        let uri = match line.split("URI=\"").nth(1) {
            Some(rest) => rest.split('"').next().unwrap_or_default(),
            None if line.starts_with('#') => continue,
            None => line,
        };
        if line.contains("TYPE=AUDIO") {
            decoders.push(Decoder::listen(&playlist(uri)?)?);
        }
    }
    let mut players = Players::open(&weir.origin()?, NAME, &KINDS).await?;
    // In low latency Shaka leaves pictures out where it changes rungs of its own accord.
    players.level(Level::High).await?;
    // It loses its sound for good where it is told of another before it plays.
    players.playing(PICTURES / 5, PATIENCE).await?;
    let mut wanted = PICTURES;
    for language in ["en", "de", "en"] {
        players.hear(language).await?;
        if players.playing(wanted, PATIENCE).await.is_err() {
            bail!("players stand still: {:?}", players.report().await?);
        }
        wanted += PICTURES;
        for report in players.report().await? {
            let heard = report.sound.as_deref();
            ensure!(
                heard.is_none_or(|l| l == language),
                "{}: {heard:?}, not {language}",
                report.kind
            );
        }
    }
    let reports = players.report().await?;
    for report in &reports {
        say(&format!(
            "- {}: {} pictures, stalls {:?}, errors {:?}",
            report.kind, report.frames, report.stalls, report.errors
        ));
    }
    let (top, low) = (top.told().await?, low.told().await?);
    let together = |a: &[i64], b: &[i64]| {
        a.iter()
            .filter(|at| b.iter().any(|b| b.abs_diff(**at) < 20))
            .count()
    };
    say(&format!(
        "- keyframes of the copy {}, of 180p {}, {} at the same times",
        top.len(),
        low.len(),
        together(&top, &low)
    ));
    let apart = offset(&format!("{}@180p", weir.publish_url(NAME)?), 8).await?;
    say(&format!("- sound behind pictures: {apart:.1} ms"));
    for decoder in &mut decoders {
        let decoded = decoder.report()?;
        ensure!(decoded.errors.is_empty() && !decoded.ended, "{decoded:?}");
    }
    say(&format!("- {}", runtime(&weir).await?["transcoder"]));
    // The two players do not begin with the same segment.
    ensure!(
        together(&top, &low) + 2 >= top.len().max(low.len()),
        "{top:?} {low:?}"
    );
    ensure!(apart.abs() <= APART, "sound and pictures are apart");
    // Each of the four changes that they were told of may show for a moment: they fetch anew.
    let shown = |r: &PlayerReport| r.stalls.iter().all(|s| s.seconds <= 1.5) && r.stalls.len() <= 4;
    let waited = |r: &PlayerReport| r.errors.last.iter().all(|e| e == "bufferStalledError");
    let fine = reports
        .iter()
        .all(|r| shown(r) && waited(r) && r.dead.is_none());
    ensure!(fine, "players were disturbed");
    Ok(())
}
