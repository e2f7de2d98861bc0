//! Calls servers: the caller's side of the handshake.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use media::Timestamp;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::cipher::Material;
use crate::config::{Config, millis};
use crate::error::{Error, ErrorKind, Reject};
use crate::handshake::{Delays, Extensions, Handshake, MAGIC, Request};
use crate::keys::Keys;
use crate::link::{Agreed, timestamp};
use crate::packet::{Head, Kind, Parity};
use crate::seq::Seq;
use crate::session::{Inbound, Parts, Session, since};
use crate::stats::Stats;
use crate::udp::Wire;
use crate::url::Url;

/// What is not answered is asked again.
const AGAIN: Duration = Duration::from_millis(250);
/// libsrt's words for keys that were not taken: no passphrase there, and another one.
const NO_SECRET: [u8; 4] = 3_u32.to_be_bytes();

/// Whether an address may be called.
#[derive(Clone)]
pub struct Allowed(Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl Allowed {
    /// Asks `policy`, after DNS and for literal addresses too.
    pub fn new(policy: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(policy))
    }
}

impl From<Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>> for Allowed {
    fn from(policy: Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>) -> Self {
        Self(policy)
    }
}

impl fmt::Debug for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Allowed")
    }
}

/// What went wrong with a server that we called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// DNS knows no address, or fails.
    #[error("{host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// As the resolver says.
        source: io::Error,
    },
    /// None of its addresses may be called.
    #[error("{host}: not an address that may be connected to")]
    Forbidden {
        /// The name.
        host: String,
    },
    /// The session failed.
    #[error(transparent)]
    Session(#[from] Error),
}

impl DialError {
    /// Whether it will hardly be another the next time.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Forbidden { .. } => true,
            Self::Session(error) => error.kind.is_refusal(),
            Self::Resolve { .. } => false,
        }
    }
}

/// Calls the server at `url`; the session counts in `stats`.
///
/// # Errors
/// One that cannot be found, may not be called, does not answer, or does not want.
pub async fn dial(
    url: &Url,
    allowed: &Allowed,
    config: Config,
    stats: Arc<Stats>,
) -> Result<Session, DialError> {
    let deadline = Instant::now() + config.connect_timeout;
    let peers = resolve(url, allowed, deadline).await?;
    let mut left = u32::try_from(peers.len()).unwrap_or(u32::MAX);
    let mut last = DialError::Forbidden {
        host: url.host.clone(),
    };
    for peer in peers {
        // Each address has its share of what time is left.
        let until = Instant::now() + (deadline - Instant::now()) / left;
        left -= 1;
        match call(url, peer, config, &stats, until).await {
            Ok(session) => return Ok(session),
            // Whoever answered has decided.
            Err(kind) if kind.is_refusal() => return Err(failed(peer, kind).into()),
            Err(kind) => last = failed(peer, kind).into(),
        }
    }
    Err(last)
}

async fn call(
    url: &Url,
    peer: SocketAddr,
    config: Config,
    stats: &Arc<Stats>,
    until: Instant,
) -> Result<Session, ErrorKind> {
    let call = Call::new(url, peer, config, Arc::clone(stats)).await?;
    let called = timeout_at(until, call.shake()).await;
    called.unwrap_or(Err(ErrorKind::TimedOut("calling")))
}

const fn failed(peer: SocketAddr, kind: ErrorKind) -> Error {
    Error {
        peer,
        packets: 0,
        kind,
    }
}

async fn resolve(
    url: &Url,
    allowed: &Allowed,
    until: Instant,
) -> Result<Vec<SocketAddr>, DialError> {
    let host = || url.host.clone();
    let found = timeout_at(until, lookup_host((url.host.as_str(), url.port))).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let found = found.map_err(|source| DialError::Resolve {
        host: host(),
        source,
    })?;
    let allowed: Vec<_> = found.filter(|address| (allowed.0)(*address)).collect();
    if allowed.is_empty() {
        return Err(DialError::Forbidden { host: host() });
    }
    Ok(allowed)
}

struct Call<'a> {
    url: &'a Url,
    config: Config,
    peer: SocketAddr,
    wire: Arc<Wire>,
    block: BytesMut,
    origin: Instant,
    isn: Seq,
    socket: u32,
    stats: Arc<Stats>,
}

impl<'a> Call<'a> {
    async fn new(
        url: &'a Url,
        peer: SocketAddr,
        mut config: Config,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let any: SocketAddr = match peer {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        if let Some(latency) = url.latency {
            config.latency = latency;
        }
        Ok(Self {
            url,
            config,
            peer,
            wire: Arc::new(Wire::new(UdpSocket::bind(any).await?)),
            block: BytesMut::new(),
            origin: Instant::now(),
            isn: Seq::new(rand::random()),
            socket: rand::random_range(1..1 << 30),
            stats,
        })
    }

    async fn shake(mut self) -> Result<Session, ErrorKind> {
        let inducted = self.ask(self.question(), Request::Induction).await?;
        if inducted.version != 5 || inducted.extension != MAGIC {
            return Err(ErrorKind::Handshake(Reject::Version));
        }
        let passphrase = self.url.passphrase.clone();
        let material = passphrase
            .as_ref()
            .map(|_| Material::random(self.url.key_length, Parity::Even));
        let key = material
            .as_ref()
            .zip(passphrase.as_ref())
            .map(|(m, p)| m.write(p));
        let stream_id = Some(self.url.stream_id.clone()).filter(|id| !id.is_empty());
        let latency = self.config.agree(0);
        let extensions = Extensions {
            delays: Some(Delays {
                receiver: latency,
                sender: latency,
            }),
            stream_id,
            key: key.clone(),
            answers: false,
        };
        let conclusion = Handshake {
            version: 5,
            encryption: key.as_ref().map_or(0, |_| {
                u16::try_from(self.url.key_length.bytes() / 8).unwrap_or(2)
            }),
            extension: extensions.flags(),
            request: Request::Conclusion,
            cookie: inducted.cookie,
            extensions,
            ..self.question()
        };
        let answer = self.ask(conclusion, Request::Conclusion).await?;
        match (&key, &answer.extensions.key) {
            (None, None) => {}
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (Some(_), Some(why)) if why[..] != NO_SECRET && why.len() == 4 => {
                return Err(ErrorKind::Refused(Reject::BadSecret.code()));
            }
            _ => return Err(ErrorKind::Refused(Reject::Unsecure.code())),
        }
        let keys = match material.zip(passphrase) {
            None => None,
            Some((material, passphrase)) => {
                let (refresh, now) = (self.config.refresh, since(self.origin));
                let keys = Keys::new(material, passphrase, refresh, now);
                Some(keys.ok_or(ErrorKind::Handshake(Reject::Rogue))?)
            }
        };
        self.session(&answer, keys)
    }

    fn question(&self) -> Handshake {
        Handshake {
            // As UDT has it: nobody knows yet who answers.
            version: 4,
            extension: 2,
            isn: self.isn,
            socket: self.socket,
            ..Handshake::to(0, self.config.packets)
        }
    }

    /// Asks until there is an answer.
    async fn ask(
        &mut self,
        mut question: Handshake,
        want: Request,
    ) -> Result<Handshake, ErrorKind> {
        self.wire.writable().await?;
        loop {
            question.timestamp = timestamp(Timestamp::ZERO, since(self.origin));
            self.wire
                .try_send(&question.write(self.peer.ip()), self.peer);
            if let Ok(answer) = timeout(AGAIN, self.answer(want)).await {
                return answer;
            }
        }
    }

    async fn answer(&mut self, want: Request) -> Result<Handshake, ErrorKind> {
        loop {
            let (wire, block) = (&self.wire, &mut self.block);
            let (packet, peer) = poll_fn(|cx| wire.poll_recv(cx, block)).await?;
            if peer != self.peer {
                continue;
            }
            match Handshake::read(&packet) {
                Ok(shake) if shake.destination != self.socket => {}
                Ok(shake) if shake.request == want => return Ok(shake),
                Ok(Handshake {
                    request: Request::Refused(word),
                    ..
                }) => {
                    return Err(ErrorKind::Refused(word - 1000));
                }
                Err(why) if want == Request::Conclusion && self.is_answer(&packet) => {
                    return Err(ErrorKind::Handshake(why));
                }
                // Late answers to what was asked before, and media that overtook the answer.
                _ => {}
            }
        }
    }

    /// Whether it is a handshake for us, such as it is.
    fn is_answer(&self, packet: &[u8]) -> bool {
        let Some(Head::Control(head)) = Head::read(packet) else {
            return false;
        };
        head.kind == Kind::Handshake && head.destination == self.socket
    }

    fn session(self, answer: &Handshake, keys: Option<Keys>) -> Result<Session, ErrorKind> {
        let Some(delays) = answer.extensions.delays else {
            return Err(ErrorKind::Handshake(Reject::Version));
        };
        let agreed = Agreed {
            peer: answer.socket,
            send_from: self.isn,
            receive_from: answer.isn,
            window: answer.window,
            receive_latency: millis(self.config.agree(delays.sender)),
            send_latency: millis(self.config.agree(delays.receiver)),
            shaken: (answer.timestamp, since(self.origin)),
            keys,
            started: Timestamp::ZERO,
        };
        let parts = Parts {
            wire: self.wire,
            inbound: Inbound::Own(self.block),
            peer: self.peer,
            answer: None,
            stats: self.stats,
            origin: self.origin,
        };
        Ok(Session::new(parts, agreed, &self.config))
    }
}
