//! Calls servers: a broadcast here becomes a stream elsewhere.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hub::{Broadcast, Join, Options, Sent};
use media::{Span, Track};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::rustls::ClientConfig;

use crate::client::{ClientEvent, ClientSession};
use crate::config::Config;
use crate::connect::{Allowed, DialError, connect};
use crate::dial::Call;
use crate::error::{Error, ErrorKind};
use crate::feed::{Far, Feed};
use crate::listen::{LINGER, READ_REQUEST, Transport, poll_words, read};
use crate::muxer::Muxer;
use crate::play::Gone;
use crate::url::Url;

/// Where a broadcast is pushed to, and the bounds within which that is done.
#[derive(Debug, Clone)]
pub struct Push {
    /// The stream there.
    pub url: Url,
    /// Where connections may go.
    pub allowed: Allowed,
    /// Whom `rtmps://` trusts.
    pub tls: Arc<ClientConfig>,
    /// How long DNS, TCP and TLS may take together.
    pub connect_timeout: Duration,
    /// Bounds of the session: `request_timeout` is how long the server may take from there to its
    /// answer to `publish`, `write_timeout` how long it may take nothing.
    pub session: Config,
}

/// What a server was sent; it may go on counting over connections.
#[derive(Debug, Default)]
pub struct PushStats {
    /// Bytes, and what was left out because the server was slow.
    pub sent: Sent,
    left_out: Mutex<Arc<[Track]>>,
}

impl PushStats {
    /// The tracks that RTMP does not carry or the server does not take, of the present programme.
    #[must_use]
    pub fn left_out(&self) -> Arc<[Track]> {
        let left_out = self.left_out.lock();
        Arc::clone(&left_out.unwrap_or_else(PoisonError::into_inner))
    }

    fn set_left_out(&self, tracks: Arc<[Track]>) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        *left_out = tracks;
    }
}

/// Calls a server, and returns once it takes media.
///
/// # Errors
/// A server that cannot be reached, does not want, breaks the protocol or a bound, or is too slow.
pub async fn push(push: Push) -> Result<Pushing, DialError> {
    let deadline = Instant::now() + push.connect_timeout;
    let (stream, peer) = connect(&push.url, &push.allowed, &push.tls, deadline).await?;
    let session = ClientSession::publish(push.url, push.session);
    let mut call = Call::new(stream, peer, session, push.session);
    let asked = call.ask().await;
    asked.map_err(|kind| call.error(kind))?;
    Ok(Pushing(call))
}

/// A connection to a server that takes media.
#[derive(Debug)]
pub struct Pushing(Call);

impl Pushing {
    /// Sends the broadcast, from its newest random-access point on, until either side is done. A
    /// server that is further behind than `max_latency` is sent the newest group next. Dropping the
    /// future loses what was on its way; [`Pushing::close`] is still owed.
    ///
    /// # Errors
    /// A server that does not want any more, breaks the protocol, or takes nothing for too long.
    pub async fn run(
        &mut self,
        broadcast: &Broadcast,
        max_latency: Span,
        stats: &PushStats,
    ) -> Result<Gone, Error> {
        let call = &mut self.0;
        let reader = broadcast.subscribe(Options {
            join: Join::Newest,
            max_latency,
            wanted: true,
        });
        let muxer = Muxer::publishing(call.session.capabilities(), call.session.stream());
        let patience = call.config.write_timeout;
        let mut line = Line { call, stats };
        let mut feed = Feed::new(&mut line, (reader, muxer), patience, &stats.sent);
        let mut late = pin!(sleep(patience));
        let gone = poll_fn(|cx| feed.poll(cx, late.as_mut())).await;
        drop(feed);
        let gone = match gone {
            Err(ErrorKind::Io(error)) => Err(call.last_words(error).await),
            gone => gone,
        };
        gone.map_err(|kind| call.error(kind))
    }

    /// Says goodbye, for a second at most.
    pub async fn close(mut self) {
        self.0.say_goodbye().await;
    }
}

impl Call {
    /// Until the server takes media.
    async fn ask(&mut self) -> Result<(), ErrorKind> {
        let until = self.started + self.config.request_timeout;
        loop {
            while let Some(event) = self.session.poll()? {
                if event == ClientEvent::Finished {
                    return Err(ErrorKind::Closed);
                }
            }
            self.answer().await?;
            if self.session.is_accepted() {
                return Ok(());
            }
            let input = self.session.input();
            let read = timeout_at(until, read(&mut self.stream, input, READ_REQUEST)).await;
            let what = self.session.waits_for();
            let len = read.map_err(|_| ErrorKind::TimedOut(what))??;
            if len == 0 {
                return Err(ErrorKind::Closed);
            }
            self.session.received(len);
        }
    }

    /// A server that has hung up may have said why.
    async fn last_words(&mut self, error: std::io::Error) -> ErrorKind {
        let words = async {
            while let Ok(len @ 1..) =
                read(&mut self.stream, self.session.input(), READ_REQUEST).await
            {
                self.session.received(len);
                while let Some(event) = self.session.poll()? {
                    if event == ClientEvent::Finished {
                        return Ok(());
                    }
                }
            }
            Ok(())
        };
        match timeout(LINGER, words).await {
            Ok(Err(refused)) => refused,
            _ => ErrorKind::Io(error),
        }
    }
}

/// A server, and where what it is sent is counted.
struct Line<'a> {
    call: &'a mut Call,
    stats: &'a PushStats,
}

impl Far for Line<'_> {
    fn stream(&mut self) -> &mut Box<dyn Transport> {
        &mut self.call.stream
    }

    fn output(&mut self) -> Bytes {
        self.call.session.output()
    }

    fn poll_words(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorKind>> {
        let session = &mut self.call.session;
        poll_words(&mut self.call.stream, cx, |words| {
            session.input().extend_from_slice(words);
            session.received(words.len());
        })
    }

    fn hear(&mut self) -> Result<bool, ErrorKind> {
        while let Some(event) = self.call.session.poll()? {
            if event == ClientEvent::Finished {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn began(&mut self, muxer: &Muxer) {
        self.stats.set_left_out(muxer.left_out().cloned().collect());
    }
}
