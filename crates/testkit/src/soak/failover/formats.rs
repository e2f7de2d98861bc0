//! The second input has another size, rate and profile: players get it as one discontinuity.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;
use tokio::time::sleep;

use super::browsers::Noticed;
use super::ground::{Contents, Ground, INPUTS, NAME, Plan};
use super::judge::Leeway;
use super::runs::Runs;
use super::ticker::Ticker;
use crate::actors::{Decoder, PlayerReport, Players};
use crate::soak::players::PATIENCE;
use crate::soak::stage::say;

const KINDS: [&str; 2] = ["hls-ll", "shaka-ll"];
/// The first input fails so often; each time it is on probation for longer.
const FAILURES: u32 = 2;
/// Of the first input, rounded down.
const PICTURE_MS: u64 = 33;
/// Until the slowest player shows what came last.
const SETTLED: Duration = Duration::from_secs(10);

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    let plan = Plan {
        contents: Contents::Formats,
        priority: 1,
        leeway: Leeway::Crowded,
        ..Plan::default()
    };
    let mut ground = Ground::set(binary, plan).await?;
    ground
        .until("the better input", |r| r["input"] == INPUTS[0])
        .await?;
    let origin = ground.weir.origin()?;
    let mut watched = Watched {
        // ffmpeg plays no HLS in which EXT-X-MAP changes, its own included: it gets that in pieces.
        decoder: Decoder::play(&ground.weir.publish_url(NAME)?)?,
        players: Players::open(&origin, NAME, &KINDS).await?,
        machine: Ticker::start(),
    };
    watched.decoder.until(30, PATIENCE).await?;
    watched.players.playing(60, PATIENCE).await?;
    sleep(SETTLED).await;
    let done = watched.steps(&mut ground).await;
    drop(watched);
    // The linter's word counts too where a player stopped.
    let clear = ground.clear().await;
    done.and(clear)
}

/// Who plays it.
struct Watched {
    decoder: Decoder,
    players: Players,
    machine: Ticker,
}

impl Watched {
    async fn steps(&mut self, ground: &mut Ground) -> anyhow::Result<()> {
        for _ in 0..FAILURES {
            self.step(ground, 1).await?;
            self.step(ground, 0).await?;
        }
        Ok(())
    }

    /// To that input: the first one is killed, or comes back.
    async fn step(&mut self, ground: &mut Ground, to: usize) -> anyhow::Result<()> {
        let runs = Runs::read(&ground.weir).await?;
        let before = self.players.report().await?;
        let decoded = self.decoder.report()?;
        self.machine.take();
        let lead = ground.runtime().await?["lead_ms"].as_u64().unwrap_or(0);
        ground.audience.take()?;
        match to {
            0 => ground.push(0)?,
            _ => ground.relay(0)?.kill()?,
        }
        let switched = |r: &Value| r["input"] == INPUTS[to];
        let told = ground.until("the other input", switched).await?;
        sleep(SETTLED).await;
        let now = self.decoder.report()?;
        let after = self.players.report().await?;
        let [pictures, sounds] = ground.audience.take()?;
        let switch = &told["switches"][0];
        say(&format!(
            "\nto {}: {}, {}, lead {lead} ms before, programme silent for {} ms; over RTMP {} pictures lost, {} repeated, {} and {} sounds",
            INPUTS[to],
            switch["reason"],
            switch["class"],
            switch["wall_silence_ms"],
            pictures.lost,
            pictures.repeated,
            sounds.lost,
            sounds.repeated,
        ));
        say(&format!(
            "- ffmpeg over RTMP: {} pictures before, {} after, {} errors {:?}",
            decoded.pictures,
            now.pictures,
            now.errors.len(),
            now.errors
        ));
        say(&self.machine.line());
        go_on(&before, &after)?;
        ensure!(!now.ended && now.errors.is_empty(), "ffmpeg: {now:?}");
        ensure!(now.pictures > decoded.pictures, "ffmpeg stands still");
        // A planned switch leaves out what an earlier one repeated.
        let repaid = lead.div_ceil(PICTURE_MS);
        let allowed = if to == 0 { repaid } else { 0 };
        ensure!(pictures.lost <= allowed, "pictures were lost: {pictures:?}");
        let runs_now = Runs::read(&ground.weir).await?;
        runs.hold(&runs_now)?;
        runs_now.decode(&ground.weir.origin()?).await
    }
}

/// Browsers show pictures of what came last.
fn go_on(before: &[PlayerReport], after: &[PlayerReport]) -> anyhow::Result<()> {
    for (before, after) in before.iter().zip(after) {
        Noticed::new(before, after).tell();
        let silent = after.silent.unwrap_or(f64::MAX);
        // What a player calls fatal and gets over by itself is told above.
        ensure!(
            after.dead.is_none() && silent < 2.0,
            "a player stands still: {after:?}"
        );
    }
    Ok(())
}
