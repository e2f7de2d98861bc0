//! `weir-srt SOURCE DESTINATION`: carries datagrams between UDP and SRT, called as srt-live-transmit is.

use clap::Parser;
use testkit::transmit::{relay, transmit};

/// `udp://:PORT`, `udp://HOST:PORT`, `srt://HOST:PORT?…`, `srt://:PORT?mode=listener&…`.
#[derive(Debug, Parser)]
#[command(name = "weir-srt")]
struct Cli {
    /// Where it comes from.
    #[arg(required_unless_present = "relay")]
    from: Option<String>,
    /// Where it goes.
    #[arg(required_unless_present = "relay")]
    to: Option<String>,
    /// Takes publishers and players at `srt://:PORT?mode=listener`, many of each.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    relay: Option<String>,
}

// One thread, as its sessions are few and its figures are compared.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match (cli.relay, cli.from, cli.to) {
        (Some(at), ..) => relay(&at).await,
        (None, Some(from), Some(to)) => transmit(&from, &to).await,
        _ => anyhow::bail!("from where to where?"),
    }
}
