//! A ladder that the machine cannot carry.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::sleep;

use super::super::stage::say;
use super::ground::{HD, NAME, copy, push, pushed, resident, rung, runtime, stream, until, worker};
use super::pictures::Pictures;
use crate::actors::Weir;

/// The longest time without a picture of the copy.
const PAUSE: Duration = Duration::from_millis(300);
/// How long it is too slow.
const SLOW: u32 = 60;

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    say(&format!("\n## a ladder that is too heavy, {SLOW} s"));
    let weir = Weir::start(binary).await?;
    let file = HD.record(&weir.files()?).await?;
    let heavy = |name: &str, height: u32| json!({"name": name, "height": height, "crf": 18, "preset": "veryslow"});
    weir.create_as(&stream(
        &pushed(),
        &[copy(), heavy("a", 720), heavy("b", 700), heavy("c", 680)],
    ))
    .await?;
    let base = weir.publish_url(NAME)?;
    let _encoder = push(&file, &base)?;
    until(&weir, "a worker", |r| worker(r).is_some()).await?;
    sleep(Duration::from_secs(5)).await;
    let mut copied = Pictures::play(&format!("{base}@source"), 30)?;
    let (mut server, mut process) = (0, 0);
    for _ in 0..SLOW {
        sleep(Duration::from_secs(1)).await;
        copied.gather()?;
        server = server.max(weir.footprint().await?.rss_kib);
        if let Some((pid, _)) = worker(&runtime(&weir).await?) {
            process = process.max(resident(pid)?);
        }
    }
    let now = runtime(&weir).await?;
    let found = copied.found();
    say(&format!(
        "- copy: {found}; memory at most: server {server}, worker {process} KiB"
    ));
    say(&format!("- {}", now["transcoder"]));
    ensure!(now["transcoder"]["overloaded"] == true, "it is not said");
    ensure!(
        now["transcoder"]["restarts"] == 0,
        "the worker did not live through it"
    );
    // Where the source is repeated a picture is missing in itself.
    let steady = found.backward == 0 && found.silence < PAUSE;
    ensure!(steady, "the copy suffers");
    weir.put(&stream(&pushed(), &[copy(), rung("a", 180, 250)]))
        .await?;
    let fine = until(&weir, "recovery", |r| {
        let told = &r["transcoder"];
        told["overloaded"] == false && told["speed"].as_f64().is_some_and(|s| s > 0.95)
    })
    .await?;
    say(&format!("- lighter: {}", fine["transcoder"]));
    Ok(())
}
