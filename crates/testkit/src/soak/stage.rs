//! A server, an encoder and the linter, which knows what is done to them.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use media::Span;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::actors::{Encoder, Secure, Weir};
use crate::lint::{Limits, Report, State};
use crate::poll::{self, Source, Trust};

const NAME: &str = "news";

pub(super) struct Stage {
    pub(super) weir: Weir,
    encoder: Option<Encoder>,
    state: watch::Sender<State>,
    /// What is the case all the time.
    always: State,
    linter: JoinHandle<anyhow::Result<Report>>,
}

impl Stage {
    pub(super) const NAME: &'static str = NAME;

    /// A live stream with the linter and `readers` on it.
    pub(super) async fn set(binary: &Path, readers: usize) -> anyhow::Result<Self> {
        let weir = Weir::start(binary).await?;
        Self::with(weir, readers, Limits::default(), State::NORMAL).await
    }

    /// The same with a server that runs already.
    pub(super) async fn of(weir: Weir) -> anyhow::Result<Self> {
        Self::with(weir, 0, Limits::default(), State::NORMAL).await
    }

    /// The same over TLS: the encoder by RTMPS, linter and readers by HTTPS and HTTP/2.
    pub(super) async fn secure(binary: &Path, readers: usize, slack: Span) -> anyhow::Result<Self> {
        let weir = Weir::start_secure(binary).await?;
        Self::with(weir, readers, Limits::of_slack(slack), State::NORMAL).await
    }

    /// The same on a machine that a browser full of players, or a flood, keeps busy.
    pub(super) async fn crowded(binary: &Path, readers: usize) -> anyhow::Result<Self> {
        let slack = Span::from_secs(2);
        let weir = Weir::start(binary).await?;
        Self::with(weir, readers, Limits::of_slack(slack), State::NORMAL).await
    }

    /// The same with encoders that follow each other so fast that their keyframes come when they will.
    pub(super) async fn restless(binary: &Path) -> anyhow::Result<Self> {
        let slack = Span::from_secs(2);
        let weir = Weir::start(binary).await?;
        Self::with(weir, 0, Limits::of_slack(slack), State::FORCED_CUT).await
    }

    async fn with(
        weir: Weir,
        readers: usize,
        limits: Limits,
        always: State,
    ) -> anyhow::Result<Self> {
        weir.create(NAME).await?;
        let encoder = push(&weir)?;
        weir.until(NAME, "live").await?;
        let (state, told) = watch::channel(always);
        let config = poll::Config {
            readers,
            limits,
            duration: Duration::MAX,
            h2: weir.secure.is_some(),
            trust: weir
                .secure
                .as_ref()
                .map_or(Trust::System, |s| Trust::Authority(s.authority())),
            ..poll::Config::new(&format!("{}/{NAME}/index.m3u8", weir.origin()?))
        };
        let linter = tokio::spawn(async move { poll::run(&config, Source::Told(told)).await });
        let stage = Self {
            weir,
            encoder: Some(encoder),
            state,
            always,
            linter,
        };
        stage.until_live().await?;
        Ok(stage)
    }

    /// The encoder dies without a word; the playlists are frozen when this returns.
    pub(super) async fn cut(&mut self) -> anyhow::Result<()> {
        self.tell(State::HOLD);
        if let Some(encoder) = self.encoder.take() {
            encoder.kill().await?;
        }
        self.weir.until(NAME, "hold").await
    }

    /// Another encoder begins to push.
    pub(super) fn push(&mut self) -> anyhow::Result<()> {
        self.encoder = Some(push(&self.weir)?);
        Ok(())
    }

    /// Waits until playlists grow again.
    pub(super) async fn until_live(&self) -> anyhow::Result<()> {
        self.weir.until_growing(NAME).await?;
        self.tell(State::NORMAL);
        Ok(())
    }

    /// `kill -9` of the server; the encoder notices and dies of it.
    pub(super) async fn kill_server(&mut self) -> anyhow::Result<()> {
        self.tell(State::RESTART.and(State::HOLD));
        self.weir.kill().await?;
        if let Some(encoder) = self.encoder.take() {
            encoder.kill().await?;
        }
        Ok(())
    }

    /// The server is asked to stop; the encoder is gone with it.
    pub(super) async fn stop_server(&mut self) -> anyhow::Result<()> {
        self.tell(State::RESTART.and(State::HOLD));
        self.weir.stop().await?;
        if let Some(encoder) = self.encoder.take() {
            encoder.kill().await?;
        }
        Ok(())
    }

    fn tell(&self, state: State) {
        // The linter only ends with the stage.
        let _ = self.state.send(state.and(self.always));
    }

    /// What the linter found, which should be nothing.
    pub(super) async fn clear(self) -> anyhow::Result<Weir> {
        drop(self.state);
        judge(self.linter).await?;
        Ok(self.weir)
    }
}

/// Says what a linter found, which should be nothing.
pub(super) async fn judge(linter: JoinHandle<anyhow::Result<Report>>) -> anyhow::Result<()> {
    let report = linter.await??;
    say(&report.to_string());
    ensure!(report.violations.is_empty(), "rules were broken");
    Ok(())
}

fn push(weir: &Weir) -> anyhow::Result<Encoder> {
    let authority = weir.secure.as_ref().map(Secure::authority);
    let url = weir.publish_url(NAME)?;
    Encoder::push_trusting(&url, "640x360", 30, authority.as_deref())
}

/// A line of the report.
#[expect(clippy::print_stdout, reason = "what a scenario is run for")]
pub(super) fn say(line: &str) {
    println!("{line}");
}
