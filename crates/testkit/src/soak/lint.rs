//! Blocking readers through everything.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::stage::{Stage, say};

pub(super) async fn run(weir: PathBuf, minutes: u64, readers: usize) -> anyhow::Result<()> {
    let whole = Duration::from_secs(60 * minutes);
    say(&format!("\n## {readers} readers, undisturbed"));
    let stage = Stage::set(&weir, readers).await?;
    sleep(whole).await;
    stage.clear().await?;

    say(&format!(
        "\n## {readers} readers, the publisher comes and goes"
    ));
    let mut stage = Stage::set(&weir, readers).await?;
    let end = Instant::now() + whole / 2;
    for away in [3, 10, 30].into_iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        sleep(Duration::from_secs(10)).await;
        stage.cut().await?;
        sleep(Duration::from_secs(away)).await;
        stage.push()?;
        stage.until_live().await?;
    }
    stage.clear().await?;

    say(&format!("\n## {readers} readers, the server is killed"));
    let mut stage = Stage::set(&weir, readers).await?;
    let end = Instant::now() + whole / 2;
    while Instant::now() < end {
        sleep(Duration::from_secs(20)).await;
        stage.kill_server().await?;
        stage.weir.resume().await?;
        stage.push()?;
        stage.until_live().await?;
    }
    stage.clear().await.map(drop)
}
