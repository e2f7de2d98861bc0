//! The linter on one stream, which knows what is done to it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::bail;
use media::Span;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ground::NAME;
use crate::actors::Weir;
use crate::lint::{Limits, Report, State};
use crate::poll::{self, Source};
use crate::soak::stage::say;

/// What the linter allows beyond the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Leeway {
    /// The machine is ours alone, but for encoders and players that count.
    #[default]
    Quiet,
    /// Sound of some sources ends before their pictures: a second passes until that is silence.
    Ragged,
    /// A browser takes most of the machine.
    Crowded,
}

pub(super) struct Judge {
    state: watch::Sender<State>,
    linter: JoinHandle<anyhow::Result<Report>>,
}

impl Judge {
    /// Begins once the stream is live.
    pub(super) fn watch(weir: &Weir, leeway: Leeway) -> anyhow::Result<Self> {
        let slack = match leeway {
            Leeway::Quiet => Span::from_millis(700),
            Leeway::Ragged => Span::from_millis(1_200),
            Leeway::Crowded => Span::from_secs(2),
        };
        // ffmpeg's MPEG-TS holds up to 3 KB of sound back: what an encoder that dies had of it is gone.
        let ragged = match leeway {
            Leeway::Ragged => Span::from_millis(300),
            _ => Span::ZERO,
        };
        let config = poll::Config {
            limits: Limits { slack, ragged },
            duration: Duration::MAX,
            ..poll::Config::new(&format!("{}/{NAME}/index.m3u8", weir.origin()?))
        };
        let (state, told) = watch::channel(State::SWITCH);
        let linter = tokio::spawn(async move { poll::run(&config, Source::Told(told)).await });
        Ok(Self { state, linter })
    }

    /// What the stream goes through.
    pub(super) fn tell(&self, state: State) {
        // The linter only ends with us.
        let _ = self.state.send(state);
    }

    /// What it found, which should be nothing.
    pub(super) async fn clear(self) -> anyhow::Result<()> {
        drop(self.state);
        let mut report = self.linter.await??;
        // What is listed is found again each time that the list is read.
        let mut told = BTreeSet::new();
        report
            .violations
            .retain(|v| told.insert((v.rule, v.uri.clone(), v.seen.clone())));
        if report.violations.is_empty() {
            let checked: u64 = report.checked.values().sum();
            say(&format!(
                "- the linter all the time: {checked} checks, none broken, no number missing"
            ));
            return Ok(());
        }
        say(&report.to_string());
        bail!("rules of low-latency HLS were broken")
    }
}
