//! One measurement: a pair of programs with a lossy link between them, numbered datagrams through both.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::time::sleep;

use super::tool::Running;
use super::{Pair, Way, process};
use crate::actors::free_udp;
use crate::handmade::Kind;
use crate::link::{Datagrams, Lateness, Weather, Wire};
use crate::lint::Quantiles;
use crate::numbered::{Arrivals, Pacer, Sink};

/// Handshakes get lost, too.
const CONNECTED: Duration = Duration::from_secs(30);
/// Until nothing is left of how it began.
const SETTLED: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);
/// A share of so many that is lost is no matter of chance: programs are heard.
const MUCH: u64 = 20;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The share that is lost, each way.
    pub(super) loss: f64,
    /// There and back.
    pub(super) rtt: Duration,
    pub(super) latency: Duration,
    /// Bytes of the key, 0 for none.
    pub(super) key: u8,
    pub(super) way: Way,
    /// Packets under one key, and before the next one that it is announced.
    pub(super) refresh: Option<(u32, u32)>,
    pub(super) bits: u64,
    /// Datagrams that come at once.
    pub(super) burst: u64,
    pub(super) measured: Duration,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) arrivals: Arrivals,
    /// Forth is the way of the payload.
    pub(super) forth: Traffic,
    pub(super) back: Traffic,
    /// Seconds of processor of the sender and the receiver.
    pub(super) cpu: [f64; 2],
    /// Bytes in memory of both at the end.
    pub(super) resident: [u64; 2],
    /// Microseconds beyond the latency and the link's delay.
    pub(super) added: Quantiles,
    pub(super) link: Lateness,
    pub(super) pacer: Duration,
    /// What was lost between the programs and the rig.
    pub(super) dropped: u64,
    /// What the pair had to say, where something went wrong.
    pub(super) said: String,
}

/// Datagrams on the wire in one direction, those that were lost too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    pub(super) taken: u64,
    pub(super) bytes: u64,
    kinds: [u64; crate::link::KINDS],
}

impl Traffic {
    fn of(wire: &Wire, way: usize) -> Self {
        Self {
            taken: wire.counts[way].taken,
            bytes: wire.counts[way].bytes,
            kinds: wire.kinds[way],
        }
    }

    pub(super) fn kind(&self, kind: Kind) -> u64 {
        self.kinds[kind as usize]
    }
}

impl Cell {
    /// Measures a pair.
    pub(super) async fn measure(&self, pair: Pair) -> anyhow::Result<Figures> {
        let mut stand = Stand::set(self, pair)?;
        stand.until_connected().await?;
        sleep(SETTLED).await;
        let begin = stand.mark()?;
        sleep(self.measured).await;
        let end = stand.mark()?;
        // What was sent until now comes by then, or never.
        sleep(self.latency + self.rtt * 2 + Duration::from_millis(500)).await;
        self.figures(&mut stand, &begin, &end)
    }

    fn figures(&self, stand: &mut Stand, begin: &Mark, end: &Mark) -> anyhow::Result<Figures> {
        let arrivals = stand.sink.of(begin.sent..end.sent);
        let wire = end.wire.since(&begin.wire);
        let (forth, back) = match self.way {
            Way::Publish => (0, 1),
            Way::Play => (1, 0),
        };
        let expected = i64::try_from((self.latency + self.rtt / 2).as_micros())?;
        let added: Vec<_> = arrivals.delays.iter().map(|d| d - expected).collect();
        let spent = |n: usize| (end.cpu[n] - begin.cpu[n]) as f64 / 1e9;
        let gone = stand.programs.iter_mut().any(Running::is_gone);
        let said = stand.programs.each_ref().map(Running::said).join("; ");
        ensure!(!gone, "a program ended: {said}");
        Ok(Figures {
            forth: Traffic::of(&wire, forth),
            back: Traffic::of(&wire, back),
            cpu: [spent(0), spent(1)],
            resident: [stand.programs[0].resident()?, stand.programs[1].resident()?],
            added: Quantiles::of(&added),
            link: stand.link.lateness(),
            pacer: stand.pacer.latest(),
            dropped: process::dropped(&stand.ports),
            said: if arrivals.missing * MUCH > arrivals.sent {
                said
            } else {
                String::new()
            },
            arrivals,
        })
    }

    /// What follows the question mark of both addresses.
    fn options(&self, mode: &str) -> String {
        let mut options = format!("mode={mode}&latency={}", self.latency.as_millis());
        if self.key > 0 {
            let key = self.key;
            options += &format!("&passphrase=over-hill-and-dale&pbkeylen={key}");
        }
        if let Some((rate, before)) = self.refresh.filter(|_| self.key > 0) {
            options += &format!("&kmrefreshrate={rate}&kmpreannounce={before}");
        }
        options
    }
}

/// What is set up for one measurement.
struct Stand {
    link: Datagrams,
    sink: Sink,
    pacer: Pacer,
    /// Sender and receiver.
    programs: [Running; 2],
    /// Where datagrams could be lost that are not the pair's to lose.
    ports: [SocketAddr; 3],
}

/// What was counted until a moment.
struct Mark {
    sent: u64,
    wire: Wire,
    cpu: [u64; 2],
}

impl Stand {
    fn set(cell: &Cell, pair: Pair) -> anyhow::Result<Self> {
        let (server, source) = (free_udp()?, free_udp()?);
        let link = Datagrams::lay(server, cell.seed, Kind::number)?;
        let weather = Weather {
            delay: cell.rtt / 2,
            loss: cell.loss,
            ..Weather::FAIR
        };
        link.set(weather, weather);
        let sink = Sink::open()?;
        let listener = format!("srt://:{}?{}", server.port(), cell.options("listener"));
        let caller = format!("srt://{}?{}", link.near, cell.options("caller"));
        let (at_sender, at_receiver) = match cell.way {
            Way::Publish => (caller, listener),
            Way::Play => (listener, caller),
        };
        let from = format!("udp://:{}?rcvbuf=4194304", source.port());
        let to = format!("udp://{}", sink.address);
        let [sender, receiver] = pair.tools();
        let programs = [
            sender.start(&from, &at_sender)?,
            receiver.start(&at_receiver, &to)?,
        ];
        Ok(Self {
            pacer: Pacer::start(source, cell.bits, cell.burst)?,
            ports: [source, link.near, sink.address],
            link,
            sink,
            programs,
        })
    }

    async fn until_connected(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while self.sink.end() == 0 {
            let said = || self.programs.each_ref().map(Running::said).join("; ");
            if begin.elapsed() > CONNECTED {
                bail!("nothing arrived within {CONNECTED:?}: {}", said());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn mark(&self) -> anyhow::Result<Mark> {
        Ok(Mark {
            sent: self.pacer.sent(),
            wire: self.link.wire(),
            cpu: [self.programs[0].cpu()?, self.programs[1].cpu()?],
        })
    }
}
