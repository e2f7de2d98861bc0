//! The second input has another size, rate and profile: players get it as one discontinuity.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::browsers::Noticed;
use super::ground::{Contents, Ground, INPUTS, NAME, Plan};
use super::judge::Machine;
use super::ticker::Ticker;
use crate::actors::{Decoder, PlayerReport, Players};
use crate::soak::players::PATIENCE;
use crate::soak::stage::say;

const KINDS: [&str; 2] = ["hls-ll", "shaka-ll"];
/// The first input fails so often; each time it is on probation for longer.
const FAILURES: u32 = 2;
/// Until the slowest player shows what came last.
const SETTLED: Duration = Duration::from_secs(10);

pub(super) async fn run(binary: &Path) -> anyhow::Result<()> {
    let plan = Plan {
        contents: Contents::Formats,
        priority: 1,
        machine: Machine::Crowded,
        ..Plan::default()
    };
    let mut ground = Ground::set(binary, plan).await?;
    ground
        .until("the better input", |r| r["input"] == INPUTS[0])
        .await?;
    let origin = ground.weir.origin()?;
    let mut watched = Watched {
        decoder: Decoder::play(&format!("{origin}/{NAME}/index.m3u8"))?,
        players: Players::open(&origin, NAME, &KINDS).await?,
        machine: Ticker::start(),
    };
    watched.decoder.until(30, PATIENCE).await?;
    watched.players.playing(60, PATIENCE).await?;
    sleep(SETTLED).await;
    for _ in 0..FAILURES {
        watched.step(&mut ground, 1).await?;
        watched.step(&mut ground, 0).await?;
    }
    drop(watched);
    ground.clear().await
}

/// Who plays it.
struct Watched {
    decoder: Decoder,
    players: Players,
    machine: Ticker,
}

impl Watched {
    /// To that input: the first one is killed, or comes back.
    async fn step(&mut self, ground: &mut Ground, to: usize) -> anyhow::Result<()> {
        let lists = Lists::read(ground).await?;
        let before = self.players.report().await?;
        let decoded = self.decoder.report()?;
        self.machine.take();
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
            "\nto {}: {}, {}, programme silent for {} ms; over RTMP {} pictures lost, {} repeated, {} and {} sounds",
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
            "- ffmpeg over HLS: {} pictures before, {} after, {} errors {:?}",
            decoded.pictures,
            now.pictures,
            now.errors.len(),
            now.errors
        ));
        say(&self.machine.line());
        go_on(&before, &after)?;
        ensure!(!now.ended && now.errors.is_empty(), "ffmpeg: {now:?}");
        ensure!(now.pictures > decoded.pictures, "ffmpeg stands still");
        ensure!(pictures.lost == 0, "pictures were lost: {pictures:?}");
        lists.hold(&Lists::read(ground).await?)
    }
}

/// Browsers show pictures of what came last.
fn go_on(before: &[PlayerReport], after: &[PlayerReport]) -> anyhow::Result<()> {
    for (before, after) in before.iter().zip(after) {
        Noticed::new(before, after).tell();
        let silent = after.silent.unwrap_or(f64::MAX);
        let fatal = after.errors.last.iter().any(|e| e.ends_with('!'));
        ensure!(
            after.dead.is_none() && !fatal && silent < 2.0,
            "a player stands still: {after:?}"
        );
    }
    Ok(())
}

/// What the list of pictures says of formats.
#[derive(Debug)]
struct Lists {
    discontinuities: u64,
    /// The newest one.
    map: String,
}

impl Lists {
    async fn read(ground: &Ground) -> anyhow::Result<Self> {
        let list = ground.weir.get(&format!("/{NAME}/v0.m3u8")).await?;
        Self::of(&list)
    }

    fn of(list: &str) -> anyhow::Result<Self> {
        let gone = list
            .lines()
            .find_map(|l| l.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:"));
        let gone: u64 = gone.map_or(Ok(0), str::parse)?;
        let listed = list.lines().filter(|l| *l == "#EXT-X-DISCONTINUITY");
        let map = list.lines().rfind(|l| l.starts_with("#EXT-X-MAP:"));
        Ok(Self {
            discontinuities: gone + u64::try_from(listed.count())?,
            map: map.context("no EXT-X-MAP")?.to_owned(),
        })
    }

    /// One switch between two formats lies between them.
    fn hold(&self, after: &Self) -> anyhow::Result<()> {
        say(&format!(
            "- EXT-X-DISCONTINUITY: {} before, {} after; {} then {}",
            self.discontinuities, after.discontinuities, self.map, after.map
        ));
        ensure!(
            after.discontinuities == self.discontinuities + 1,
            "not one discontinuity: {self:?}, {after:?}"
        );
        ensure!(after.map != self.map, "no other EXT-X-MAP: {after:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discontinuities_that_left_the_list_count() {
        let list = "#EXTM3U\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXT-X-MAP:URI=\"a\"\n1.m4s\n\
                    #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"b\"\n2.m4s\n";
        let lists = Lists::of(list).unwrap();
        assert_eq!(
            (lists.discontinuities, &lists.map[..]),
            (4, "#EXT-X-MAP:URI=\"b\"")
        );
    }
}
