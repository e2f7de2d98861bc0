//! The better input comes and goes; the programme must leave it alone.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::ground::{Ground, INPUTS};
use crate::soak::stage::say;

const DOWN: Duration = Duration::from_secs(1);

/// It is there for `up` and away for a second, so many times.
pub(super) async fn run(binary: &Path, up: Duration, times: u32) -> anyhow::Result<()> {
    let mut ground = Ground::set_better(binary).await?;
    let (_, before) = ground.active().await?;
    ground.audience.take()?;
    for _ in 0..times {
        ground.relay(0)?.kill()?;
        ground
            .until("it is gone", |r| !r["inputs"][0]["fault"].is_null())
            .await?;
        sleep(DOWN).await;
        ground.push(0)?;
        ground.until_ready().await?;
        sleep(up).await;
    }
    let [pictures, _] = ground.audience.take()?;
    let (at, number) = ground.active().await?;
    let silence = ground.runtime().await?["switches"][0]["wall_silence_ms"].take();
    say(&format!(
        "- {times} times {} s up, 1 s down: {} switches, fed by {} at last; a player without picture for at most {} ms, \
         {} pictures lost, {} repeated; programme silent for {silence} ms",
        up.as_secs(),
        number - before,
        INPUTS[at],
        pictures.silence.as_millis(),
        pictures.lost,
        pictures.repeated,
    ));
    ground.clear().await?;
    ensure!(
        number - before == 1 && at == 1,
        "it flapped as the input did"
    );
    ensure!(pictures.lost == 0, "pictures were lost");
    Ok(())
}
