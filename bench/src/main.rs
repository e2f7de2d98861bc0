//! `weir-load`: publishes synthetic programmes and plays them as many viewers, lightly. Prints one
//! line of JSON: bytes, who kept up, percentiles, and what the server spent on it.

#![allow(clippy::print_stdout, reason = "a line is what it makes")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures"
)]

mod cost;
mod crowd;
mod dash;
mod discard;
mod floor;
mod hls;
mod http;
mod ladder;
mod picture;
mod players;
mod playlist;
mod publish;
mod rtmp_client;
mod samples;
mod stamp;
mod watch;
mod worker;

use clap::Parser;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// A light load for media servers.
#[derive(Debug, Parser)]
#[command(name = "weir-load")]
enum Cli {
    /// Publish synthetic H.264 whose frames carry their send time.
    Publish(publish::Publish),
    /// Play over RTMP.
    Rtmp(crowd::Options),
    /// Play a media playlist by polling, whole segments.
    Hls(crowd::Options),
    /// Play a media playlist by blocking reloads, part by part.
    Llhls(crowd::Options),
    /// Play an MPD's pictures, each segment while it is made.
    Lldash(crowd::Options),
    /// Send synthetic H.264 to players, and be nothing else of a server.
    Floor(floor::Floor),
    /// Have a transcoder's worker make a ladder of a file.
    Ladder(ladder::Ladder),
    /// Do a fixed piece of work, for an instruction counter.
    Cost(cost::Cost),
}

fn run(cli: Cli) -> anyhow::Result<Value> {
    match cli {
        Cli::Publish(args) => runtime()?.block_on(publish::run(args)),
        Cli::Floor(args) => runtime()?.block_on(floor::run(args)),
        Cli::Rtmp(options) => crowd::run(options, players::view),
        Cli::Hls(options) => crowd::run(options, hls::classic),
        Cli::Llhls(options) => crowd::run(options, hls::low_latency),
        Cli::Lldash(options) => crowd::run(options, dash::low_latency),
        Cli::Ladder(ladder) => ladder::run(&ladder),
        Cli::Cost(cost) => cost::run(&cost),
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn main() -> anyhow::Result<()> {
    println!("{}", run(Cli::parse())?);
    Ok(())
}
