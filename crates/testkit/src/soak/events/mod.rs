//! What happens is told: hooks, kills, bursts, templates, streams that encoders make, callbacks. Each
//! room has a server of its own, real receivers and real encoders.

mod account;
mod api;
mod burst;
mod callbacks;
mod flock;
mod hooks;
mod kill;
mod loopback;
mod nursery;
mod pour;
mod push;
mod receiver;
mod signature;
mod storm;
mod templates;
mod viewers;

use std::path::{Path, PathBuf};

use super::rooms::through;
use crate::actors::Postgres;

/// Which rooms to go through.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// All where none is named.
    #[arg(value_enum)]
    rooms: Vec<Room>,
    /// How long a receiver is dead.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Of the server.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// `kill`, `burst` and `templates` run on PostgreSQL alone, else on both databases.
    #[arg(long)]
    postgres: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            rooms: Vec::new(),
            seconds: 60,
            kills: 50,
            postgres: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Room {
    /// Receivers that are dead, slow, failing, refusing, redirecting, busy.
    Hooks,
    /// `kill -9` of the server while events pour in and queues wait.
    Kill,
    /// Ten thousand events a second, with a database that is there and with one that is not.
    Burst,
    /// Hundreds of streams follow one template, and nobody who plays notices.
    Templates,
    /// A thousand encoders bring names of their own at once.
    Storm,
    /// A platform is asked before encoders and players are let in.
    Callbacks,
}

/// Every room, whatever the ones before it showed.
pub(super) async fn run(binary: PathBuf, args: Args) -> anyhow::Result<()> {
    through(&args.rooms, async |room| room.run(&binary, &args).await).await
}

impl Room {
    async fn run(self, binary: &Path, args: &Args) -> anyhow::Result<()> {
        match self {
            Self::Hooks => hooks::run(binary, args.seconds).await,
            Self::Burst => {
                if !args.postgres {
                    burst::run(binary, None, "10000").await?;
                    burst::run(binary, None, "100000").await?;
                }
                burst::run(binary, Some(&Postgres::start()?), "10000").await
            }
            Self::Templates => {
                if !args.postgres {
                    templates::run(binary, None).await?;
                }
                templates::run(binary, Some(&Postgres::start()?)).await
            }
            Self::Storm => storm::run(binary).await,
            Self::Callbacks => callbacks::run(binary).await,
            Self::Kill => {
                if !args.postgres {
                    kill::run(binary, args.kills, None).await?;
                }
                kill::run(binary, args.kills, Some(&Postgres::start()?)).await
            }
        }
    }
}
