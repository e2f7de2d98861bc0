//! Nothing happens, for long.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::stage::say;
use super::ground::{HD, NAME, push, pushed, rung, runtime, stream, until};
use super::pictures::Pictures;
use crate::actors::{Decoder, Players, Weir};
use crate::lint::State;
use crate::poll::{self, Source};

const KINDS: [&str; 2] = ["hls-ll", "shaka-ll"];

pub(super) async fn run(binary: &Path, seconds: u64) -> anyhow::Result<()> {
    say(&format!("\n## 720p30 to 360p and 180p, {seconds} s"));
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
    ];
    let origin = weir.origin()?;
    let playlist = |name: &str| format!("{origin}/{NAME}/{name}.m3u8");
    let mut decoders = [
        Decoder::play(&playlist("v0"))?,
        Decoder::play(&playlist("v0-180p"))?,
    ];
    let (told, state) = watch::channel(State::NORMAL);
    let config = poll::Config {
        duration: Duration::MAX,
        ..poll::Config::new(&playlist("index"))
    };
    let linter = tokio::spawn(async move { poll::run(&config, Source::Told(state)).await });
    let mut players = Players::open(&origin, NAME, &KINDS).await?;
    players.playing(60, Duration::from_secs(60)).await?;
    for _ in 0..seconds {
        sleep(Duration::from_secs(1)).await;
        rungs.iter_mut().try_for_each(Pictures::gather)?;
    }
    let reports = players.report().await?;
    drop(told);
    let report = linter.await??;
    for pictures in &rungs {
        say(&format!("- {}", pictures.found()));
    }
    for report in &reports {
        say(&format!(
            "- {}: {} pictures, stalls {:?}, errors {:?}",
            report.kind, report.frames, report.stalls, report.errors
        ));
    }
    say(&format!("- {}", runtime(&weir).await?["transcoder"]));
    say(&report.to_string());
    for decoder in &mut decoders {
        let decoded = decoder.report()?;
        ensure!(decoded.errors.is_empty() && !decoded.ended, "{decoded:?}");
    }
    ensure!(report.violations.is_empty(), "rules were broken");
    ensure!(
        reports
            .iter()
            .all(|r| r.stalls.is_empty() && r.errors.count == 0),
        "players stalled"
    );
    let whole = rungs
        .iter()
        .map(Pictures::found)
        .all(|f| f.missing == 0 && f.backward == 0);
    ensure!(whole, "pictures are missing");
    Ok(())
}
