//! SRT over lossy links: libsrt's own tool and ours, at either end, side by side.

mod callers;
mod cell;
mod honest;
mod hostile;
mod long;
mod pictures;
mod process;
mod raid;
mod show;
mod table;
mod tool;

use std::path::Path;

use clap::ValueEnum;

use self::tool::Tool;
use super::rooms::through;

/// Which rooms to go through.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// All where none is named.
    #[arg(value_enum)]
    rooms: Vec<Room>,
    /// Of each measurement; 60 in `table` and 600 in `long` where it is not said.
    #[arg(long)]
    seconds: Option<u64>,
    /// Who sends to whom; all four where none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    pairs: Vec<Pair>,
    /// Cells that are measured at the same time, of each all pairs.
    #[arg(long, default_value_t = 1)]
    parallel: usize,
    /// Of `table`: percent.
    #[arg(long, value_delimiter = ',', default_values_t = [0.0, 1.0, 2.0, 5.0])]
    loss: Vec<f64>,
    /// Of `table`: milliseconds there and back.
    #[arg(long, value_delimiter = ',', default_values_t = [20, 100])]
    rtt: Vec<u64>,
    /// Of `table`: milliseconds.
    #[arg(long, value_delimiter = ',', default_values_t = [120, 500])]
    latency: Vec<u64>,
    /// Bytes of the key, 0 for none.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 16])]
    key: Vec<u8>,
    /// Who sends.
    #[arg(long, value_enum, value_delimiter = ',')]
    way: Vec<Way>,
    /// Datagrams that come to the sender at once, as those of a picture do. srt-live-transmit looks every
    /// ten milliseconds whatever comes, so that one at a time is dearer for everybody else alone.
    #[arg(long, default_value_t = 8)]
    burst: u64,
    /// What is left to chance follows from it; pairs of a cell lose the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    hostile: hostile::Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Room {
    /// Loss, delay, latency, key and direction, 8 Mb/s.
    Table,
    /// Ten minutes at 2 % and 40 ms, the keys changed on the way.
    Long,
    /// Every bad peer at one server, beside an honest publisher and its player.
    Hostile,
}

/// Sender and receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Pair {
    /// srt-live-transmit at both ends.
    Libsrt,
    /// srt-live-transmit to weir-srt.
    LibsrtWeir,
    /// weir-srt to srt-live-transmit.
    WeirLibsrt,
    /// weir-srt at both ends.
    Weir,
}

impl Pair {
    fn tools(self) -> [Tool; 2] {
        match self {
            Self::Libsrt => [Tool::Libsrt, Tool::Libsrt],
            Self::LibsrtWeir => [Tool::Libsrt, Tool::Weir],
            Self::WeirLibsrt => [Tool::Weir, Tool::Libsrt],
            Self::Weir => [Tool::Weir, Tool::Weir],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Libsrt => "libsrt → libsrt",
            Self::LibsrtWeir => "libsrt → weir",
            Self::WeirLibsrt => "weir → libsrt",
            Self::Weir => "weir → weir",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// The caller sends.
    Publish,
    /// The listener sends.
    Play,
}

impl Args {
    fn pairs(&self) -> &[Pair] {
        named(&self.pairs)
    }

    fn ways(&self) -> &[Way] {
        named(&self.way)
    }
}

fn named<T: ValueEnum>(some: &[T]) -> &[T] {
    if some.is_empty() {
        T::value_variants()
    } else {
        some
    }
}

/// Every room, whatever the ones before it showed.
pub(super) async fn run(args: Args, binary: &Path) -> anyhow::Result<()> {
    through(&args.rooms, async |room| match room {
        Room::Table => table::run(&args).await,
        Room::Long => long::run(&args).await,
        Room::Hostile => hostile::run(&args.hostile, binary).await,
    })
    .await
}
