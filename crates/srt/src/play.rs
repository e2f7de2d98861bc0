//! A player that was let in, or a server that is pushed to: a broadcast of a transport stream is
//! sent, shared by all who get it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use hub::{Broadcast, Event, Join, Options, Sent};
use media::Span;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind};
use crate::session::Session;

/// Packets that may wait to leave before the broadcast is read on: what is beyond waits there, and
/// is left out group by group.
const WAITING: usize = 64;

/// Why a player is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It said goodbye.
    Left,
    /// The broadcast ended.
    Over,
}

/// A session that takes media.
#[derive(Debug)]
pub struct Playing {
    session: Session,
    patience: Duration,
}

impl Playing {
    /// Of an open session. A peer that takes nothing for `patience`, or acknowledges nothing, is gone.
    #[must_use]
    pub fn new(mut session: Session, patience: Duration) -> Self {
        session.take_nothing();
        Self { session, patience }
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.session.close().await;
    }

    /// Sends a broadcast whose frames are packets of a transport stream, from its newest group on,
    /// until either side is done. A peer that is further behind than `max_latency` goes on with the
    /// newest group.
    ///
    /// # Errors
    /// A peer that falls silent, or takes nothing for too long.
    pub async fn run(
        &mut self,
        broadcast: &Broadcast,
        max_latency: Span,
        sent: &Sent,
    ) -> Result<Gone, Error> {
        let mut reader = broadcast.subscribe(Options {
            join: Join::Newest,
            max_latency,
            wanted: true,
        });
        let (mut batch, mut events, mut said) = (Vec::new(), VecDeque::new(), Vec::new());
        // When there was room for more.
        let mut clear = Instant::now();
        loop {
            let late = clear + self.patience;
            let session = &mut self.session;
            let turn = poll_fn(|cx| {
                if let Poll::Ready(open) = session.poll_next(cx, &mut said) {
                    return Poll::Ready(open);
                }
                if session.waiting() >= WAITING {
                    return Poll::Pending;
                }
                clear = Instant::now();
                if events.is_empty() {
                    return reader.poll_next(cx, &mut batch).map(|()| Ok(true));
                }
                Poll::Ready(Ok(true))
            });
            let open = timeout_at(late, turn).await;
            events.extend(batch.drain(..));
            match open {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Ok(Gone::Left),
                Ok(Err(error)) => return Err(error),
                // Nothing was asked of it.
                Err(_) if self.session.waiting() < WAITING => clear = Instant::now(),
                Err(_) if clear.elapsed() < self.patience => {}
                Err(_) => return Err(self.session.error(ErrorKind::TimedOut("sending"))),
            }
            if self.session.unheard() >= self.patience {
                let silent = ErrorKind::TimedOut("waiting for acknowledgements");
                return Err(self.session.error(silent));
            }
            while self.session.waiting() < WAITING
                && let Some(event) = events.pop_front()
            {
                match event {
                    Event::Frame(frame) => {
                        sent.sent(frame.payload.len());
                        self.session.send(frame.payload);
                    }
                    Event::Skipped { frames, .. } => sent.skipped(frames),
                    Event::End(_) => return Ok(Gone::Over),
                    Event::Group { .. } => {}
                }
            }
        }
    }
}
