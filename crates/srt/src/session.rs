//! A connection over a socket: payloads come and go, the protocol runs beside.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use media::{Span, Timestamp};
use socket2::SockAddr;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::batch::Batch;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::link::{Agreed, Link, State, timestamp};
use crate::listen::Seat;
use crate::packet::{Head, Kind, PAYLOAD};
use crate::stats::Stats;
use crate::udp::Wire;

/// So much is taken at once before others have their turn.
const TURN: usize = 128;
/// Where a packet says when it was sent.
const STAMP: std::ops::Range<usize> = 8..12;
/// Who waits for the socket looks again after this: of those who share it tokio wakes the last one
/// alone.
const ROOM: Duration = Duration::from_millis(2);
/// What is left to be sent at the end gets so long.
const FAREWELL: Duration = Duration::from_secs(1);
/// A goodbye is said so often: nobody answers it.
const GOODBYES: usize = 2;

/// Where a session's datagrams come from.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A socket of its own.
    Own(BytesMut),
    /// One that a listener reads.
    Shared {
        packets: mpsc::Receiver<BytesMut>,
        /// Given back with the session.
        _seat: Seat,
    },
}

/// A connection in live mode.
#[derive(Debug)]
pub struct Session {
    link: Link,
    wire: Arc<Wire>,
    inbound: Inbound,
    peer: SocketAddr,
    address: SockAddr,
    /// The handshake's last packet, to be sent again where it was lost.
    answer: Option<BytesMut>,
    batch: Batch,
    origin: Instant,
    alarm: Pin<Box<Sleep>>,
    stats: Arc<Stats>,
}

/// What a session is made of.
pub(crate) struct Parts {
    pub(crate) wire: Arc<Wire>,
    pub(crate) inbound: Inbound,
    pub(crate) peer: SocketAddr,
    pub(crate) answer: Option<BytesMut>,
    pub(crate) stats: Arc<Stats>,
    /// When the clock of `agreed` was at zero.
    pub(crate) origin: Instant,
}

/// However it ends the peer hears of it, if the socket has room.
impl Drop for Session {
    fn drop(&mut self) {
        if self.link.state() == State::Open {
            let goodbye = self.link.goodbye(since(self.origin));
            for _ in 0..GOODBYES {
                self.wire.try_send(&goodbye, self.peer);
            }
        }
    }
}

pub(crate) fn since(origin: Instant) -> Timestamp {
    Timestamp::ZERO + Span::from(origin.elapsed())
}

impl Session {
    pub(crate) fn new(parts: Parts, agreed: Agreed, config: &Config) -> Self {
        let stats = parts.stats;
        let now = since(parts.origin);
        Self {
            link: Link::new(agreed, config.bounds(), Arc::clone(&stats), now),
            wire: parts.wire,
            inbound: parts.inbound,
            peer: parts.peer,
            address: parts.peer.into(),
            answer: parts.answer,
            batch: Batch::default(),
            origin: parts.origin,
            alarm: Box::pin(sleep(Duration::ZERO)),
            stats,
        }
    }

    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What the connection is like.
    #[must_use]
    pub const fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// How long what comes is held.
    #[must_use]
    pub fn receive_latency(&self) -> Duration {
        self.link.receive_latency().to_duration()
    }

    /// What the peer sends is not wanted: it is neither kept nor acknowledged.
    pub fn take_nothing(&mut self) {
        self.link.take_nothing();
    }

    /// For how long the peer has acknowledged nothing of what it is sent.
    #[must_use]
    pub fn unheard(&self) -> Duration {
        self.link.unheard(since(self.origin)).to_duration()
    }

    /// Packets given to [`send`](Self::send) that have not left: the peer has no room, or the
    /// network none. Who has much to send waits until this is small.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.link.waiting()
    }

    /// Gives a payload to be sent, in pieces of 1316 bytes at most. It leaves with the next
    /// [`next`](Self::next).
    pub fn send(&mut self, mut payload: Bytes) {
        let now = since(self.origin);
        while payload.len() > PAYLOAD {
            self.link.send(payload.split_to(PAYLOAD), now);
        }
        if !payload.is_empty() {
            self.link.send(payload, now);
        }
    }

    /// Runs the connection until payloads are to be played, and appends them to `out`, each as it
    /// was sent and at the pace at which it was. `Ok(false)`: the peer said goodbye. Cancelling it
    /// loses nothing.
    ///
    /// # Errors
    /// A peer that falls silent, or a socket that fails.
    pub async fn next(&mut self, out: &mut Vec<Bytes>) -> Result<bool, Error> {
        poll_fn(|cx| self.poll_next(cx, out)).await
    }

    /// [`Session::next`] for hand-written futures.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<Bytes>,
    ) -> Poll<Result<bool, Error>> {
        loop {
            if let Err(error) = self.read(cx) {
                return Poll::Ready(Err(self.error(error.into())));
            }
            let now = since(self.origin);
            self.link.advance(now);
            let blocked = self.flush(cx, now).is_pending();
            let before = out.len();
            self.link.play(now, out);
            if out.len() > before {
                return Poll::Ready(Ok(true));
            }
            let state = self.link.state();
            if state != State::Open {
                // What was on its way to be played is played still.
                self.link.play_all(out);
                if out.len() > before {
                    return Poll::Ready(Ok(true));
                }
            }
            match state {
                State::Open => {}
                State::Closed => return Poll::Ready(Ok(false)),
                State::Lost => {
                    let silent = ErrorKind::TimedOut("waiting for the peer");
                    return Poll::Ready(Err(self.error(silent)));
                }
            }
            let due = if blocked {
                Instant::now() + ROOM
            } else {
                self.origin + (self.link.deadline() - Timestamp::ZERO).to_duration()
            };
            if self.alarm.deadline() != due {
                self.alarm.as_mut().reset(due);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// All that has come.
    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for _ in 0..TURN {
            let packet = match &mut self.inbound {
                Inbound::Own(block) => match self.wire.poll_recv(cx, block) {
                    Poll::Ready(Ok((packet, peer))) if peer == self.peer => packet,
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(e)) => return Err(e),
                    Poll::Pending => return Ok(()),
                },
                Inbound::Shared { packets, .. } => match packets.poll_recv(cx) {
                    Poll::Ready(Some(packet)) => packet,
                    Poll::Ready(None) => return Err(io::ErrorKind::NotConnected.into()),
                    Poll::Pending => return Ok(()),
                },
            };
            self.take(&packet);
        }
        // There may be more: at once again, but behind others.
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn take(&mut self, packet: &[u8]) {
        let shakes =
            matches!(Head::read(packet), Some(Head::Control(c)) if c.kind == Kind::Handshake);
        let now = since(self.origin);
        match &mut self.answer {
            // The peer did not hear it; what it hears tells the time.
            Some(answer) if shakes => {
                answer[STAMP].copy_from_slice(&timestamp(Timestamp::ZERO, now).to_be_bytes());
                self.wire.try_send(answer, self.peer);
            }
            _ => self.link.datagram(packet, now),
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Poll<()> {
        loop {
            if self.batch.is_empty() {
                self.link.transmit(now, &mut self.batch);
            }
            if self.batch.is_empty() {
                return Poll::Ready(());
            }
            if self
                .wire
                .poll_send(cx, &self.address, &mut self.batch)
                .is_pending()
            {
                return Poll::Pending;
            }
        }
    }

    /// Sends what may leave now, and says goodbye; for a second at most.
    pub async fn close(mut self) {
        let now = since(self.origin);
        let leaving = async {
            self.drain(now).await;
            self.link.say_goodbye(now);
            self.drain(now).await;
        };
        // Who has no room for it learns it from silence.
        let _ = timeout(FAREWELL, leaving).await;
    }

    async fn drain(&mut self, now: Timestamp) {
        while poll_fn(|cx| Poll::Ready(self.flush(cx, now).is_pending())).await {
            sleep(ROOM).await;
        }
    }

    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        use std::sync::atomic::Ordering::Relaxed;
        let packets = self.stats.received.load(Relaxed) + self.stats.sent.load(Relaxed);
        Error {
            peer: self.peer,
            packets,
            kind,
        }
    }
}
