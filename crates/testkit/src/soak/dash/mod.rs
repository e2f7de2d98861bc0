//! DASH and low-latency DASH: dash.js, Shaka and ffmpeg watch, the linter counts, and what else
//! happens to a stream happens.

mod crowd;
mod rooms;
mod show;

use std::path::{Path, PathBuf};

use super::rooms::through;

/// Which rooms to go through.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// All where none is named.
    #[arg(value_enum)]
    rooms: Vec<Room>,
    /// Of undisturbed play.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Between inputs.
    #[arg(long, default_value_t = 20)]
    switches: u32,
    /// Of growing segments.
    #[arg(long, default_value_t = 500)]
    readers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Room {
    /// Nothing happens, in low latency.
    Clean,
    /// The same for classic players.
    Classic,
    /// The encoder is away for 10 s, then for 60 s.
    Absence,
    /// The server is stopped and killed; over HTTP/2, on sockets that stay.
    Restart,
    /// Between inputs of other sizes and rates.
    Switches,
    /// A ladder, whose worker is killed; players are told to move, then find out by themselves.
    Ladder,
    /// Players whose clocks are a minute wrong.
    Clock,
    /// Readers of growing segments, every other one of them slow.
    Readers,
}

/// Every room, whatever the ones before it showed.
pub(super) async fn run(binary: PathBuf, args: Args) -> anyhow::Result<()> {
    through(&args.rooms, async |room| enter(*room, &binary, &args).await).await
}

async fn enter(room: Room, binary: &Path, args: &Args) -> anyhow::Result<()> {
    match room {
        Room::Clean => rooms::clean(binary, true, args.seconds).await,
        Room::Classic => rooms::clean(binary, false, args.seconds).await,
        Room::Absence => rooms::absence(binary).await,
        Room::Restart => rooms::restart(binary).await,
        Room::Switches => rooms::switches(binary, args.switches).await,
        Room::Ladder => rooms::ladder(binary).await,
        Room::Clock => rooms::clock(binary).await,
        Room::Readers => crowd::run(binary, args.readers).await,
    }
}
