//! `weir-soak SCENARIO`: pushes a server about and says what that did to players. `make soak` runs all.

use std::path::PathBuf;

use clap::Parser;
use testkit::actors::in_repository;
use testkit::soak::Scenario;

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
    cli.scenario.run(cli.weir.unwrap_or_else(built)).await
}
