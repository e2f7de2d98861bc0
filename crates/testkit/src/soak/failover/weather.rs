//! Bad weather on both ways, in which no switch does any good.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::ground::{Ground, Plan};
use crate::link::{Outages, Weather};
use crate::soak::stage::say;

/// 1 % lost, up to 50 ms late, and every ten seconds or so 150 ms of nothing.
const ROUGH: Weather = Weather {
    delay: Duration::from_millis(10),
    jitter: Duration::from_millis(50),
    loss: 0.01,
    outages: Some(Outages {
        every: Duration::from_secs(10),
        lasting: Duration::from_millis(150),
    }),
    ..Weather::FAIR
};

pub(super) async fn run(binary: &Path, plan: Plan, minutes: u32) -> anyhow::Result<()> {
    let mut ground = Ground::set(binary, plan).await?;
    let (_, before) = ground.active().await?;
    for at in [0, 1] {
        ground.line(at)?.set(ROUGH);
    }
    ground.audience.take()?;
    for _ in 0..minutes {
        sleep(Duration::from_secs(60)).await;
        ground.audience.gather()?;
    }
    let runtime = ground.runtime().await?;
    let [pictures, _] = ground.audience.take()?;
    let number = runtime["switches"][0]["number"].as_u64().unwrap_or(0);
    let counts = ground.line(0)?.counts() + ground.line(1)?.counts();
    say(&format!(
        "- {minutes} minutes: {} packets, {} lost, {} outages; {} switches; a player without picture for at most {} ms, \
         {} pictures lost; left if silent for {} ms",
        counts.taken,
        counts.lost,
        counts.outages,
        number - before,
        pictures.silence.as_millis(),
        pictures.lost,
        runtime["inputs"][0]["silent_after_ms"],
    ));
    let switches = &runtime["switches"];
    ground.clear().await?;
    ensure!(number == before, "switched for nothing: {switches}");
    ensure!(pictures.lost == 0, "pictures were lost");
    Ok(())
}
