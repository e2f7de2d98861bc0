//! Every input is away for a while.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ground::{Ground, Plan};
use crate::lint::State;
use crate::soak::stage::say;

pub(super) async fn run(binary: &Path, seconds: &[u64]) -> anyhow::Result<()> {
    let mut ground = Ground::set(binary, Plan::default()).await?;
    for away in seconds {
        ground.tell(State::HOLD.and(State::SWITCH));
        for at in [0, 1] {
            ground.relay(at)?.kill()?;
        }
        ground.until("hold", |r| r["status"] == "hold").await?;
        ground.audience.take()?;
        sleep(Duration::from_secs(*away)).await;
        let back = Instant::now();
        for at in [0, 1] {
            ground.push(at)?;
        }
        ground.audience.until_seen(1).await?;
        let seen = back.elapsed();
        ground.until_growing().await?;
        say(&format!(
            "- all inputs away for {away} s: a player that stayed has pictures again after {} ms, playlists grow after {} ms",
            seen.as_millis(),
            back.elapsed().as_millis()
        ));
        ground.tell(State::SWITCH);
        ground.audience.until_steady().await?;
    }
    ground.clear().await
}
