//! What one player of one rung saw or heard: when, and at which times.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::{Kind, Seen, Witness};

/// A player that stays.
pub(super) struct Pictures {
    witness: Witness,
    seen: Vec<Seen>,
    /// Microseconds between two.
    interval: i64,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) pictures: usize,
    /// Pictures that are missing, by their times.
    pub(super) missing: i64,
    /// Times that do not grow.
    pub(super) backward: usize,
    /// The longest time without one.
    pub(super) silence: Duration,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pictures,
            missing,
            backward,
            silence,
        } = self;
        let silence = silence.as_millis();
        write!(
            f,
            "{pictures} frames, {missing} missing, {backward} times that do not grow, silent for at most {silence} ms"
        )
    }
}

impl Pictures {
    pub(super) fn play(url: &str, fps: i64) -> anyhow::Result<Self> {
        Ok(Self {
            witness: Witness::play(url, Kind::Video)?,
            seen: Vec::new(),
            interval: 1_000_000 / fps,
        })
    }

    /// The sound instead, AAC of 48 kHz.
    pub(super) fn listen(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            witness: Witness::play(url, Kind::Audio)?,
            seen: Vec::new(),
            interval: 1_024_000_000 / 48_000,
        })
    }

    pub(super) fn gather(&mut self) -> anyhow::Result<()> {
        self.seen.extend(self.witness.take()?);
        Ok(())
    }

    /// When the first one came after a moment.
    pub(super) fn first_after(&mut self, moment: Instant) -> anyhow::Result<Option<Instant>> {
        self.gather()?;
        let mut late = self.seen.iter().rev().take_while(|s| s.at > moment);
        Ok(late.by_ref().last().map(|s| s.at))
    }

    pub(super) fn found(&self) -> Found {
        let mut found = Found {
            pictures: self.seen.len(),
            ..Found::default()
        };
        for pair in self.seen.windows(2) {
            let step = (pair[1].dts - pair[0].dts) * 1_000;
            found.backward += usize::from(step <= 0);
            // Times are rounded to milliseconds.
            found.missing += ((step + self.interval / 2) / self.interval - 1).max(0);
            found.silence = found.silence.max(pair[1].at - pair[0].at);
        }
        found
    }
}
