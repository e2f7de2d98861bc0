//! A great many switches: nothing may pile up, no segment may miss.

use std::path::Path;

use anyhow::ensure;

use super::ground::{Ground, INPUTS, Plan};
use crate::actors::Footprint;
use crate::soak::stage::say;

/// What the first switches fill is not counted as growth.
const WARM: u64 = 50;

/// The active input is killed and comes back, until the programme was switched so often.
pub(super) async fn run(binary: &Path, switches: u64) -> anyhow::Result<()> {
    let mut ground = Ground::set(binary, Plan::default()).await?;
    let (mut at, begin) = ground.active().await?;
    let mut warm = None;
    say("\n| switches | RSS KiB | files | tasks |\n|--:|--:|--:|--:|");
    for done in 1..=switches {
        ground.relay(at)?.kill()?;
        let other = 1 - at;
        ground
            .until("the other input", |r| {
                r["switches"][0]["to"] == INPUTS[other]
            })
            .await?;
        ground.push(at)?;
        ground.until_ready().await?;
        at = other;
        if done % WARM == 0 || done == switches {
            let held = tell(&ground, done).await?;
            warm.get_or_insert(held);
        }
    }
    let (_, number) = ground.active().await?;
    let held = ground.weir.footprint().await?;
    ground.clear().await?;
    ensure!(
        number - begin == switches,
        "{} switches, {switches} failures",
        number - begin
    );
    warm.map_or(Ok(()), |warm| compare(warm, held))
}

async fn tell(ground: &Ground, done: u64) -> anyhow::Result<Footprint> {
    let held = ground.weir.footprint().await?;
    let Footprint {
        rss_kib,
        files,
        tasks,
    } = held;
    say(&format!("| {done} | {rss_kib} | {files} | {tasks} |"));
    Ok(held)
}

fn compare(warm: Footprint, held: Footprint) -> anyhow::Result<()> {
    let most = warm.rss_kib + warm.rss_kib / 20;
    ensure!(
        held.rss_kib <= most,
        "memory grew by more than 5 %: {warm:?}, {held:?}"
    );
    // A player that asks at this moment, and who it was a moment ago.
    let near = held.files <= warm.files + 4 && held.tasks <= warm.tasks + 4;
    ensure!(near, "files or tasks piled up: {warm:?}, {held:?}");
    Ok(())
}
