//! Inputs of every kind on one stream: an encoder, HLS of another server, another stream, a slate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::audience::Audience;
use super::ground::{NAME, runtime, unix_ms, until};
use super::judge::{Judge, Leeway};
use crate::actors::{Counted, Relay, Way, Weir};
use crate::lint::State;
use crate::soak::stage::say;

/// The best one first.
pub(super) const SOURCES: [&str; 3] = ["main", "pull", "other"];
const SLATE: &str = "slate";
/// What the second and the third take: a stream of another server, and of the same.
const UPSTREAM: &str = "upstream";
const OTHER: &str = "other";
/// Each of other bytes, the slate at last.
const KBITS: [u32; 4] = [440, 660, 880, 330];
/// Milliseconds: two groups and more.
const KNOWN: i64 = 4_000;
/// Pictures that tell that it goes on.
const SOME: u64 = 15;
pub(super) const FAILBACK: Duration = Duration::from_secs(1);

pub(super) struct Sources {
    weir: Weir,
    // What is pulled ends with us.
    _upstream: Weir,
    audience: Audience,
    judge: Judge,
    /// When that began, in Unix milliseconds.
    began: i64,
    contents: Vec<Arc<Counted>>,
    urls: [String; 3],
    clock: Instant,
    /// An encoder for each that lives.
    relays: [Option<Relay>; 3],
}

impl Sources {
    /// All three deliver, the first one feeds the programme.
    pub(super) async fn set(binary: &Path) -> anyhow::Result<Self> {
        let (weir, upstream) = (Weir::start(binary).await?, Weir::start(binary).await?);
        let contents = record(&weir.files()?).await?;
        upstream.create(UPSTREAM).await?;
        weir.create(OTHER).await?;
        let urls = [
            format!("{}?key={}", weir.publish_url(NAME)?, SOURCES[0]),
            upstream.publish_url(UPSTREAM)?,
            weir.publish_url(OTHER)?,
        ];
        let clock = Instant::now();
        let relay = |at: usize| Relay::push(&contents[at], clock, &way(&urls[at])).map(Some);
        let [second, third] = [relay(1)?, relay(2)?];
        // What is not there yet is asked for again after half a minute.
        upstream.until(UPSTREAM, "live").await?;
        weir.until(OTHER, "live").await?;
        weir.create_as(&stream(&upstream)?).await?;
        let relays = [relay(0)?, second, third];
        let (judge, began) = (Judge::watch(&weir, Leeway::Ragged)?, unix_ms());
        let numbers = contents.iter().flat_map(|c| c.numbers()).collect();
        let play = weir.publish_url(NAME)?;
        until(&weir, "the best source", |r| r["input"] == SOURCES[0]).await?;
        let mut sources = Self {
            audience: Audience::play(&play, numbers, clock)?,
            weir,
            _upstream: upstream,
            judge,
            began,
            contents,
            urls,
            clock,
            relays,
        };
        sources.audience.until_steady().await?;
        sources.until_known().await?;
        Ok(sources)
    }

    /// The best of those that live.
    fn best(&self) -> Option<usize> {
        self.relays.iter().position(Option::is_some)
    }

    pub(super) async fn switches(&self) -> anyhow::Result<u64> {
        let runtime = runtime(&self.weir).await?;
        Ok(runtime["switches"][0]["number"].as_u64().unwrap_or(0))
    }

    /// Waits until that one feeds the programme.
    async fn until_fed(&self, id: &str) -> anyhow::Result<()> {
        until(&self.weir, id, |r| r["input"] == id).await.map(drop)
    }

    /// Waits until groups of every source came.
    pub(super) async fn until_known(&self) -> anyhow::Result<()> {
        let known = |i: &Value| {
            let since = i["since_ms"].as_i64().unwrap_or(i64::MAX);
            i["fault"].is_null() && unix_ms() - since >= KNOWN
        };
        let all = |r: &Value| (0..SOURCES.len()).all(|at| known(&r["inputs"][at]));
        until(&self.weir, "every source is known", all).await?;
        Ok(())
    }

    /// Its encoder is killed; whether it fed the programme, and for how long players saw nothing.
    pub(super) async fn fail(&mut self, at: usize) -> anyhow::Result<(bool, Duration)> {
        let active = runtime(&self.weir).await?["input"] == SOURCES[at];
        let last = self.relays.iter().flatten().count() == 1;
        if last {
            self.judge.tell(State::HOLD.and(State::SWITCH));
        }
        self.audience.take()?;
        self.relays[at].take().context("it is dead")?.kill()?;
        let gone = |r: &Value| !r["inputs"][at]["fault"].is_null();
        until(&self.weir, "it is gone", gone).await?;
        match self.best() {
            Some(best) if active => self.until_fed(SOURCES[best]).await?,
            Some(_) => {}
            None => self.until_fed(SLATE).await?,
        }
        let silence = self.silence().await?;
        if last {
            self.weir.until_growing(NAME).await?;
            self.judge.tell(State::SWITCH);
        }
        Ok((active, silence))
    }

    /// Its encoder is back: it feeds the programme where nothing else did.
    pub(super) async fn mend(&mut self, at: usize) -> anyhow::Result<Duration> {
        let alone = self.best().is_none();
        self.audience.take()?;
        let relay = Relay::push(&self.contents[at], self.clock, &way(&self.urls[at]))?;
        self.relays[at] = Some(relay);
        let ready = |r: &Value| r["inputs"][at]["fault"].is_null();
        until(&self.weir, "it is back", ready).await?;
        if alone {
            self.until_fed(SOURCES[at]).await?;
        }
        let silence = self.silence().await?;
        let now = runtime(&self.weir).await?;
        let lives = |at: usize| self.relays[at].is_some() && now["input"] == SOURCES[at];
        ensure!(
            (0..SOURCES.len()).any(lives),
            "fed by none that lives: {now}"
        );
        Ok(silence)
    }

    /// The best one feeds the programme again, of itself.
    pub(super) async fn until_best(&mut self) -> anyhow::Result<Duration> {
        self.audience.take()?;
        self.until_fed(SOURCES[0]).await?;
        self.silence().await
    }

    /// The same by hand.
    pub(super) async fn by_hand(&mut self) -> anyhow::Result<()> {
        self.weir.switch(NAME, Some(SOURCES[0])).await?;
        self.until_fed(SOURCES[0]).await?;
        self.weir.switch(NAME, None).await
    }

    /// The longest time without a picture since it was taken last, up to some that come now.
    async fn silence(&mut self) -> anyhow::Result<Duration> {
        let [before, _] = self.audience.take()?;
        self.audience.until_seen(SOME).await?;
        let [since, _] = self.audience.take()?;
        Ok(before.silence.max(since.silence))
    }

    /// What players and the linter found, which should be nothing.
    pub(super) async fn clear(mut self) -> anyhow::Result<()> {
        let told = runtime(&self.weir).await?;
        let players = self.audience.clear();
        let linter = self.judge.clear().await;
        if linter.is_err() {
            say("seconds as the linter counts them");
            let switches = told["switches"].as_array().into_iter().flatten().rev();
            switches.for_each(|switch| tell(switch, self.began));
        }
        players.and(linter)
    }
}

/// When it was, so that it can be compared with what the linter says.
fn tell(switch: &Value, began: i64) {
    let at = switch["at_ms"].as_i64().unwrap_or_default() - began;
    say(&format!(
        "{:>9.3} from {} to {}: {}, {}, silent for {} ms, lead {} ms",
        at as f64 / 1e3,
        switch["from"],
        switch["to"],
        switch["reason"],
        switch["class"],
        switch["wall_silence_ms"],
        switch["lead_ms"],
    ));
}

async fn record(files: &Path) -> anyhow::Result<Vec<Arc<Counted>>> {
    let mut contents = Vec::new();
    for kbits in KBITS {
        contents.push(Arc::new(Counted::record(files, kbits).await?));
    }
    Ok(contents)
}

fn stream(upstream: &Weir) -> anyhow::Result<Value> {
    let [main, pull, other] = SOURCES;
    let hls = format!("{}/{UPSTREAM}/index.m3u8", upstream.origin()?);
    Ok(json!({
        "name": NAME,
        "inputs": [
            {"id": main, "url": "publish://", "key": main, "priority": 0},
            {"id": pull, "url": hls, "priority": 1},
            {"id": other, "url": format!("stream://{OTHER}"), "priority": 2},
        ],
        "slate": {"url": format!("file://{}.flv", KBITS[3])},
        "failover": {"failback_after_ms": FAILBACK.as_millis()},
    }))
}

fn way(url: &str) -> Way {
    Way {
        prefix: Vec::new(),
        urls: vec![url.to_owned()],
    }
}
