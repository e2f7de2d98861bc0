//! Calls servers: a stream elsewhere becomes a broadcast here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use container::ingest::Stats;
use hub::{EndReason, Publisher};
use media::{Span, Timestamp};
use tokio::io::{AsyncWriteExt as _, copy, sink};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::ClientConfig;

use crate::bridge::Bridge;
use crate::client::{ClientEvent, ClientSession};
use crate::config::Config;
use crate::connect::{Allowed, DialError, connect};
use crate::error::{Error, ErrorKind};
use crate::listen::{LINGER, READ, READ_REQUEST, Transport, read, send};
use crate::url::Url;

/// A stream elsewhere, and the bounds within which it is pulled.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Where it is.
    pub url: Url,
    /// Where connections may go.
    pub allowed: Allowed,
    /// Whom `rtmps://` trusts.
    pub tls: Arc<ClientConfig>,
    /// How long DNS, TCP and TLS may take together.
    pub connect_timeout: Duration,
    /// Bounds of the session: `request_timeout` is how long the server may take from there to its
    /// answer to `play`, `read_timeout` how long it may send no media.
    pub session: Config,
}

/// Pulls a stream over one connection until either side is done. Dropping the future closes it.
///
/// # Errors
/// A server that cannot be reached, does not want, breaks the protocol or a bound, or falls silent.
/// The broadcast has ended then.
pub async fn pull(
    pull: Pull,
    publisher: Publisher,
    stats: Arc<Stats>,
) -> Result<EndReason, DialError> {
    let deadline = Instant::now() + pull.connect_timeout;
    let (stream, peer) = connect(&pull.url, &pull.allowed, &pull.tls, deadline).await?;
    let session = ClientSession::play(pull.url, pull.session);
    let mut call = Call::new(stream, peer, session, pull.session);
    let mut bridge = Bridge::new(publisher, Arc::clone(&stats));
    let reason = call.carry(&mut bridge, &stats).await;
    let reason = reason.map_err(|kind| call.error(kind))?;
    bridge.into_publisher().end(reason);
    call.say_goodbye().await;
    Ok(reason)
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) stream: Box<dyn Transport>,
    peer: SocketAddr,
    pub(crate) session: ClientSession,
    pub(crate) config: Config,
    pub(crate) started: Instant,
}

impl Call {
    pub(crate) fn new(
        stream: Box<dyn Transport>,
        peer: SocketAddr,
        session: ClientSession,
        config: Config,
    ) -> Self {
        Self {
            stream,
            peer,
            session,
            config,
            started: Instant::now(),
        }
    }

    async fn carry(&mut self, bridge: &mut Bridge, stats: &Stats) -> Result<EndReason, ErrorKind> {
        let answer = self.started + self.config.request_timeout;
        // When media came last; nothing is expected before the server has said that it plays.
        let mut heard = None;
        loop {
            let now = Instant::now();
            let since = Timestamp::ZERO + Span::from(now - self.started);
            while let Some(event) = self.session.poll()? {
                match event {
                    ClientEvent::Media {
                        kind,
                        timestamp,
                        body,
                    } => {
                        heard = Some(now);
                        stats.heard();
                        bridge.media(kind, timestamp, body, since)?;
                    }
                    ClientEvent::Metadata(metadata) => bridge.metadata(metadata, since),
                    ClientEvent::Ignored(reason) => stats.ignored(reason),
                    ClientEvent::Finished => return Ok(EndReason::Finished),
                }
            }
            self.answer().await?;
            let (until, most, what) = if self.session.is_accepted() {
                let last = *heard.get_or_insert(now);
                (last + self.config.read_timeout, READ, "waiting for media")
            } else {
                (answer, READ_REQUEST, "waiting for the answer to play")
            };
            // Bytes without media are no sign of life.
            if now >= until {
                return Err(ErrorKind::TimedOut(what));
            }
            let input = self.session.input();
            let read = timeout_at(until, read(&mut self.stream, input, most)).await;
            let len = read.map_err(|_| ErrorKind::TimedOut(what))??;
            if len == 0 {
                return self.hung_up();
            }
            self.session.received(len);
            stats.read(len);
        }
    }

    /// A server that has hung up leaves its last media, or its refusal, to be read.
    pub(crate) async fn answer(&mut self) -> Result<(), ErrorKind> {
        let output = self.session.output();
        match send(&mut self.stream, &output, self.config.write_timeout).await {
            Err(ErrorKind::Io(_)) => Ok(()),
            sent => sent,
        }
    }

    fn hung_up(&self) -> Result<EndReason, ErrorKind> {
        if self.session.is_accepted() {
            return Ok(EndReason::Dropped);
        }
        Err(ErrorKind::Closed)
    }

    /// A goodbye that is not heard changes nothing.
    pub(crate) async fn say_goodbye(&mut self) {
        self.session.close();
        let output = self.session.output();
        let goodbye = async {
            let sent = send(&mut self.stream, &output, LINGER).await;
            let _ = self.stream.shutdown().await;
            // What is on its way is taken, so that the goodbye is read and not a reset.
            let _ = copy(&mut self.stream, &mut sink()).await;
            sent
        };
        let _ = timeout(LINGER, goodbye).await;
    }

    pub(crate) const fn error(&self, kind: ErrorKind) -> Error {
        Error {
            peer: self.peer,
            position: self.session.position(),
            kind,
        }
    }
}
