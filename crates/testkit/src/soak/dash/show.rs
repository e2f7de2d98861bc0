//! A stream, its linter and its players.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use media::Span;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::ladder::ground::{NAME, Source, push};
use super::super::stage::{judge, say};
use crate::actors::{PlayerReport, Players, Secure, Weir};
use crate::lint::dash::Limits;
use crate::lint::{Report, State};
use crate::poll::{self, Source as Told, Trust};

const PATIENCE: Duration = Duration::from_secs(60);
/// What low-latency players are asked for, and how far off they may be.
const TARGET: f64 = 2.5;
const OFF: f64 = 0.5;

pub(super) struct Show {
    pub(super) weir: Weir,
    encoders: Vec<Child>,
    state: watch::Sender<State>,
    linter: JoinHandle<anyhow::Result<Report>>,
}

impl Show {
    /// A stream of these sources, each with an input of its own, and the rest of `stream`.
    pub(super) async fn open(
        binary: &Path,
        sources: &[Source],
        low_latency: bool,
        stream: &Value,
    ) -> anyhow::Result<Self> {
        Self::of(Weir::start(binary).await?, sources, low_latency, stream).await
    }

    /// The same of a server that runs.
    pub(super) async fn of(
        weir: Weir,
        sources: &[Source],
        low_latency: bool,
        stream: &Value,
    ) -> anyhow::Result<Self> {
        let input = |s: &Source| json!({"id": s.id, "url": "publish://", "key": s.id});
        let mut all = json!({
            "name": NAME,
            "inputs": sources.iter().map(input).collect::<Vec<_>>(),
            "failover": {"failback": "never"},
        });
        for (name, value) in stream.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        weir.create_as(&all).await?;
        let (state, told) = watch::channel(State::NORMAL);
        let query = if low_latency { "" } else { "?ll=0" };
        let config = poll::dash::Config {
            duration: Duration::MAX,
            h2: weir.secure.is_some(),
            trust: weir
                .secure
                .as_ref()
                .map_or(Trust::System, |s| Trust::Authority(Secure::authority(s))),
            limits: Limits {
                // A browser full of players shares the machine.
                slack: Span::from_millis(500),
                behind: Span::from_secs(1),
                ..Limits::default()
            },
            ..poll::dash::Config::new(&format!("{}/{NAME}/index.mpd{query}", weir.origin()?))
        };
        let mut show = Self {
            weir,
            encoders: Vec::new(),
            state,
            linter: tokio::spawn(async move { poll::dash::run(&config, Told::Told(told)).await }),
        };
        for source in sources {
            show.push(*source).await?;
        }
        show.weir.until_growing(NAME).await?;
        Ok(show)
    }

    pub(super) async fn push(&mut self, source: Source) -> anyhow::Result<()> {
        let file = source.record(&self.weir.files()?).await?;
        let url = format!("rtmp://{}/live/{NAME}?key={}", self.weir.rtmp, source.id);
        self.encoders.push(push(&file, &url)?);
        Ok(())
    }

    /// All encoders die without a word; players have what they have when this returns.
    pub(super) async fn cut(&mut self) -> anyhow::Result<()> {
        self.tell(State::HOLD);
        self.silence().await?;
        self.weir.until(NAME, "hold").await
    }

    /// The server ends, by `kill -9` or as it is asked to, and its encoders with it.
    pub(super) async fn end_server(&mut self, killed: bool) -> anyhow::Result<()> {
        self.tell(State::RESTART.and(State::HOLD));
        if killed {
            self.weir.kill().await?;
        } else {
            self.weir.stop().await?;
        }
        self.silence().await
    }

    async fn silence(&mut self) -> anyhow::Result<()> {
        for mut encoder in self.encoders.drain(..) {
            encoder.kill().await?;
        }
        Ok(())
    }

    /// What the linter is to know.
    pub(super) fn tell(&self, state: State) {
        // It only ends with the show.
        let _ = self.state.send(state);
    }

    pub(super) async fn players(&self, kinds: &[&str], skew: i32) -> anyhow::Result<Players> {
        // A browser that starts takes the machine.
        self.tell(State::SWITCH);
        let mut players = Players::open_skewed(&self.weir.origin()?, NAME, kinds, skew).await?;
        players.playing(30, PATIENCE).await?;
        self.tell(State::NORMAL);
        Ok(players)
    }

    /// What the linter found, which should be nothing.
    pub(super) async fn clear(self) -> anyhow::Result<Weir> {
        drop(self.state);
        judge(self.linter).await?;
        Ok(self.weir)
    }
}

/// What a player showed; it is refused nothing, whatever happens.
pub(super) fn tell(report: &PlayerReport) -> anyhow::Result<()> {
    say_what_was_seen(report);
    ensure!(report.refused.count == 0, "{} was refused", report.kind);
    ensure!(
        report.dead.is_none() && report.page_errors.is_empty(),
        "{report:?}"
    );
    Ok(())
}

pub(super) fn say_what_was_seen(report: &PlayerReport) {
    let heights: Vec<u32> = report.heights.iter().map(|h| h.height).collect();
    let stalls: Vec<_> = report
        .stalls
        .iter()
        .map(|s| (s.seconds, s.jumped))
        .collect();
    say(&format!(
        "- {}: {} pictures, {:.2} s behind (first {:.2}, last {:.2}), heights {heights:?}, pauses {stalls:?}, errors {:?}, refused {:?}",
        report.kind,
        report.frames,
        report.wall.median.unwrap_or(0.0),
        report.wall.first.unwrap_or(0.0),
        report.wall.last.unwrap_or(0.0),
        report.errors.last,
        report.refused.last,
    ));
}

/// The same of one that plays without a pause, as far behind as it was asked to be.
pub(super) fn undisturbed(report: &PlayerReport) -> anyhow::Result<()> {
    tell(report)?;
    ensure!(report.stalls.is_empty(), "{} paused", report.kind);
    ensure!(report.errors.count == 0, "{} complained", report.kind);
    let behind = report.wall.last.unwrap_or(0.0);
    let near = (behind - TARGET).abs() <= OFF;
    ensure!(
        near || !report.kind.ends_with("-ll"),
        "{} is {behind:.2} s behind",
        report.kind
    );
    Ok(())
}
