use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf as _;
use hub::{Broadcast, Event as HubEvent, Join, Options, Subscriber};
use media::Span;
use tokio::io::AsyncWrite as _;
use tokio::time::{Instant, Sleep, sleep};

use crate::capabilities::Capabilities;
use crate::error::{Error, ErrorKind};
use crate::listen::Connection;
use crate::muxer::Muxer;
use crate::outgoing::Outgoing;
use crate::session::Event;

/// What is kept of a batch that was longer once: a player's first group, or one that was slow.
const KEPT: usize = 8;
/// What one write takes; a frame is two slices, or a few.
const SLICES: usize = 16;

/// What players were sent; one may serve all players of a stream.
#[derive(Debug, Default)]
pub struct PlayStats {
    /// Bytes written to sockets.
    pub bytes: AtomicU64,
    /// Frames that slow players did not get.
    pub skipped_frames: AtomicU64,
    /// Times that one went on with a later group.
    pub skips: AtomicU64,
}

/// Why a player is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It hung up or said that it was done.
    Left,
    /// The broadcast ended.
    Over,
}

/// An accepted player.
#[derive(Debug)]
pub struct Playing {
    connection: Connection,
    capabilities: Capabilities,
}

impl Playing {
    pub(crate) fn new(mut connection: Connection) -> Self {
        let capabilities = connection.session.accept_play();
        Self {
            connection,
            capabilities,
        }
    }

    /// Sends the broadcast, from its newest random-access point on, until either side is done. A
    /// player that is further behind than `max_latency` goes on with the newest group. Dropping
    /// the future closes.
    ///
    /// # Errors
    /// A peer that breaks the protocol or a bound, or takes nothing for too long.
    pub async fn run(
        self,
        broadcast: &Broadcast,
        max_latency: Span,
        stats: Arc<PlayStats>,
    ) -> Result<Gone, Error> {
        let mut connection = self.connection;
        let reader = broadcast.subscribe(Options {
            join: Join::Newest,
            max_latency,
            wanted: true,
        });
        let patience = connection.config.write_timeout;
        let mut out = Outgoing::default();
        out.raw(connection.session.output());
        let mut feed = Feed {
            connection: &mut connection,
            reader,
            muxer: Muxer::new(self.capabilities),
            batch: Vec::new(),
            out,
            over: false,
            flushed: false,
            blocked: false,
            patience,
            stats: &stats,
        };
        let mut late = pin!(sleep(patience));
        let result = poll_fn(|cx| feed.poll(cx, late.as_mut())).await;
        drop(feed);
        match result {
            Ok(Gone::Left) => Ok(Gone::Left),
            Ok(Gone::Over) => {
                connection.session.end_play();
                // A goodbye that is not heard changes nothing.
                let _ = Box::pin(connection.say_goodbye()).await;
                Ok(Gone::Over)
            }
            Err(kind) => Err(connection.error(kind)),
        }
    }
}

/// One player's way from the hub to its socket. Polled by hand: a thousand are woken by each frame.
struct Feed<'a> {
    connection: &'a mut Connection,
    reader: Subscriber,
    muxer: Muxer,
    batch: Vec<HubEvent>,
    out: Outgoing,
    /// Nothing more will come from the hub.
    over: bool,
    flushed: bool,
    /// The peer takes nothing, and the clock runs.
    blocked: bool,
    patience: Duration,
    stats: &'a PlayStats,
}

impl Feed<'_> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        late: Pin<&mut Sleep>,
    ) -> Poll<Result<Gone, ErrorKind>> {
        loop {
            if self.poll_send(cx)?.is_pending() {
                return self.poll_late(cx, late).map(Err);
            }
            if self.over {
                return Poll::Ready(Ok(Gone::Over));
            }
            if self.reader.poll_next(cx, &mut self.batch).is_ready() {
                self.take();
                continue;
            }
            if ready!(self.connection.poll_words(cx))? == 0 || self.hear()? {
                return Poll::Ready(Ok(Gone::Left));
            }
            self.out.raw(self.connection.session.output());
        }
    }

    /// All that is ready in one write, or as many as the peer makes of it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut self.connection.stream);
        while self.out.has_remaining() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.out.chunks_vectored(&mut slices);
            let len = ready!(stream.as_mut().poll_write_vectored(cx, &slices[..count]))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(len);
            self.stats.bytes.fetch_add(len as u64, Relaxed);
            (self.blocked, self.flushed) = (false, false);
        }
        // What TLS holds back is out only with a flush.
        if !self.flushed {
            ready!(stream.poll_flush(cx))?;
            (self.blocked, self.flushed) = (false, true);
        }
        Poll::Ready(Ok(()))
    }

    /// Ready once the peer has taken nothing for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>, mut late: Pin<&mut Sleep>) -> Poll<ErrorKind> {
        if !self.blocked {
            self.blocked = true;
            late.as_mut().reset(Instant::now() + self.patience);
        }
        late.poll(cx).map(|()| ErrorKind::TimedOut("sending"))
    }

    /// Makes messages of what the hub gave.
    fn take(&mut self) {
        for event in self.batch.drain(..) {
            match event {
                HubEvent::End(_) => self.over = true,
                HubEvent::Skipped { frames, .. } => self.stats.skipped(frames),
                event => self.muxer.event(&event, &mut self.out),
            }
        }
        if self.batch.capacity() > KEPT {
            self.batch.shrink_to(KEPT);
        }
    }

    /// Reads what the player says. Whether it is done.
    fn hear(&mut self) -> Result<bool, ErrorKind> {
        while let Some(event) = self.connection.session.poll()? {
            if event == Event::Finished {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl PlayStats {
    fn skipped(&self, frames: u64) {
        self.skips.fetch_add(1, Relaxed);
        self.skipped_frames.fetch_add(frames, Relaxed);
    }
}
