//! `weir-soak SCENARIO`: pushes a server about and says what that did to players. `make soak` runs all.

use std::path::PathBuf;

use clap::Parser;
use testkit::actors::in_repository;
use testkit::soak::Scenario;
use tokio::signal::unix::{SignalKind, signal};

/// Long scenarios against a server of their own.
#[derive(Debug, Parser)]
#[command(name = "weir-soak")]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
    /// The server; target/release/weir if it is not named.
    #[arg(long, global = true)]
    weir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let built = || in_repository("target/release/weir");
    let weir = cli.weir.unwrap_or_else(built);
    let mut ended = signal(SignalKind::terminate())?;
    // What it started ends with it, encoders that were stopped too.
    tokio::select! {
        done = cli.scenario.run(weir) => done,
        _ = ended.recv() => anyhow::bail!("ended by SIGTERM"),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}
