//! Players in a browser, while the input that feeds them is killed over and over.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::ground::{Ground, NAME, Plan};
use super::judge::Leeway;
use super::table::{self, GROUP};
use super::ticker::Ticker;
use super::trial::Failure;
use crate::actors::{PlayerReport, Players};
use crate::soak::players::PATIENCE;
use crate::soak::stage::say;

const KINDS: [&str; 3] = ["hls-ll", "hls", "shaka-ll"];
/// Those that must not notice.
const CALM: [&str; 2] = ["hls-ll", "hls"];
/// Until a player has found its distance from the edge, and until it shows what came last.
const SETTLED: Duration = Duration::from_secs(10);

pub(super) async fn run(binary: &Path, kills: u32) -> anyhow::Result<()> {
    let plan = Plan {
        leeway: Leeway::Crowded,
        ..Plan::default()
    };
    let mut ground = Ground::set(binary, plan).await?;
    let mut players = Players::open(&ground.weir.origin()?, NAME, &KINDS).await?;
    players.playing(60, PATIENCE).await?;
    sleep(SETTLED).await;
    let machine = Ticker::start();
    let before = players.report().await?;
    let found = ground.trials(Failure::Kill, kills).await?;
    sleep(SETTLED).await;
    let after = players.report().await?;
    say(&format!(
        "{}\n{}",
        table::HEAD,
        table::row("browsers", &found)
    ));
    let noticed: Vec<_> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| Noticed::new(before, after))
        .collect();
    noticed.iter().for_each(Noticed::tell);
    say(&machine.line());
    ground.clear().await?;
    table::hold_frames("browsers", &found, GROUP)?;
    noticed.iter().try_for_each(Noticed::hold)
}

/// What a player showed between two reports.
#[derive(Debug)]
pub(super) struct Noticed {
    kind: String,
    pub(super) pictures: u64,
    /// Seconds of each pause, and how far media time moved in it.
    stalls: Vec<(f64, f64)>,
    errors: u64,
    last_errors: Vec<String>,
    dead: bool,
    latency: [Option<f64>; 2],
}

impl Noticed {
    pub(super) fn new(before: &PlayerReport, after: &PlayerReport) -> Self {
        let stalls = after.stalls.iter().skip(before.stalls.len());
        Self {
            kind: after.kind.clone(),
            pictures: after.frames - before.frames,
            stalls: stalls.map(|s| (s.seconds, s.jumped)).collect(),
            errors: after.errors.count - before.errors.count,
            last_errors: [&after.errors.last[..], &after.page_errors[..]].concat(),
            dead: after.dead.is_some(),
            latency: [before.latency.last, after.latency.last],
        }
    }

    pub(super) fn tell(&self) {
        let [first, last] = self.latency.map(Option::unwrap_or_default);
        say(&format!(
            "- {}: {} pictures, {} stalls {:.1?}, {} errors {:?}, latency {first:.2} s, then {last:.2} s",
            self.kind,
            self.pictures,
            self.stalls.len(),
            self.stalls,
            self.errors,
            self.last_errors,
        ));
    }

    /// Nothing to see, but for players that make pauses of their own.
    pub(super) fn hold(&self) -> anyhow::Result<()> {
        ensure!(self.pictures > 0 && !self.dead, "it stopped: {self:?}");
        let calm = self.stalls.is_empty() && self.errors == 0;
        ensure!(
            calm || !CALM.contains(&&self.kind[..]),
            "a player noticed: {self:?}"
        );
        Ok(())
    }
}
