//! A publisher and a player, both libsrt's, that go on whatever others do to their server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::time::sleep;

use super::tool::{Running, Tool, free};
use crate::numbered::{Pacer, Sink};

const LATENCY: Duration = Duration::from_millis(500);
const BITS: u64 = 2_000_000;
const CONNECTED: Duration = Duration::from_secs(15);

/// What is under attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Server {
    /// weir-srt, which passes on what publishers send to players of the same name.
    Weir,
    /// srt-live-transmit, which takes one publisher.
    Libsrt,
}

/// Numbered datagrams through a server.
#[derive(Debug)]
pub(super) struct Honest {
    /// Where the server listens.
    pub(super) target: SocketAddr,
    server: Option<Running>,
    process: Option<u32>,
    /// What may not end.
    programs: Vec<Running>,
    pacer: Pacer,
    sink: Sink,
}

impl Honest {
    /// With a server of its own.
    pub(super) async fn with(server: Server) -> anyhow::Result<Self> {
        let (target, sink) = (free()?, Sink::open()?);
        let port = target.port();
        let running = match server {
            Server::Weir => {
                Tool::Weir.run(&["--relay", &format!("srt://:{port}?mode=listener")])?
            }
            Server::Libsrt => {
                let from = format!(
                    "srt://:{port}?mode=listener&latency={}",
                    LATENCY.as_millis()
                );
                Tool::Libsrt.start(&from, &format!("udp://{}", sink.address))?
            }
        };
        let process = running.id();
        let player = server == Server::Weir;
        Self::set(target, Some(running), process, sink, player).await
    }

    /// With one that runs already.
    pub(super) async fn at(target: SocketAddr, process: Option<u32>) -> anyhow::Result<Self> {
        Self::set(target, None, process, Sink::open()?, true).await
    }

    async fn set(
        target: SocketAddr,
        server: Option<Running>,
        process: Option<u32>,
        sink: Sink,
        player: bool,
    ) -> anyhow::Result<Self> {
        let source = free()?;
        let address = |id: &str| {
            format!(
                "srt://{target}?mode=caller&latency={}&streamid={id}",
                LATENCY.as_millis()
            )
        };
        let from = format!("udp://:{}?rcvbuf=4194304", source.port());
        let pacer = Pacer::start(source, BITS, 1)?;
        let mut programs = vec![Tool::Libsrt.start(&from, &address("publish:news"))?];
        if player {
            // Who plays what nobody publishes is refused, and comes back at once.
            sleep(Duration::from_secs(1)).await;
            let to = format!("udp://{}", sink.address);
            programs.push(Tool::Libsrt.start(&address("read:news"), &to)?);
            // It has nothing to say, but is there.
            let secret = address("publish:secret") + "&passphrase=over-hill-and-dale&pbkeylen=16";
            programs.push(Tool::Libsrt.start(&format!("udp://:{}", free()?.port()), &secret)?);
        }
        let honest = Self {
            target,
            server,
            process,
            programs,
            pacer,
            sink,
        };
        honest.until_flowing().await?;
        Ok(honest)
    }

    async fn until_flowing(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while self.sink.end() == 0 {
            if begin.elapsed() > CONNECTED {
                let said: Vec<_> = self
                    .server
                    .iter()
                    .chain(&self.programs)
                    .map(Running::said)
                    .collect();
                bail!("nothing arrived within {CONNECTED:?}: {}", said.join("; "));
            }
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    /// The number of what is sent next.
    pub(super) fn sent(&self) -> u64 {
        self.pacer.sent()
    }

    /// How many were lost since that one.
    pub(super) async fn lost(&mut self, since: u64) -> anyhow::Result<u64> {
        let until = self.pacer.sent();
        sleep(LATENCY * 2 + Duration::from_millis(300)).await;
        let gone = self.server.as_mut().is_some_and(Running::is_gone);
        let said = || self.server.as_ref().map_or_else(String::new, Running::said);
        ensure!(!gone, "the server ended: {}", said());
        let left = self
            .programs
            .iter_mut()
            .filter_map(|p| p.is_gone().then(|| p.said()));
        let left: Vec<_> = left.collect();
        ensure!(left.is_empty(), "an honest one ended: {}", left.join("; "));
        Ok(self.sink.of(since..until).missing)
    }

    /// Bytes in memory and nanoseconds of processor of the server, where it is known.
    pub(super) fn footprint(&self) -> Option<(u64, u64)> {
        let process = self.process?;
        Some((
            super::process::resident(process).ok()?,
            super::process::cpu(process).ok()?,
        ))
    }
}
