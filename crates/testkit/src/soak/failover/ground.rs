//! A server, two inputs whose frames are numbered, players, and the linter.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::audience::Audience;
use super::judge::{Judge, Leeway};
use super::lines::Lines;
use super::ticker::Ticker;
use crate::actors::{Counted, Look, Relay, Way, Weir};
use crate::link::Link;
use crate::lint::State;

pub(super) const NAME: &str = "news";
pub(super) const INPUTS: [&str; 2] = ["main", "backup"];
/// More than three groups, and no failure lately.
const KNOWN_MS: i64 = 4_000;
const HIGH: Look = Look {
    size: "1920x1080",
    fps: 30,
    // What `ultrafast` leaves out of the profile.
    coder: "-profile:v high -x264-params 8x8dct=1:cabac=1",
};
const LOW: Look = Look {
    size: "1280x720",
    fps: 25,
    coder: "-profile:v baseline",
};
const PATIENCE: Duration = Duration::from_secs(20);

/// What the inputs are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) contents: Contents,
    /// Of the second input; the first has 0.
    pub(super) priority: u32,
    pub(super) through: Through,
    pub(super) leeway: Leeway,
}

/// How the bytes of both are related.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Contents {
    /// Two encoders of the same pictures.
    #[default]
    Different,
    /// The same bytes.
    Equal,
    /// Another size, another rate, another profile.
    Formats,
}

/// How encoders reach the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Through {
    #[default]
    Loopback,
    /// Each through a link of its own.
    Links,
    /// The same, and one encoder sends to both inputs.
    Tee,
}

pub(super) struct Ground {
    pub(super) weir: Weir,
    pub(super) audience: Audience,
    pub(super) ticker: Ticker,
    pub(super) plan: Plan,
    pub(super) lines: Option<Lines>,
    ways: [Way; 2],
    pub(super) relays: [Option<Relay>; 2],
    contents: [Arc<Counted>; 2],
    clock: Instant,
    judge: Judge,
}

impl Ground {
    /// Both inputs deliver, players play, the linter watches.
    pub(super) async fn set(binary: &Path, plan: Plan) -> anyhow::Result<Self> {
        let media = tempfile::tempdir()?;
        let [main, backup] = record(media.path(), plan.contents).await?;
        let (weir, lines) = match plan.through {
            Through::Loopback => (Weir::start(binary).await?, None),
            _ => (Weir::start_wide(binary).await?, Some(Lines::lay().await?)),
        };
        create(&weir, plan).await?;
        let play = weir.publish_url(NAME)?;
        let ways = ways(&weir, plan, lines.as_ref())?;
        let clock = Instant::now();
        let first = Relay::push(&main, clock, &ways[0])?;
        let second = match plan.through {
            Through::Tee => None,
            _ => Some(Relay::push(&backup, clock, &ways[1])?),
        };
        let numbers = main.numbers().into_iter().chain(backup.numbers()).collect();
        let judge = Judge::watch(&weir, plan.leeway)?;
        until(&weir, "both inputs deliver", both_ready).await?;
        let mut ground = Self {
            audience: Audience::play(&play, numbers, clock)?,
            ticker: Ticker::start(),
            weir,
            plan,
            lines,
            ways,
            relays: [Some(first), second],
            contents: [main, backup],
            clock,
            judge,
        };
        ground.audience.until_steady().await?;
        Ok(ground)
    }

    /// The same, and the first input is the better one and feeds the programme.
    pub(super) async fn set_better(binary: &Path) -> anyhow::Result<Self> {
        let plan = Plan {
            priority: 1,
            ..Plan::default()
        };
        let ground = Self::set(binary, plan).await?;
        let best = |r: &Value| r["input"] == INPUTS[0];
        ground.until("the better input", best).await?;
        Ok(ground)
    }

    /// An encoder for that input begins, in the place of the one that was.
    pub(super) fn push(&mut self, at: usize) -> anyhow::Result<()> {
        self.relays[at] = None;
        let relay = Relay::push(&self.contents[at], self.clock, &self.ways[at])?;
        self.relays[at] = Some(relay);
        Ok(())
    }

    /// An encoder for an input of that key, which sends what the second one does.
    pub(super) fn push_to(&self, key: &str) -> anyhow::Result<Relay> {
        let way = Way {
            prefix: Vec::new(),
            urls: vec![format!("{}?key={key}", self.weir.publish_url(NAME)?)],
        };
        Relay::push(&self.contents[1], self.clock, &way)
    }

    pub(super) fn line(&self, at: usize) -> anyhow::Result<&Link> {
        let lines = self.lines.as_ref().context("no links")?;
        Ok(&lines.links[at])
    }

    pub(super) fn relay(&mut self, at: usize) -> anyhow::Result<&mut Relay> {
        self.relays[at].as_mut().context("no encoder")
    }

    pub(super) async fn runtime(&self) -> anyhow::Result<Value> {
        runtime(&self.weir).await
    }

    /// Which input feeds the programme, and how often it was switched until now.
    pub(super) async fn active(&self) -> anyhow::Result<(usize, u64)> {
        let runtime = self.runtime().await?;
        let active = INPUTS.iter().position(|id| runtime["input"] == *id);
        let number = runtime["switches"][0]["number"].as_u64().unwrap_or(0);
        Ok((active.context("no input is active")?, number))
    }

    pub(super) async fn until(
        &self,
        what: &str,
        good: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        until(&self.weir, what, good).await
    }

    /// Waits until playlists grow, after everything was away.
    pub(super) async fn until_growing(&self) -> anyhow::Result<()> {
        self.weir.until_growing(NAME).await
    }

    pub(super) async fn until_ready(&self) -> anyhow::Result<()> {
        self.until("both inputs deliver", both_ready).await?;
        Ok(())
    }

    /// Waits until it is known when the input's keyframes come, and that both are equal if they are.
    pub(super) async fn until_known(&self, at: usize) -> anyhow::Result<()> {
        let known = |r: &Value| {
            let input = &r["inputs"][at];
            let since = input["since_ms"].as_i64();
            input["fault"].is_null() && since.is_some_and(|at| unix_ms() - at >= KNOWN_MS)
        };
        self.until("an input is known", known).await?;
        Ok(())
    }

    /// Waits until a keyframe was due so long ago.
    pub(super) async fn until_after_keyframe(&self, moment: Duration) {
        let seconds = self.clock.elapsed().as_secs() + 1;
        sleep_until(self.clock + Duration::from_secs(seconds) + moment).await;
    }

    /// What the stream goes through.
    pub(super) fn tell(&self, state: State) {
        self.judge.tell(state);
    }

    /// What the linter found, which should be nothing.
    pub(super) async fn clear(mut self) -> anyhow::Result<()> {
        self.audience.clear()?;
        self.judge.clear().await
    }
}

pub(super) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |s| i64::try_from(s.as_millis()).unwrap_or(i64::MAX))
}

async fn record(folder: &Path, contents: Contents) -> anyhow::Result<[Arc<Counted>; 2]> {
    let looks = match contents {
        Contents::Formats => [HIGH, LOW],
        _ => [Look::default(); 2],
    };
    let main = Counted::record_as(&folder.join("main.flv"), 440, looks[0]).await?;
    let main = Arc::new(main);
    let backup = match contents {
        Contents::Equal => Arc::clone(&main),
        _ => Arc::new(Counted::record_as(&folder.join("backup.flv"), 880, looks[1]).await?),
    };
    Ok([main, backup])
}

async fn create(weir: &Weir, plan: Plan) -> anyhow::Result<()> {
    let input =
        |(id, priority)| json!({"id": id, "url": "publish://", "key": id, "priority": priority});
    let inputs = [(INPUTS[0], 0), (INPUTS[1], plan.priority)].map(input);
    let stream = json!({"name": NAME, "inputs": inputs});
    weir.create_as(&stream).await
}

fn ways(weir: &Weir, plan: Plan, lines: Option<&Lines>) -> anyhow::Result<[Way; 2]> {
    let here = weir.publish_url(NAME)?;
    let urls = [0, 1].map(|at| {
        let there = |l: &Lines| {
            format!(
                "rtmp://{}:{}/live/{NAME}",
                l.links[at].near,
                weir.rtmp.port()
            )
        };
        let url = lines.map_or_else(|| here.clone(), there);
        format!("{url}?key={}", INPUTS[at])
    });
    let prefix = lines.map_or_else(Vec::new, |l| l.namespace.prefix());
    let way = |urls: &[String]| Way {
        prefix: prefix.clone(),
        urls: urls.to_vec(),
    };
    Ok(match plan.through {
        Through::Tee => [way(&urls), way(&urls)],
        _ => [way(&urls[..1]), way(&urls[1..])],
    })
}

pub(super) async fn runtime(weir: &Weir) -> anyhow::Result<Value> {
    Ok(weir.stream(NAME).await?["runtime"].take())
}

pub(super) async fn until(
    weir: &Weir,
    what: &str,
    good: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    let asking = async {
        loop {
            last = runtime(weir).await?;
            if good(&last) {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let told = timeout(PATIENCE, asking).await;
    told.with_context(|| format!("not in 20 s: {what}: {last}"))??;
    Ok(last)
}

fn both_ready(runtime: &Value) -> bool {
    let inputs = runtime["inputs"].as_array();
    inputs.is_some_and(|all| all.iter().all(|i| i["fault"].is_null()))
}
