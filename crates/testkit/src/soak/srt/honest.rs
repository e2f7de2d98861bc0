//! A publisher and a player, both on libsrt, that go on whatever others do to their server.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::json;
use tokio::time::sleep;

use super::pictures::{RATE, Watch};
use super::tool::{Running, Tool};
use crate::actors::{Weir, free_udp};
use crate::numbered::{Pacer, Sink};

const LATENCY: Duration = Duration::from_millis(500);
const BITS: u64 = 2_000_000;
const CONNECTED: Duration = Duration::from_secs(20);
const PASSPHRASE: &str = "over-hill-and-dale";

/// What is under attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Server {
    /// weir-srt, which passes on what publishers send to players of the same name.
    Relay,
    /// srt-live-transmit, which takes one publisher.
    Libsrt,
    /// The server itself.
    Weir,
}

/// Media through a server.
#[derive(Debug)]
pub(super) struct Honest {
    /// Where the server listens.
    pub(super) target: SocketAddr,
    host: Host,
    process: Option<u32>,
    /// What may not end.
    programs: Vec<Running>,
    flow: Flow,
}

#[derive(Debug)]
enum Host {
    Tool(Box<Running>),
    Weir(Box<Weir>),
    Elsewhere,
}

#[derive(Debug)]
enum Flow {
    Numbered { pacer: Pacer, sink: Sink },
    Pictures(Watch),
}

impl Honest {
    /// With a server of its own.
    pub(super) async fn with(server: Server, binary: &Path) -> anyhow::Result<Self> {
        let target = free_udp()?;
        let listener = format!(
            "srt://:{}?mode=listener&latency={}",
            target.port(),
            LATENCY.as_millis()
        );
        match server {
            Server::Relay => {
                let relay = Tool::Weir.run(&["--relay", &listener])?;
                let process = relay.id();
                Self::numbered(
                    target,
                    (Host::Tool(Box::new(relay)), process),
                    Sink::open()?,
                    true,
                )
                .await
            }
            Server::Libsrt => {
                let sink = Sink::open()?;
                let tool = Tool::Libsrt.start(&listener, &format!("udp://{}", sink.address))?;
                let process = tool.id();
                Self::numbered(target, (Host::Tool(Box::new(tool)), process), sink, false).await
            }
            Server::Weir => Self::pictures(binary).await,
        }
    }

    /// With one that runs already.
    pub(super) async fn at(target: SocketAddr, process: Option<u32>) -> anyhow::Result<Self> {
        Self::numbered(target, (Host::Elsewhere, process), Sink::open()?, true).await
    }

    async fn numbered(
        target: SocketAddr,
        (host, process): (Host, Option<u32>),
        sink: Sink,
        player: bool,
    ) -> anyhow::Result<Self> {
        let source = free_udp()?;
        let from = format!("udp://:{}?rcvbuf=4194304", source.port());
        let pacer = Pacer::start(source, BITS, 1)?;
        let mut programs = vec![Tool::Libsrt.start(&from, &address(target, "publish:news", 1))?];
        if player {
            // Who plays what nobody publishes is refused, and comes back at once.
            sleep(Duration::from_secs(1)).await;
            let to = format!("udp://{}", sink.address);
            programs.push(Tool::Libsrt.start(&address(target, "read:news", 1), &to)?);
            // It has nothing to say, but is there.
            let secret = address(target, "publish:secret", 1);
            let secret = format!("{secret}&passphrase={PASSPHRASE}&pbkeylen=16");
            programs.push(Tool::Libsrt.start(&format!("udp://:{}", free_udp()?.port()), &secret)?);
        }
        let honest = Self {
            target,
            host,
            process,
            programs,
            flow: Flow::Numbered { pacer, sink },
        };
        honest.until_flowing().await?;
        Ok(honest)
    }

    /// The server takes media apart, so that it has to be some.
    async fn pictures(binary: &Path) -> anyhow::Result<Self> {
        let weir = Weir::start(binary).await?;
        let target = weir.srt;
        let open = json!([{"id": "main", "url": "publish://", "key": null}]);
        let shown = json!([{"id": "main", "url": "stream://news"}]);
        let keys = json!({"publish_passphrase": PASSPHRASE, "play_passphrase": PASSPHRASE});
        for stream in [
            json!({"name": "news", "inputs": open}),
            json!({"name": "guest", "inputs": open}),
            json!({"name": "secret", "inputs": shown, "srt": keys}),
            json!({"name": "secret-too", "inputs": open, "srt": keys}),
        ] {
            weir.create_as(&stream).await?;
        }
        // ffmpeg counts latency in microseconds.
        let to = address(target, "publish:news", 1_000) + "&pkt_size=1316";
        let words = format!(
            "-v error -re -f lavfi -i testsrc2=s=320x180:r={RATE} -f lavfi -i sine=r=48000 -c:v libx264 \
             -preset ultrafast -tune zerolatency -g 50 -b:v 400k -c:a aac -f mpegts {to}"
        );
        let words: Vec<_> = words.split_whitespace().collect();
        let programs = vec![Tool::Ffmpeg.run(&words)?];
        weir.until("news", "live").await?;
        let honest = Self {
            target,
            process: weir.id(),
            host: Host::Weir(Box::new(weir)),
            programs,
            flow: Flow::Pictures(Watch::play(&address(target, "read:news", 1_000))?),
        };
        honest.until_flowing().await?;
        Ok(honest)
    }

    fn has_come(&self) -> u64 {
        match &self.flow {
            Flow::Numbered { sink, .. } => sink.end(),
            Flow::Pictures(watch) => watch.pictures(),
        }
    }

    async fn until_flowing(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while self.has_come() == 0 {
            if begin.elapsed() > CONNECTED {
                let said: Vec<_> = self.programs.iter().map(Running::said).collect();
                bail!("nothing arrived within {CONNECTED:?}: {}", said.join("; "));
            }
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    /// Where it stands, for [`lost`](Self::lost).
    pub(super) fn mark(&self) -> u64 {
        match &self.flow {
            Flow::Numbered { pacer, .. } => pacer.sent(),
            Flow::Pictures(watch) => watch.lost(),
        }
    }

    /// How many were lost since that mark.
    pub(super) async fn lost(&mut self, since: u64) -> anyhow::Result<u64> {
        let (until, before) = (self.mark(), self.has_come());
        sleep(LATENCY * 2 + Duration::from_millis(300)).await;
        if let Host::Tool(server) = &mut self.host {
            ensure!(!server.is_gone(), "the server ended: {}", server.said());
        }
        if let Host::Weir(weir) = &self.host {
            ensure!(!weir.log()?.contains("panicked"), "a panic is in the log");
        }
        let left = self
            .programs
            .iter_mut()
            .filter_map(|p| p.is_gone().then(|| p.said()));
        let left: Vec<_> = left.collect();
        ensure!(left.is_empty(), "an honest one ended: {}", left.join("; "));
        ensure!(self.has_come() > before, "nothing comes any more");
        Ok(match &self.flow {
            Flow::Numbered { sink, .. } => sink.of(since..until).missing,
            Flow::Pictures(watch) => watch.lost() - since,
        })
    }

    /// Bytes in memory and nanoseconds of processor of the server, where it is known.
    pub(super) fn footprint(&self) -> Option<(u64, u64)> {
        let process = self.process?;
        let resident = super::process::resident(process).ok()?;
        Some((resident, super::process::cpu(process).ok()?))
    }
}

/// `units` are so many of the program's in a millisecond.
fn address(target: SocketAddr, stream: &str, units: u128) -> String {
    let latency = LATENCY.as_millis() * units;
    format!("srt://{target}?mode=caller&latency={latency}&streamid={stream}")
}
