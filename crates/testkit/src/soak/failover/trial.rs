//! The input that feeds the programme fails, over and over; the other goes on.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use super::ground::{Contents, Ground, INPUTS, NAME, Plan, Through, unix_ms};
use super::tally::Count;
use super::ticker::MOST;
use crate::link::Weather;

/// How an input fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// `kill -9` of its encoder: the connection closes.
    Kill,
    /// `SIGSTOP`: the connection stays, and nothing comes.
    Stop,
    /// Its link loses everything.
    Hole,
}

/// What one trial showed; times in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// From the signal to the decision, by the server's clock.
    pub(super) decision: i64,
    pub(super) detection: i64,
    /// Of the programme, as the server says.
    pub(super) silence: i64,
    pub(super) lead: i64,
    pub(super) class: String,
    /// As a player saw it: pictures, sound.
    pub(super) seen: [Count; 2],
    /// The machine did not run us in time: the times say nothing.
    pub(super) disturbed: bool,
}

/// Inputs of equal priority; the active one is hit each time. In between the programme is switched
/// by hand, which repays its lead. With them comes what the linter found.
pub(super) async fn run(
    binary: &Path,
    plan: Plan,
    failure: Failure,
    trials: u32,
) -> anyhow::Result<(Vec<Trial>, anyhow::Result<()>)> {
    let mut ground = Ground::set(binary, plan).await?;
    let found = ground.trials(failure, trials).await?;
    Ok((found, ground.clear().await))
}

/// One failure of each kind, early in a group, so that even a slow machine notices before the next.
pub(super) async fn short(binary: &Path) -> anyhow::Result<Vec<Trial>> {
    let moment = Duration::from_millis(150);
    let mut ground = Ground::set(binary, Plan::default()).await?;
    let mut found = Vec::new();
    for failure in [Failure::Kill, Failure::Stop] {
        found.push(ground.trial(failure, moment).await?);
    }
    ground.clear().await?;
    Ok(found)
}

impl Ground {
    /// One after the other, each at another moment between two keyframes.
    pub(super) async fn trials(
        &mut self,
        failure: Failure,
        trials: u32,
    ) -> anyhow::Result<Vec<Trial>> {
        let mut found = Vec::new();
        for round in 0..trials {
            let moment = Duration::from_millis(u64::from(round * 370 % 1_000));
            let (at, _) = self.active().await?;
            found.push(self.trial(failure, moment).await?);
            if self.plan.contents != Contents::Equal {
                self.until_known(at).await?;
                self.by_hand(at).await?;
            }
        }
        Ok(found)
    }

    /// The active input fails so long after a keyframe.
    async fn trial(&mut self, failure: Failure, moment: Duration) -> anyhow::Result<Trial> {
        let (at, number) = self.active().await?;
        self.until_known(1 - at).await?;
        self.until_after_keyframe(moment).await;
        self.audience.take()?;
        self.ticker.take();
        let hit = unix_ms();
        self.strike(at, failure).await?;
        let other = INPUTS[1 - at];
        let switched = |r: &Value| r["switches"][0]["to"] == other;
        let after = self.until("the other input", switched).await?;
        // More than a group, which may be repeated.
        self.audience.until_seen(60).await?;
        let disturbed = self.ticker.take() > MOST;
        let seen = self.audience.take()?;
        let trial = Trial::new(&after["switches"][0], hit, seen, disturbed);
        ensure!(
            after["switches"][0]["number"] == number + 1,
            "not one switch: {after}"
        );
        ensure!(after["switches"][0]["gap"] == false, "a gap: {after}");
        self.mend(at, failure)?;
        Ok(trial)
    }

    async fn strike(&mut self, at: usize, failure: Failure) -> anyhow::Result<()> {
        match failure {
            Failure::Kill => self.relay(at)?.kill(),
            Failure::Stop => self.relay(at)?.signal("STOP").await,
            Failure::Hole => {
                let closed = true;
                let weather = Weather::default();
                self.line(at)?.set(Weather { closed, ..weather });
                Ok(())
            }
        }
    }

    fn mend(&mut self, at: usize, failure: Failure) -> anyhow::Result<()> {
        if failure == Failure::Hole {
            self.line(at)?.set(Weather::default());
        }
        match self.plan.through {
            // Its other way goes on; this one mends itself.
            Through::Tee => Ok(()),
            _ => self.push(at),
        }
    }

    /// To that input while both deliver.
    pub(super) async fn by_hand(&mut self, to: usize) -> anyhow::Result<()> {
        self.weir.switch(NAME, Some(INPUTS[to])).await?;
        let switched = |r: &Value| r["switches"][0]["to"] == INPUTS[to];
        self.until("the switch by hand", switched).await?;
        self.weir.switch(NAME, None).await
    }
}

impl Trial {
    pub(super) fn new(switch: &Value, hit: i64, seen: [Count; 2], disturbed: bool) -> Self {
        let ms = |name: &str| switch[name].as_i64().unwrap_or_default();
        Self {
            // The server tells when the first frame of the other was written.
            decision: ms("at_ms") - ms("wall_silence_ms") + ms("detection_ms") - hit,
            detection: ms("detection_ms"),
            silence: ms("wall_silence_ms"),
            lead: ms("lead_ms"),
            class: switch["class"].as_str().unwrap_or_default().to_owned(),
            seen,
            disturbed,
        }
    }
}
