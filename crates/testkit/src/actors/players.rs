//! Players in one headless Chromium (`players/watch.mjs`), watched picture by picture.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::in_repository;

/// Several players that play one stream.
#[derive(Debug)]
pub struct Players {
    // Killed when dropped.
    _node: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What one player did until now.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerReport {
    /// `page` (hls.js), `page-dash`, `native`, or a player with its own settings: `hls`, `shaka` (on HLS), `dash`,
    /// `shaka-dash`, each with `-ll` for low latency; without it they play `?ll=0`.
    pub kind: String,
    /// Pictures shown.
    pub frames: u64,
    /// Seconds since the last picture.
    pub silent: Option<f64>,
    /// What it says of its own latency.
    pub latency: Latency,
    /// What it is in truth: from the time of a picture to the moment in which it was shown. Only where media time is
    /// UTC, as with DASH.
    pub wall: Latency,
    /// Pauses of more than half a second between two pictures.
    pub stalls: Vec<Stall>,
    /// What it showed after each mark.
    pub after: Vec<After>,
    /// The first picture of each height, in the order in which they were shown.
    pub heights: Vec<Height>,
    /// The language of what is heard, where it knows.
    pub sound: Option<String>,
    /// Its errors; fatal ones end with `!`.
    pub errors: Errors,
    /// Errors that nobody caught.
    pub page_errors: Vec<String>,
    /// What its requests for media were answered by: `h2`, `http/1.1`; with how many.
    pub protocols: BTreeMap<String, u64>,
    /// What it asked of the stream in vain.
    pub refused: Refused,
    /// Why the media element gave up.
    pub dead: Option<String>,
}

/// Seconds behind the live edge.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Latency {
    /// At the start.
    pub first: Option<f64>,
    /// Of all samples.
    pub median: Option<f64>,
    /// Now.
    pub last: Option<f64>,
}

/// A pause between two pictures.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Stall {
    /// Of the last picture before it, milliseconds since 1970.
    pub at: f64,
    /// How long it was.
    pub seconds: f64,
    /// How far media time moved meanwhile, in seconds.
    pub jumped: f64,
}

/// Pictures of another height than those before.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Height {
    /// Of the first of them, milliseconds since 1970.
    pub at: f64,
    /// In pixels.
    pub height: u32,
}

/// What a player is to show of a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The variant of the least bandwidth.
    Low,
    /// That of the most.
    High,
    /// As it sees fit.
    Auto,
}

/// What a player showed after a mark.
#[derive(Debug, Clone, Deserialize)]
pub struct After {
    /// The word.
    pub mark: String,
    /// When its last pause ended; zero where there was none.
    pub seconds: Option<f64>,
    /// Pictures since the mark.
    pub frames: u64,
}

/// What a player complained about.
#[derive(Debug, Clone, Deserialize)]
pub struct Errors {
    /// How often.
    pub count: u64,
    /// The last few.
    pub last: Vec<String>,
}

/// Answers of 400 and above.
#[derive(Debug, Clone, Deserialize)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// The last few: status and path.
    pub last: Vec<String>,
}

impl Players {
    /// Opens a browser with one page for each of `kinds`; `origin` is `http://host:port` or the
    /// same with `https`, whose certificate may be anybody's.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub async fn open(origin: &str, name: &str, kinds: &[&str]) -> anyhow::Result<Self> {
        Self::open_skewed(origin, name, kinds, 0).await
    }

    /// The same on a machine whose clock is so many seconds fast, or slow where `skew` is negative.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub async fn open_skewed(
        origin: &str,
        name: &str,
        kinds: &[&str],
        skew: i32,
    ) -> anyhow::Result<Self> {
        let script = in_repository("crates/testkit/players/watch.mjs");
        let mut node = Command::new("node")
            .arg(script)
            .args([origin, name, &kinds.join(","), &format!("skew={skew}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node cannot be run: `make setup`")?;
        let commands = node.stdin.take().context("stdin")?;
        let answers = BufReader::new(node.stdout.take().context("stdout")?).lines();
        let mut players = Self {
            _node: node,
            commands,
            answers,
        };
        players.answer(Duration::from_secs(60)).await?;
        Ok(players)
    }

    /// Waits until every player has shown `frames` pictures.
    ///
    /// # Errors
    /// Where that takes longer than `patience`.
    pub async fn playing(&mut self, frames: u64, patience: Duration) -> anyhow::Result<()> {
        self.until(patience, |r| r.frames >= frames).await.map(drop)
    }

    /// Waits until `good` holds of every player, and says what they did.
    ///
    /// # Errors
    /// Where that takes longer than `patience`.
    pub async fn until(
        &mut self,
        patience: Duration,
        good: impl Fn(&PlayerReport) -> bool,
    ) -> anyhow::Result<Vec<PlayerReport>> {
        let start = tokio::time::Instant::now();
        loop {
            let reports = self.report().await?;
            let Some(waiting) = reports.iter().find(|r| !good(r)) else {
                return Ok(reports);
            };
            ensure!(start.elapsed() < patience, "in vain: {waiting:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Notes this moment; the reports tell what came after it.
    ///
    /// # Errors
    /// A browser that is gone.
    pub async fn mark(&mut self, word: &str) -> anyhow::Result<()> {
        self.command(&format!("mark {word}")).await
    }

    /// Chooses what every player shows of a ladder.
    ///
    /// # Errors
    /// A browser that is gone.
    pub async fn level(&mut self, level: Level) -> anyhow::Result<()> {
        let word = match level {
            Level::Low => "low",
            Level::High => "high",
            Level::Auto => "auto",
        };
        self.command(&format!("level {word}")).await
    }

    /// Chooses the language that every player plays.
    ///
    /// # Errors
    /// A browser that is gone.
    pub async fn hear(&mut self, language: &str) -> anyhow::Result<()> {
        self.command(&format!("sound {language}")).await
    }

    /// Lets every player receive no more than so many kb/s; `None`: as many as come.
    ///
    /// # Errors
    /// A browser that is gone.
    pub async fn link(&mut self, kbps: Option<u32>) -> anyhow::Result<()> {
        self.command(&format!("link {}", kbps.unwrap_or(0))).await
    }

    /// The same of players of one kind.
    ///
    /// # Errors
    /// A browser that is gone.
    pub async fn link_of(&mut self, kind: &str, kbps: Option<u32>) -> anyhow::Result<()> {
        self.command(&format!("link {} {kind}", kbps.unwrap_or(0)))
            .await
    }

    /// Saves a picture of the first player's page.
    ///
    /// # Errors
    /// A browser that is gone.
    pub async fn screenshot(&mut self, file: &Path) -> anyhow::Result<()> {
        self.command(&format!("shot {}", file.display())).await
    }

    /// What every player did until now.
    ///
    /// # Errors
    /// A browser that is gone.
    pub async fn report(&mut self) -> anyhow::Result<Vec<PlayerReport>> {
        self.command("report").await?;
        let answer = self.answer(Duration::from_secs(30)).await?;
        serde_json::from_str(&answer).with_context(|| answer.clone())
    }

    async fn command(&mut self, line: &str) -> anyhow::Result<()> {
        self.commands.write_all(line.as_bytes()).await?;
        self.commands.write_all(b"\n").await?;
        Ok(self.commands.flush().await?)
    }

    async fn answer(&mut self, patience: Duration) -> anyhow::Result<String> {
        let line = tokio::time::timeout(patience, self.answers.next_line()).await;
        line.context("the browser does not answer")??
            .context("the browser is gone")
    }
}

impl PlayerReport {
    /// Seconds from a mark to the end of the last pause, where `frames` pictures have followed.
    #[must_use]
    pub fn back_after(&self, mark: &str, frames: u64) -> Option<f64> {
        let after = self.after.iter().rfind(|a| a.mark == mark)?;
        let back = self.dead.is_none() && after.frames >= frames;
        after.seconds.filter(|_| back)
    }
}
