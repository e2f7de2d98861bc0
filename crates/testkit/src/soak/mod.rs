//! Scenarios that push a server about, each with the linter watching. `weir-soak` runs them.

mod crowd;
mod dash;
mod database;
mod events;
mod failover;
mod flood;
mod kills;
mod knock;
mod ladder;
mod lint;
mod matrix;
mod players;
mod rooms;
mod siege;
mod srt;
mod stage;
mod tls;

use std::path::{Path, PathBuf};

use clap::Subcommand;

/// What to put a server through.
#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// Blocking readers while all is well, while the publisher comes and goes, and while the server is killed.
    Lint {
        /// Undisturbed; half of that again for each of the other two.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Concurrent readers.
        #[arg(long, default_value_t = 50)]
        readers: usize,
    },
    /// The publisher is away for a while; every player must come back by itself.
    Absence {
        /// How long, one after the other.
        #[arg(default_values_t = [2, 10, 60, 300])]
        seconds: Vec<u64>,
    },
    /// The server is killed and comes back; players that retry must come back by themselves.
    Restart,
    /// The encoder is killed and another one comes, over and over.
    EncoderKills {
        /// How often.
        #[arg(default_value_t = 100)]
        rounds: u32,
    },
    /// The server is killed and started again, over and over.
    ServerKills {
        /// How often.
        #[arg(default_value_t = 20)]
        rounds: u32,
    },
    /// Inputs fail, over and over, in every way that inputs do; players must not notice.
    Failover(failover::Args),
    /// Hooks, kills, bursts, templates, streams that encoders make, callbacks: what is told is never lost.
    Events(events::Args),
    /// Players of DASH, undisturbed, over absences, switches and a ladder; many readers.
    Dash(dash::Args),
    /// A ladder: workers die and hang, inputs change beneath it, the machine is too slow for it.
    Ladder(ladder::Args),
    /// Every sender, transport and codec, all outputs read at once by programs that are not ours.
    Matrix(matrix::Args),
    /// SRT over lossy links, beside libsrt; bad peers.
    Srt(Box<srt::Args>),
    /// Readers that stall and publishers that say nothing slow nobody.
    Crowd,
    /// Garbage on every port, half-open connections, slow readers, a storm of publishers: nobody notices.
    Siege {
        /// Half-open ones of each kind.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// How often a publisher is cut off.
        #[arg(long, default_value_t = 500)]
        storm: u32,
    },
    /// PostgreSQL is stopped while media flows; no frame may be lost by that.
    Database {
        /// How long.
        #[arg(default_value_t = 120)]
        seconds: u64,
    },
    /// Our own page for a minute, with a screenshot.
    Page {
        /// Where the screenshot goes.
        #[arg(default_value = "page.png")]
        screenshot: PathBuf,
    },
    /// Browsers over HTTPS, certificates that change under load, and restarts on inherited sockets.
    Tls {
        /// Of certificates that change.
        #[arg(long, default_value_t = 120)]
        seconds: u64,
        /// Restarts.
        #[arg(long, default_value_t = 10)]
        rounds: u32,
    },
    /// Everything.
    All,
}

impl Scenario {
    /// Runs it with a server of its own.
    ///
    /// # Errors
    /// What the server did wrong.
    pub async fn run(self, weir: PathBuf) -> anyhow::Result<()> {
        match self {
            Self::Lint { minutes, readers } => lint::run(weir, minutes, readers).await,
            Self::Absence { seconds } => players::absence(weir, &seconds).await,
            Self::Restart => players::restart(weir).await,
            Self::EncoderKills { rounds } => kills::encoder(weir, rounds).await,
            Self::ServerKills { rounds } => kills::server(weir, rounds).await,
            Self::Failover(args) => failover::run(weir, args).await,
            Self::Events(args) => events::run(weir, args).await,
            Self::Dash(args) => dash::run(weir, args).await,
            Self::Ladder(args) => ladder::run(weir, args).await,
            Self::Matrix(args) => matrix::run(weir, args).await,
            Self::Srt(args) => srt::run(*args, &weir).await,
            Self::Crowd => crowd::run(weir).await,
            Self::Siege { connections, storm } => siege::run(weir, connections, storm).await,
            Self::Database { seconds } => database::run(weir, seconds).await,
            Self::Page { screenshot } => players::page(weir, &screenshot).await,
            Self::Tls { seconds, rounds } => tls::run(weir, seconds, rounds).await,
            Self::All => {
                lint::run(weir.clone(), 10, 50).await?;
                crowd::run(weir.clone()).await?;
                siege::run(weir.clone(), 10_000, 500).await?;
                database::run(weir.clone(), 120).await?;
                events::run(weir.clone(), events::Args::default()).await?;
                players::page(weir.clone(), &PathBuf::from("page.png")).await?;
                players::absence(weir.clone(), &[2, 10, 60, 300]).await?;
                players::restart(weir.clone()).await?;
                tls::run(weir.clone(), 120, 10).await?;
                kills::encoder(weir.clone(), 100).await?;
                kills::server(weir, 20).await
            }
        }
    }
}

/// A short form of [`Scenario::Failover`] for tests.
///
/// # Errors
/// What the server did wrong.
pub async fn short_failover(weir: &Path) -> anyhow::Result<()> {
    failover::short(weir).await
}

/// A short form of [`Scenario::Matrix`] for tests.
///
/// # Errors
/// What players did not get.
pub async fn short_matrix(weir: &Path) -> anyhow::Result<()> {
    matrix::run(weir.to_owned(), matrix::Args::SHORT).await
}
