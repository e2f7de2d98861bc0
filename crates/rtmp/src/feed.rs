//! The way from the hub to a socket, whoever dialled: to a player, or to a server that we push to.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use hub::{Event, Sent, Subscriber};
use tokio::io::AsyncWrite as _;
use tokio::time::{Instant, Sleep};

use crate::error::ErrorKind;
use crate::listen::Transport;
use crate::muxer::Muxer;
use crate::outgoing::Outgoing;
use crate::play::Gone;

/// What is kept of a batch that was longer once: a reader's first group, or one that was slow.
const KEPT: usize = 8;
/// What one write takes; a frame is two slices, or a few.
const SLICES: usize = 16;

/// The end of a connection that media is written to.
pub(crate) trait Far {
    fn stream(&mut self) -> &mut Box<dyn Transport>;

    /// What it is to be told beside media.
    fn output(&mut self) -> Bytes;

    /// Reads what it says; 0 bytes where it has hung up.
    fn poll_words(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorKind>>;

    /// Takes what was read. Whether it is done.
    fn hear(&mut self) -> Result<bool, ErrorKind>;

    /// The muxer has begun with other tracks.
    fn began(&mut self, _muxer: &Muxer) {}
}

/// What is sent until either side is done. Polled by hand: a thousand are woken by each frame, and
/// as a part of its owner's future it is there once.
pub(crate) struct Feed<'a, F> {
    far: &'a mut F,
    reader: Subscriber,
    muxer: Muxer,
    batch: Vec<Event>,
    out: Outgoing,
    /// Nothing more will come from the hub.
    over: bool,
    flushed: bool,
    /// The peer takes nothing, and the clock runs.
    blocked: bool,
    patience: Duration,
    sent: &'a Sent,
}

impl<'a, F: Far> Feed<'a, F> {
    pub(crate) fn new(
        far: &'a mut F,
        (reader, muxer): (Subscriber, Muxer),
        patience: Duration,
        sent: &'a Sent,
    ) -> Self {
        let mut out = Outgoing::default();
        out.raw(far.output());
        Self {
            far,
            reader,
            muxer,
            batch: Vec::new(),
            out,
            over: false,
            flushed: false,
            blocked: false,
            patience,
            sent,
        }
    }

    /// `late` is the clock for a peer that takes nothing; what it is set to does not matter.
    pub(crate) fn poll(
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
            if ready!(self.far.poll_words(cx))? == 0 || self.far.hear()? {
                return Poll::Ready(Ok(Gone::Left));
            }
            self.out.raw(self.far.output());
        }
    }

    /// All that is ready in one write, or as many as the peer makes of it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(self.far.stream());
        while self.out.has_remaining() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.out.chunks_vectored(&mut slices);
            let len = ready!(stream.as_mut().poll_write_vectored(cx, &slices[..count]))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(len);
            self.sent.sent(len);
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
                Event::End(_) => self.over = true,
                Event::Skipped { frames, .. } => {
                    self.sent.skipped(frames);
                    self.muxer.event(&event, &mut self.out);
                }
                event => {
                    if self.muxer.event(&event, &mut self.out) {
                        self.far.began(&self.muxer);
                    }
                }
            }
        }
        if self.batch.capacity() > KEPT {
            self.batch.shrink_to(KEPT);
        }
    }
}
