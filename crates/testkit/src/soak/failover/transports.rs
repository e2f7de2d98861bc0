//! SRT, RTMP and HLS on one stream: the best one that lives feeds the programme, and is killed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::audience::Audience;
use super::ground::{NAME, runtime, unix_ms, until};
use super::judge::{Judge, Leeway};
use super::table::{self, GROUP, Promise};
use super::ticker::{MOST, Ticker};
use super::trial::Trial;
use crate::actors::{Counted, Relay, Way, Weir};
use crate::soak::stage::say;

/// The best one first.
const INPUTS: [&str; 3] = ["srt", "rtmp", "hls"];
const UPSTREAM: &str = "upstream";
/// Each of other bytes.
const KBITS: [u32; 3] = [440, 660, 880];
/// Groups of every input came: milliseconds.
const KNOWN: i64 = 4_000;
/// One that says nothing when it ends is missed after this: milliseconds.
const SILENT: i64 = 500;
/// So long HLS may be behind, and nothing of it come, after the last input that was pushed.
const BEHIND: Duration = Duration::from_secs(10);

struct Ground {
    weir: Weir,
    // What is pulled ends with us.
    _upstream: Weir,
    _pushed: Relay,
    audience: Audience,
    judge: Judge,
    ticker: Ticker,
    contents: Vec<Arc<Counted>>,
    ways: [Way; 2],
    clock: Instant,
    /// SRT and RTMP.
    relays: [Option<Relay>; 2],
}

/// Three switches a round: SRT dies, RTMP dies, and by hand from HLS to SRT again.
pub(super) async fn run(binary: &Path, switches: u32) -> anyhow::Result<()> {
    let mut ground = Ground::set(binary).await?;
    let (_, before) = ground.active().await?;
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    let rounds = switches.div_ceil(3);
    for round in 0..rounds {
        let moment = Duration::from_millis(u64::from(round * 370 % 1_000));
        for (at, trials) in found.iter_mut().enumerate() {
            trials.push(ground.trial(at, moment).await?);
        }
        ground.until_known().await?;
    }
    let (_, after) = ground.active().await?;
    let cleared = ground.clear().await;
    say(table::HEAD);
    for (name, trials) in ["srt, rtmp", "rtmp, hls", "hls, srt by hand"]
        .iter()
        .zip(&found)
    {
        say(&table::row(name, trials));
    }
    cleared?;
    ensure!(
        after - before == u64::from(rounds * 3),
        "{} switches, {} wanted",
        after - before,
        rounds * 3
    );
    hold(&found)
}

fn hold([srt, rtmp, hand]: &[Vec<Trial>; 3]) -> anyhow::Result<()> {
    let promise = Promise {
        detection: Some(SILENT),
        repeated: GROUP,
        ..Promise::default()
    };
    table::hold("SRT to RTMP", srt, promise)?;
    // A connection that closes is noticed at once. What HLS has then was shown before: it is behind.
    for trial in rtmp {
        ensure!(trial.seen[0].lost == 0, "RTMP to HLS: {trial:?}");
        ensure!(
            trial.disturbed || trial.decision <= 20,
            "RTMP to HLS: {trial:?}"
        );
        ensure!(trial.seen[0].silence <= BEHIND, "RTMP to HLS: {trial:?}");
    }
    // From what is behind to what is not: pictures in between were never due.
    for trial in hand {
        ensure!(trial.seen[0].silence <= BEHIND, "HLS to SRT: {trial:?}");
    }
    Ok(())
}

impl Ground {
    /// All three deliver, SRT feeds the programme.
    async fn set(binary: &Path) -> anyhow::Result<Self> {
        let (weir, upstream) = (Weir::start(binary).await?, Weir::start(binary).await?);
        let mut contents = Vec::new();
        for kbits in KBITS {
            contents.push(Arc::new(Counted::record(&weir.files()?, kbits).await?));
        }
        let clock = Instant::now();
        upstream.create(UPSTREAM).await?;
        let pushed = Relay::push(&contents[2], clock, &way(upstream.publish_url(UPSTREAM)?))?;
        // What is not there yet is asked for again after half a minute.
        upstream.until(UPSTREAM, "live").await?;
        weir.create_as(&stream(&upstream)?).await?;
        let ways = [
            way(weir.srt_publish_url(&format!("{NAME}:{}", INPUTS[0]))),
            way(format!("{}?key={}", weir.publish_url(NAME)?, INPUTS[1])),
        ];
        let push = |at: usize| Relay::push(&contents[at], clock, &ways[at]).map(Some);
        let relays = [push(0)?, push(1)?];
        let judge = Judge::watch(&weir, Leeway::Ragged)?;
        until(&weir, "the best input", |r| r["input"] == INPUTS[0]).await?;
        let numbers = contents.iter().flat_map(|c| c.numbers()).collect();
        let mut ground = Self {
            audience: Audience::play(&weir.publish_url(NAME)?, numbers, clock)?,
            weir,
            _upstream: upstream,
            _pushed: pushed,
            judge,
            ticker: Ticker::start(),
            contents,
            ways,
            clock,
            relays,
        };
        ground.audience.until_steady().await?;
        ground.until_known().await?;
        Ok(ground)
    }

    /// Which input feeds the programme, and how often it was switched until now.
    async fn active(&self) -> anyhow::Result<(String, u64)> {
        let runtime = runtime(&self.weir).await?;
        let active = runtime["input"].as_str().context("no input is active")?;
        let number = runtime["switches"][0]["number"].as_u64().unwrap_or(0);
        Ok((active.to_owned(), number))
    }

    async fn until_known(&self) -> anyhow::Result<()> {
        let known = |i: &Value| {
            let since = i["since_ms"].as_i64().unwrap_or(i64::MAX);
            i["fault"].is_null() && unix_ms() - since >= KNOWN
        };
        let all = |r: &Value| (0..INPUTS.len()).all(|at| known(&r["inputs"][at]));
        until(&self.weir, "every input is known", all).await?;
        Ok(())
    }

    /// The active one is killed so long after a keyframe, or left by hand where it is the last.
    async fn trial(&mut self, at: usize, moment: Duration) -> anyhow::Result<Trial> {
        let (active, number) = self.active().await?;
        ensure!(active == INPUTS[at], "{active} feeds the programme");
        if at == 2 {
            for (relay, n) in self.relays.iter_mut().zip(0..) {
                *relay = Some(Relay::push(&self.contents[n], self.clock, &self.ways[n])?);
            }
            self.until_known().await?;
        }
        let seconds = self.clock.elapsed().as_secs() + 1;
        tokio::time::sleep_until(self.clock + Duration::from_secs(seconds) + moment).await;
        self.audience.take()?;
        self.ticker.take();
        let hit = unix_ms();
        let next = INPUTS[(at + 1) % INPUTS.len()];
        match self.relays.get_mut(at) {
            Some(relay) => relay.take().context("it is dead")?.kill()?,
            None => self.weir.switch(NAME, Some(next)).await?,
        }
        let switched = |r: &Value| r["switches"][0]["to"] == next && r["input"] == next;
        let after = until(&self.weir, next, switched).await?;
        // More than a group, which may be repeated.
        self.audience.until_seen(60).await?;
        let disturbed = self.ticker.take() > MOST;
        let seen = self.audience.take()?;
        if at == 2 {
            self.weir.switch(NAME, None).await?;
        }
        let switch = &after["switches"][0];
        ensure!(switch["number"] == number + 1, "not one switch: {after}");
        Ok(Trial::new(switch, hit, seen, disturbed))
    }

    async fn clear(mut self) -> anyhow::Result<()> {
        self.audience.clear()?;
        self.judge.clear().await
    }
}

fn stream(upstream: &Weir) -> anyhow::Result<Value> {
    let [srt, rtmp, hls] = INPUTS;
    let pulled = format!("{}/{UPSTREAM}/index.m3u8", upstream.origin()?);
    Ok(json!({
        "name": NAME,
        "inputs": [
            {"id": srt, "url": "publish://", "key": srt, "priority": 0},
            {"id": rtmp, "url": "publish://", "key": rtmp, "priority": 1},
            {"id": hls, "url": pulled, "priority": 2},
        ],
        "failover": {"failback": "never"},
    }))
}

fn way(url: String) -> Way {
    Way {
        prefix: Vec::new(),
        urls: vec![url],
    }
}
