//! A ladder, and everything that can happen to it: workers die and hang, inputs change, the machine
//! is too slow. Sources are encoded beforehand, so that two cores carry source and ladder.

mod clean;
pub(super) mod ground;
mod kills;
mod overload;
mod pictures;
mod switches;
mod tracks;

use std::path::{Path, PathBuf};

use super::rooms::through;

/// Which rooms to go through.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// All where none is named.
    #[arg(value_enum)]
    rooms: Vec<Room>,
    /// Of undisturbed play.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Of workers; a tenth as many are stopped.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Between inputs.
    #[arg(long, default_value_t = 100)]
    switches: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Room {
    /// Nothing happens: cadence, grid, linter, browsers.
    Clean,
    /// `kill -9` of the worker, beside a copy.
    Kills,
    /// SIGSTOP of the worker.
    Stops,
    /// Between H.264 of two sizes and rates over SRT and RTMP, and H.265 over HLS.
    Switches,
    /// A ladder that the machine cannot carry, and one that it can again.
    Overload,
    /// A copy beside an encoded rung, two languages, each in AAC and Opus.
    Tracks,
}

/// Every room, whatever the ones before it showed.
pub(super) async fn run(binary: PathBuf, args: Args) -> anyhow::Result<()> {
    through(&args.rooms, async |room| enter(*room, &binary, &args).await).await
}

async fn enter(room: Room, binary: &Path, args: &Args) -> anyhow::Result<()> {
    match room {
        Room::Clean => clean::run(binary, args.seconds).await,
        Room::Kills => kills::run(binary, args.kills, kills::How::Kill).await,
        Room::Stops => kills::run(binary, args.kills.div_ceil(10), kills::How::Stop).await,
        Room::Switches => switches::run(binary, args.switches).await,
        Room::Overload => overload::run(binary).await,
        Room::Tracks => tracks::run(binary).await,
    }
}
