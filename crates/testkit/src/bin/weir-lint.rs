//! `weir-lint URL`: watches a live stream and says which rules it breaks. Exits 1 where it does.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use media::Span;
use testkit::lint::{Limits, Report, State, dash};
use testkit::poll::{self, Source, Trust};

/// Lints a live LL-HLS or LL-DASH stream.
#[derive(Debug, Parser)]
#[command(name = "weir-lint")]
struct Cli {
    /// The multivariant playlist, or the MPD.
    url: String,
    /// DASH; with `ll=0` in the URL's query without low latency.
    #[arg(long, conflicts_with = "readers")]
    dash: bool,
    /// DASH: the MPD of the same stream on another server, which should have the same segments.
    #[arg(long, requires = "dash")]
    peer: Option<String>,
    /// How long to watch.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Concurrent readers that follow by blocking reloads, each over its own connection.
    #[arg(long, default_value_t = 0)]
    readers: usize,
    /// Speak HTTP/2 alone: as ALPN says over TLS, without asking where there is none.
    #[arg(long)]
    h2: bool,
    /// Authorities whose certificates to take, PEM; the system's by default.
    #[arg(long, conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Take any certificate.
    #[arg(long)]
    insecure: bool,
    /// How long the stream may take to be live.
    #[arg(long, default_value_t = 30)]
    wait: u64,
    /// Seconds between two rounds of probes.
    #[arg(long, default_value_t = 5)]
    probe_every: u64,
    /// Allowed between two parts beyond PART-TARGET, or between two chunks beyond their duration: the
    /// encoder's pacing.
    #[arg(long, default_value_t = 50)]
    slack_ms: u32,
    /// DASH: how long after its media a chunk may come.
    #[arg(long, default_value_t = 300)]
    behind_ms: u32,
    /// A file with the state of the stream: normal, hold, switch, restart, forced-cut.
    #[arg(long, conflicts_with = "api")]
    state_file: Option<PathBuf>,
    /// The state of the whole run.
    #[arg(long, default_value = "normal", conflicts_with_all = ["api", "state_file"])]
    state: State,
    /// The stream in Weir's API, which tells of holds.
    #[arg(long, requires = "token")]
    api: Option<String>,
    /// For the API.
    #[arg(long, env = "WEIR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Writes the findings and figures here as JSON too.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Cli {
    fn config(&self) -> poll::Config {
        poll::Config {
            duration: Duration::from_secs(self.seconds),
            readers: self.readers,
            h2: self.h2,
            trust: self.trust(),
            wait: Duration::from_secs(self.wait),
            probe_every: Duration::from_secs(self.probe_every),
            limits: Limits::of_slack(Span::from_millis(i64::from(self.slack_ms))),
            ..poll::Config::new(&self.url)
        }
    }

    fn dash(&self) -> poll::dash::Config {
        let millis = |ms: u32| Span::from_millis(i64::from(ms));
        poll::dash::Config {
            peer: self.peer.clone(),
            duration: Duration::from_secs(self.seconds),
            h2: self.h2,
            trust: self.trust(),
            wait: Duration::from_secs(self.wait),
            limits: dash::Limits {
                slack: millis(self.slack_ms),
                behind: millis(self.behind_ms),
                probes: Span::from(Duration::from_secs(self.probe_every)),
                ..dash::Limits::default()
            },
            ..poll::dash::Config::new(&self.url)
        }
    }

    fn trust(&self) -> Trust {
        match &self.ca {
            Some(file) => Trust::Authority(file.clone()),
            None if self.insecure => Trust::Anyone,
            None => Trust::System,
        }
    }

    fn source(&self) -> Source {
        match (&self.state_file, &self.api, &self.token) {
            (Some(file), ..) => Source::File(file.clone()),
            (None, Some(url), Some(token)) => Source::Api(url.clone(), token.clone()),
            _ => Source::Always(self.state),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let report = if cli.dash {
        poll::dash::run(&cli.dash(), cli.source()).await?
    } else {
        poll::run(&cli.config(), cli.source()).await?
    };
    tell(&report, &cli)?;
    Ok(if report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(report: &Report, cli: &Cli) -> anyhow::Result<()> {
    if let Some(path) = &cli.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    writeln!(std::io::stdout().lock(), "{report}").context("stdout")
}
