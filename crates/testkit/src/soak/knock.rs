//! Clients that connect over TLS again and again, and note what became of each connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;

use super::stage::say;
use crate::actors::Weir;
use crate::poll::Trust;

/// Between two connections of one client.
const PAUSE: Duration = Duration::from_millis(100);
/// A restart takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(30);
const CLIENTS: usize = 8;
const CONNECT: &str = "connect";
/// C0 and C1, S0 and S1: a version and 1536 bytes.
const HELLO: usize = 1 + 1536;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Https,
    Rtmps,
}

/// What came of the connections of one kind.
#[derive(Debug, Default)]
pub(super) struct Tally {
    waits_ms: Vec<u128>,
    /// By what was said.
    failures: BTreeMap<String, u64>,
    certificates: BTreeSet<Vec<u8>>,
}

/// Clients that knock until they are told to leave.
pub(super) struct Knockers {
    https: JoinSet<Tally>,
    rtmps: JoinSet<Tally>,
    leave: watch::Sender<bool>,
}

impl Knockers {
    pub(super) fn start(weir: &Weir) -> anyhow::Result<Self> {
        let secure = weir.secure.as_ref().context("a server that speaks TLS")?;
        let mut config = Trust::Authority(secure.authority()).client()?;
        // Every handshake shows the certificate.
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        let (leave, told) = watch::channel(false);
        let knock = |kind, addr| {
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                clients.spawn(client(kind, addr, connector.clone(), told.clone()));
            }
            clients
        };
        Ok(Self {
            https: knock(Kind::Https, secure.https()?),
            rtmps: knock(Kind::Rtmps, secure.rtmps()?),
            leave,
        })
    }

    /// Says what they met: HTTPS, then RTMPS.
    pub(super) async fn leave(self) -> anyhow::Result<[Tally; 2]> {
        self.leave.send(true)?;
        say("| clients | connections | failed | median, ms | p99 | longest | certificates |");
        say("|---|--:|--:|--:|--:|--:|--:|");
        let https = told("HTTPS", self.https).await;
        let rtmps = told("RTMPS", self.rtmps).await;
        Ok([https, rtmps])
    }
}

impl Tally {
    /// Everybody who came was served.
    pub(super) fn served(&self) -> anyhow::Result<()> {
        ensure!(self.failures.is_empty(), "{:?}", self.failures);
        Ok(())
    }

    /// Everybody came in, though some were let go before they had said what they want.
    pub(super) fn never_refused(&self) -> anyhow::Result<()> {
        let refused = self.failures.keys().find(|f| f.starts_with(CONNECT));
        ensure!(refused.is_none(), "{:?}", self.failures);
        Ok(())
    }

    pub(super) fn certificates(&self) -> usize {
        self.certificates.len()
    }
}

async fn told(name: &str, clients: JoinSet<Tally>) -> Tally {
    let mut all = Tally::default();
    for one in clients.join_all().await {
        all.waits_ms.extend(one.waits_ms);
        all.certificates.extend(one.certificates);
        for (what, times) in one.failures {
            *all.failures.entry(what).or_default() += times;
        }
    }
    all.waits_ms.sort_unstable();
    let count = all.waits_ms.len();
    let at = |share: usize| all.waits_ms.get(count * share / 100).copied().unwrap_or(0);
    let longest = all.waits_ms.last().copied().unwrap_or(0);
    let failed: u64 = all.failures.values().sum();
    let (median, p99, seen) = (at(50), at(99), all.certificates.len());
    say(&format!(
        "| {name} | {count} | {failed} | {median} | {p99} | {longest} | {seen} |"
    ));
    for (what, times) in &all.failures {
        say(&format!("  {name}, {times} times: {what}"));
    }
    all
}

async fn client(
    kind: Kind,
    addr: SocketAddr,
    connector: TlsConnector,
    told: watch::Receiver<bool>,
) -> Tally {
    let mut tally = Tally::default();
    while !*told.borrow() {
        let begun = Instant::now();
        let knocked = timeout(PATIENCE, knock(kind, addr, &connector)).await;
        match knocked.unwrap_or_else(|_| anyhow::bail!("no answer in {PATIENCE:?}")) {
            Ok(certificate) => {
                tally.waits_ms.push(begun.elapsed().as_millis());
                tally.certificates.insert(certificate);
            }
            Err(error) => *tally.failures.entry(format!("{error:#}")).or_default() += 1,
        }
        sleep(PAUSE).await;
    }
    tally
}

/// The certificate that was shown.
async fn knock(kind: Kind, addr: SocketAddr, connector: &TlsConnector) -> anyhow::Result<Vec<u8>> {
    let stream = TcpStream::connect(addr).await.context(CONNECT)?;
    let name = ServerName::from(addr.ip());
    let mut stream = connector.connect(name, stream).await.context("handshake")?;
    match kind {
        Kind::Https => ask(&mut stream).await.context("request")?,
        Kind::Rtmps => greet(&mut stream).await.context("greeting")?,
    }
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = chain.first().context("no certificate")?.to_vec();
    // The server closed already, or it learns that we are gone.
    let _ = stream.shutdown().await;
    Ok(certificate)
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<()> {
    let request = b"GET /healthz HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

async fn greet(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<()> {
    let mut hello = [0; HELLO];
    hello[0] = 3;
    stream.write_all(&hello).await?;
    stream.read_exact(&mut hello).await?;
    ensure!(hello[0] == 3, "version {}", hello[0]);
    Ok(())
}
