//! The input that feeds the programme is killed, or falls silent, over and over; another goes on.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use media::Span;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::stage::say;
use crate::actors::{Encoder, Viewer, Weir};
use crate::lint::{Limits, State};
use crate::poll::{self, Source};

const NAME: &str = "news";
const INPUTS: [&str; 2] = ["main", "backup"];
const PATIENCE: Duration = Duration::from_secs(20);

/// How an input fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Failure {
    /// `kill -9` of its encoder: the connection closes.
    Kill,
    /// `SIGSTOP`: the connection stays, and nothing comes.
    Stop,
}

/// What one trial showed, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Trial {
    /// From the signal to the first frame of the other input, by the server's clock.
    decision: i64,
    detection: i64,
    silence: i64,
    lead: i64,
    replayed: i64,
}

type Figure = fn(&Trial) -> i64;

struct Trials {
    weir: Weir,
    files: [PathBuf; 2],
    encoders: [Option<Encoder>; 2],
}

/// `trials` with inputs of equal priority; the active one is hit each time. Between two of them
/// the programme is switched by hand, which repays its lead.
pub(super) async fn run(
    binary: PathBuf,
    trials: u32,
    failure: Failure,
    equal: bool,
) -> anyhow::Result<()> {
    let bytes = if equal { "equal" } else { "different" };
    say(&format!(
        "\n## {trials} times: {failure:?} of the active input, the other carries {bytes} bytes"
    ));
    let media = tempfile::tempdir()?;
    let main = media.path().join("main.mp4");
    let backup = if equal {
        main.clone()
    } else {
        media.path().join("backup.mp4")
    };
    Encoder::record(&main, 440).await?;
    if !equal {
        Encoder::record(&backup, 880).await?;
    }
    let weir = Weir::start(&binary).await?;
    let input = |id| json!({"id": id, "url": "publish://", "key": id});
    let stream = json!({"name": NAME, "inputs": INPUTS.map(input)});
    weir.create_as(&stream).await?;
    let mut stage = Trials {
        weir,
        files: [main, backup],
        encoders: [None, None],
    };
    for at in 0..2 {
        stage.push(at)?;
    }
    stage.until_ready().await?;
    let viewer = Viewer::play(&stage.weir.publish_url(NAME)?)?;
    let (state, told) = watch::channel(State::SWITCH);
    let config = poll::Config {
        readers: 0,
        limits: Limits {
            slack: Span::from_millis(700),
        },
        duration: Duration::MAX,
        ..poll::Config::new(&format!("{}/{NAME}/index.m3u8", stage.weir.origin()?))
    };
    let linter = tokio::spawn(async move { poll::run(&config, Source::Told(told)).await });
    let mut found = Vec::new();
    for round in 0..trials {
        sleep(Duration::from_millis(
            2_500 + u64::from(round * 370 % 1_000),
        ))
        .await;
        found.push(stage.trial(failure).await?);
    }
    tell(&found);
    let pace = viewer.pace();
    say(&format!(
        "- one RTMP player all the time: {} pictures, longest pause {} ms",
        pace.pictures,
        pace.worst.as_millis()
    ));
    drop(state);
    let report = linter.await??;
    say(&report.to_string());
    ensure!(report.violations.is_empty(), "rules were broken");
    Ok(())
}

impl Trials {
    fn push(&mut self, at: usize) -> anyhow::Result<()> {
        let url = format!("{}?key={}", self.weir.publish_url(NAME)?, INPUTS[at]);
        self.encoders[at] = Some(Encoder::repeat(&self.files[at], &url)?);
        Ok(())
    }

    async fn runtime(&self) -> anyhow::Result<Value> {
        let text = self.weir.get(&format!("/api/v1/streams/{NAME}")).await?;
        let mut stream: Value = serde_json::from_str(&text)?;
        Ok(stream["runtime"].take())
    }

    async fn until(&self, what: &str, good: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let asking = async {
            loop {
                let runtime = self.runtime().await?;
                if good(&runtime) {
                    return anyhow::Ok(runtime);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let told = timeout(PATIENCE, asking).await;
        told.with_context(|| what.to_owned())?
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        let both = |runtime: &Value| {
            let inputs = runtime["inputs"].as_array();
            inputs.is_some_and(|all| all.iter().all(|i| i["fault"].is_null()))
        };
        self.until("both inputs deliver", both).await?;
        Ok(())
    }

    async fn trial(&mut self, failure: Failure) -> anyhow::Result<Trial> {
        let before = self.runtime().await?;
        let active = before["input"].as_str().unwrap_or_default().to_owned();
        let at = INPUTS
            .iter()
            .position(|id| *id == active)
            .context("no input is active")?;
        let encoder = self.encoders[at].take().context("no encoder")?;
        let hit = unix_ms()?;
        let stopped = match failure {
            Failure::Kill => {
                encoder.kill().await?;
                None
            }
            Failure::Stop => {
                encoder.freeze().await?;
                Some(encoder)
            }
        };
        let other = INPUTS[1 - at];
        let after = self
            .until("the other input", |r| r["input"] == other)
            .await?;
        let switch = &after["switches"][0];
        let ms = |name: &str| switch[name].as_i64().unwrap_or(i64::MAX);
        let trial = Trial {
            decision: ms("at_ms") - hit,
            detection: ms("detection_ms"),
            silence: ms("wall_silence_ms"),
            lead: ms("lead_ms"),
            replayed: ms("replayed_ms"),
        };
        ensure!(switch["gap"] == false, "a gap was declared: {switch}");
        if let Some(encoder) = stopped {
            encoder.kill().await?;
        }
        self.push(at)?;
        self.until_ready().await?;
        // By hand to the one that was hit, which repays the lead.
        sleep(Duration::from_millis(2_500)).await;
        self.weir.switch(NAME, Some(INPUTS[at])).await?;
        self.until("the switch by hand", |r| {
            r["switches"][0]["to"] == INPUTS[at]
        })
        .await?;
        self.weir.switch(NAME, None).await?;
        Ok(trial)
    }
}

fn unix_ms() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis())?)
}

fn tell(found: &[Trial]) {
    say("| ms | p50 | p99 | max |\n|---|--:|--:|--:|");
    let columns: [(&str, Figure); 5] = [
        ("signal to first frame of the other", |t| t.decision),
        ("last frame to decision", |t| t.detection),
        ("programme silent", |t| t.silence),
        ("replayed", |t| t.replayed),
        ("lead afterwards", |t| t.lead),
    ];
    for (name, of) in columns {
        let mut values: Vec<i64> = found.iter().map(of).collect();
        values.sort_unstable();
        let at = |share: usize| values.get((values.len().saturating_sub(1) * share).div_ceil(100));
        let [p50, p99, max] = [50, 99, 100].map(|share| at(share).copied().unwrap_or(0));
        say(&format!("| {name} | {p50} | {p99} | {max} |"));
    }
}
