//! Inputs fail, over and over, in every way that inputs do; players must not notice.

mod absence;
mod audience;
mod browsers;
mod changes;
mod flapping;
mod formats;
mod ground;
mod judge;
mod kinds;
mod lines;
mod many;
mod runs;
mod sources;
mod table;
mod tally;
pub(super) mod ticker;
mod transports;
mod trial;
mod weather;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum as _;

use self::ground::{Contents, Plan, Through};
use self::table::{GROUP, Promise};
use self::trial::Failure;
use super::stage::say;

/// Which rooms to go through, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// All where none is named.
    #[arg(value_enum)]
    rooms: Vec<Room>,
    /// What `make test` runs, instead of any room.
    #[arg(long)]
    short: bool,
    /// Of each room with trials.
    #[arg(long, default_value_t = 100)]
    trials: u32,
    /// Kills while browsers play, and changes of the configuration.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// In which inputs of several kinds fail; in each of them they return in all six.
    #[arg(long, default_value_t = 6)]
    orders: usize,
    /// Of bad weather.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// How often a flapping input comes and goes.
    #[arg(long, default_value_t = 20)]
    flaps: u32,
    /// Of absences, one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 60, 300])]
    seconds: Vec<u64>,
    /// Between SRT, RTMP and HLS.
    #[arg(long, default_value_t = 50)]
    crossings: u32,
    /// Of the room that counts what piles up.
    #[arg(long, default_value_t = 1_000)]
    switches: u64,
}

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Room {
    /// `kill -9` of an encoder; the other sends other bytes.
    Kill,
    /// SIGSTOP of an encoder: it stays connected.
    Stop,
    /// A link loses everything.
    Blackhole,
    /// `kill -9`; both send the same bytes.
    KillEqual,
    /// SIGSTOP; both send the same bytes.
    StopEqual,
    /// One encoder sends to both inputs; one of its links loses everything.
    Tee,
    /// Links of 1 % loss, 50 ms of jitter and short outages: no switch.
    Weather,
    /// The same where both carry the same bytes and a switch is made sooner.
    WeatherEqual,
    /// The better input is up for a second, down for a second.
    Flapping,
    /// Up for four seconds, down for one.
    SlowFlapping,
    /// All inputs are away.
    Absence,
    /// A great many switches.
    Switches,
    /// `kill -9` of an encoder while hls.js and Shaka play.
    Browsers,
    /// The second input has another size, rate and profile.
    Formats,
    /// PUT adds inputs, changes their order and removes them, the active one at last.
    Put,
    /// An encoder, HLS, another stream and a slate: every order of failing and of returning.
    Kinds,
    /// SRT, then RTMP, then HLS: the best one that lives is killed.
    Transports,
}

/// Every room, whatever the ones before it showed.
pub(super) async fn run(binary: PathBuf, args: Args) -> anyhow::Result<()> {
    if args.short {
        return short(&binary).await;
    }
    let rooms = match &args.rooms[..] {
        [] => Room::value_variants(),
        some => some,
    };
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for room in rooms {
        let name = room.name();
        say(&format!("\n## {name}"));
        if let Err(why) = room.run(&binary, &args, &mut rows).await {
            say(&format!("- NOT OK: {why:#}"));
            broken.push(name);
        }
    }
    if !rows.is_empty() {
        say(&format!("{}\n{}", table::HEAD, rows.join("\n")));
    }
    ensure!(
        broken.is_empty(),
        "promises were broken: {}",
        broken.join(", ")
    );
    Ok(())
}

/// A few failures of each kind: how the programme behaves, not how quickly.
///
/// # Errors
/// What players noticed.
pub(super) async fn short(binary: &Path) -> anyhow::Result<()> {
    let found = trial::short(binary).await?;
    say(&format!("{}\n{}", table::HEAD, table::row("short", &found)));
    table::hold_frames("short", &found, GROUP)
}

impl Room {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |v| v.get_name().to_owned())
    }

    async fn run(self, binary: &Path, args: &Args, rows: &mut Vec<String>) -> anyhow::Result<()> {
        match self {
            Self::Weather | Self::WeatherEqual => {
                weather::run(binary, self.plan(), args.minutes).await
            }
            Self::Flapping => flapping::run(binary, Duration::from_secs(1), args.flaps).await,
            Self::SlowFlapping => flapping::run(binary, Duration::from_secs(4), args.flaps).await,
            Self::Absence => absence::run(binary, &args.seconds).await,
            Self::Switches => many::run(binary, args.switches).await,
            Self::Browsers => browsers::run(binary, args.rounds).await,
            Self::Formats => formats::run(binary).await,
            Self::Kinds => kinds::run(binary, args.orders).await,
            Self::Transports => transports::run(binary, args.crossings).await,
            Self::Put => changes::run(binary, args.rounds).await,
            _ => {
                let (found, clear) =
                    trial::run(binary, self.plan(), self.failure(), args.trials).await?;
                let row = table::row(&self.name(), &found);
                say(&format!("{}\n{row}", table::HEAD));
                rows.push(row);
                clear?;
                table::hold(&self.name(), &found, self.promise())
            }
        }
    }

    fn plan(self) -> Plan {
        let through = match self {
            Self::Tee => Through::Tee,
            Self::Blackhole | Self::Weather | Self::WeatherEqual => Through::Links,
            _ => Through::Loopback,
        };
        let equal = matches!(
            self,
            Self::KillEqual | Self::StopEqual | Self::Tee | Self::WeatherEqual
        );
        let contents = if equal {
            Contents::Equal
        } else {
            Contents::Different
        };
        Plan {
            contents,
            through,
            ..Plan::default()
        }
    }

    const fn failure(self) -> Failure {
        match self {
            Self::Stop | Self::StopEqual => Failure::Stop,
            Self::Blackhole | Self::Tee => Failure::Hole,
            _ => Failure::Kill,
        }
    }

    /// Section 10 of the design.
    fn promise(self) -> Promise {
        let equal = self.plan().contents == Contents::Equal;
        let repeated = if equal { 0 } else { GROUP };
        let closes = self.failure() == Failure::Kill;
        let silent = if equal { 200 } else { 500 };
        Promise {
            decision: closes.then_some(20),
            detection: (!closes).then_some(silent),
            repeated,
        }
    }
}
