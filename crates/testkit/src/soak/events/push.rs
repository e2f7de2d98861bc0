//! Encoders of RTMP without number: what a real one says, said again under other names, from any address.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use crate::actors::{Encoder, Recorder, Weir};
use crate::soak::stage::say;

/// Of the same length as every other one: lengths stand in what is said.
const NAME: &str = "n0000";
/// Its name is before the media, soon after the handshake.
const COMMANDS: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(10);
/// Before it a server may say as much of the name alone, whatever comes of it.
const STATUS: &[u8] = b"onStatus";
const FAILED: &[u8] = b"error";
const STARTED: &[u8] = b"NetStream.Publish.Start";

/// What one says until it has sent some media.
#[derive(Debug, Clone)]
pub(super) struct Script {
    said: Vec<u8>,
}

/// What became of one.
#[derive(Debug)]
pub(super) enum Pushed {
    /// It stays as long as this.
    In(TcpStream),
    Refused,
    /// Neither: what went wrong.
    Failed(String),
}

impl Script {
    /// Takes down what ffmpeg says below that prefix.
    pub(super) async fn take(weir: &Weir, prefix: &str) -> anyhow::Result<Self> {
        let recorder = Recorder::before(weir.rtmp).await?;
        let url = format!("rtmp://{}/live/{prefix}/{NAME}", recorder.address()?);
        let encoder = Encoder::push(&url, "160x90", 15)?;
        let said = recorder.take(Duration::from_secs(3)).await?;
        encoder.kill().await?;
        let begin = &said[..said.len().min(COMMANDS)];
        let times = begin.windows(NAME.len()).filter(|w| *w == NAME.as_bytes());
        ensure!(times.count() >= 2, "its name is not in what it said");
        Ok(Self { said })
    }

    /// The same of another name.
    fn named(&self, n: usize) -> Vec<u8> {
        let (mut said, name) = (self.said.clone(), name(n));
        let mut at = 0;
        let commands = said.len().min(COMMANDS);
        while let Some(found) = find(&said[at..commands], NAME.as_bytes()) {
            at += found;
            said[at..at + NAME.len()].copy_from_slice(name.as_bytes());
            at += NAME.len();
        }
        said
    }

    /// Comes from there, says it as fast as it goes, and hears what it is told.
    pub(super) async fn push(&self, at: SocketAddr, from: IpAddr, n: usize) -> Pushed {
        match self.try_push(at, from, n).await {
            Ok(pushed) => pushed,
            Err(error) => Pushed::Failed(format!("{error:#}")),
        }
    }

    async fn try_push(&self, at: SocketAddr, from: IpAddr, n: usize) -> anyhow::Result<Pushed> {
        let end = Instant::now() + PATIENCE;
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        let mut stream = timeout_at(end, socket.connect(at)).await??;
        let said = self.named(n);
        let (mut heard, mut some) = (Vec::new(), vec![0; 8 << 10]);
        let (mut read, mut write) = stream.split();
        let mut writing = Some(Box::pin(write.write_all(&said)));
        loop {
            let told = async {
                match &mut writing {
                    Some(writing) => writing.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Who is refused may be cut off while it still speaks.
                done = told => { writing = None; let _ = done; }
                got = timeout_at(end, read.read(&mut some)) => match got.context("no answer")? {
                    Ok(0) | Err(_) => return Ok(refused(&heard)),
                    Ok(n) => heard.extend_from_slice(&some[..n]),
                }
            }
            if writing.is_none() && is_in(&heard) {
                drop(writing);
                return Ok(Pushed::In(stream));
            }
            // Who storms does not wait until the door is shut.
            if find(&heard, FAILED).is_some() {
                return Ok(Pushed::Refused);
            }
        }
    }
}

/// A great many of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rage<'a> {
    pub(super) script: &'a Script,
    pub(super) at: SocketAddr,
    pub(super) names: usize,
    pub(super) at_once: usize,
}

/// What became of all.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// They stay connected, and say no more.
    held: Vec<TcpStream>,
    refused: usize,
    failed: BTreeMap<String, usize>,
    took: Duration,
}

impl Rage<'_> {
    /// Every name, again and again, each from the address that is chosen for it.
    pub(super) async fn storm(&self, time: Duration, from: impl Fn(usize) -> IpAddr) -> Tally {
        let (begun, mut tally) = (Instant::now(), Tally::default());
        while begun.elapsed() < time {
            let pushing = (0..self.names).map(|n| self.script.push(self.at, from(n), n));
            let mut pushed = stream::iter(pushing).buffer_unordered(self.at_once);
            while let Some(one) = pushed.next().await {
                match one {
                    Pushed::In(stream) => tally.held.push(stream),
                    Pushed::Refused => tally.refused += 1,
                    Pushed::Failed(why) => *tally.failed.entry(why).or_default() += 1,
                }
                if begun.elapsed() >= time {
                    break;
                }
            }
        }
        tally.took = begun.elapsed();
        tally
    }
}

impl Tally {
    pub(super) fn tell(&self, from: &str) {
        let failed: usize = self.failed.values().sum();
        let (held, refused) = (self.held.len(), self.refused);
        let each = (held + refused + failed) as f64 / self.took.as_secs_f64();
        say(&format!(
            "- a storm of {from}, {:.0?}: {held} let in, {refused} refused, {failed} failed {:?}; {each:.0} a second",
            self.took, self.failed
        ));
    }
}

fn refused(heard: &[u8]) -> Pushed {
    match find(heard, STATUS) {
        Some(_) if is_in(heard) => Pushed::Failed("let in, and cut off".to_owned()),
        Some(_) => Pushed::Refused,
        None => Pushed::Failed("cut off without a word".to_owned()),
    }
}

fn is_in(heard: &[u8]) -> bool {
    let status = find(heard, STATUS).map(|at| &heard[at..]);
    status.is_some_and(|status| find(status, STARTED).is_some())
}

fn name(n: usize) -> String {
    format!("n{:04}", n % 10_000)
}

fn find(all: &[u8], wanted: &[u8]) -> Option<usize> {
    all.windows(wanted.len()).position(|w| w == wanted)
}
