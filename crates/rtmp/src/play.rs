//! An accepted player: follows a broadcast, skips where it is slow, ends when either side does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Buf as _;
use hub::{Broadcast, Event as HubEvent, Join, Options, Subscriber};
use media::Span;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::capabilities::Capabilities;
use crate::error::{Error, ErrorKind};
use crate::listen::{Connection, READ_REQUEST, Stopper};
use crate::muxer::Muxer;
use crate::outgoing::Outgoing;
use crate::session::Event;

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
    /// It was told to leave.
    Kicked,
}

/// An accepted player.
#[derive(Debug)]
pub struct Playing {
    connection: Connection,
    capabilities: Capabilities,
    stop: watch::Sender<bool>,
    /// Part of a message is out.
    sending: bool,
}

impl Playing {
    pub(crate) fn new(mut connection: Connection) -> Self {
        let capabilities = connection.session.accept_play();
        Self {
            connection,
            capabilities,
            stop: watch::Sender::new(false),
            sending: false,
        }
    }

    /// A handle that ends it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper::new(self.stop.clone())
    }

    /// Sends the broadcast, from its newest random-access point on, until either side is done. A
    /// player that is further behind than `max_latency` goes on with the newest group. Dropping
    /// the future closes.
    ///
    /// # Errors
    /// A peer that breaks the protocol or a bound, or takes nothing for too long.
    pub async fn run(
        mut self,
        broadcast: &Broadcast,
        max_latency: Span,
        stats: Arc<PlayStats>,
    ) -> Result<Gone, Error> {
        let reader = broadcast.subscribe(Options {
            join: Join::Newest,
            max_latency,
            wanted: true,
        });
        let mut stop = self.stop.subscribe();
        let result = tokio::select! {
            result = self.carry(reader, &stats) => result,
            _ = stop.wait_for(|stop| *stop) => Ok(Gone::Kicked),
        };
        match result {
            Ok(gone) if gone == Gone::Left || self.sending => Ok(gone),
            Ok(gone) => {
                self.connection.session.end_play();
                // A goodbye that is not heard changes nothing.
                let _ = self.connection.say_goodbye().await;
                Ok(gone)
            }
            Err(kind) => Err(self.connection.error(kind)),
        }
    }

    async fn carry(
        &mut self,
        mut reader: Subscriber,
        stats: &PlayStats,
    ) -> Result<Gone, ErrorKind> {
        let mut muxer = Muxer::new(std::mem::take(&mut self.capabilities));
        let (mut batch, mut out) = (Vec::new(), Outgoing::default());
        out.raw(self.connection.session.output());
        let mut over = false;
        loop {
            self.send(&mut out, stats).await?;
            if over {
                return Ok(Gone::Over);
            }
            tokio::select! {
                () = reader.next(&mut batch) => {
                    for event in batch.drain(..) {
                        match event {
                            HubEvent::End(_) => over = true,
                            HubEvent::Skipped { frames, .. } => stats.skipped(frames),
                            _ => {}
                        }
                        muxer.event(&event, &mut out);
                    }
                }
                read = self.connection.fill(READ_REQUEST) => {
                    if read? == 0 || self.hear()? {
                        return Ok(Gone::Left);
                    }
                    out.raw(self.connection.session.output());
                }
            }
        }
    }

    /// All that is ready in one write, or as many as the peer makes of it.
    async fn send(&mut self, out: &mut Outgoing, stats: &PlayStats) -> Result<(), ErrorKind> {
        let patience = self.connection.config.write_timeout;
        let late = |_| ErrorKind::TimedOut("sending");
        let stream = &mut self.connection.stream;
        self.sending = true;
        while out.has_remaining() {
            let sent = timeout(patience, stream.write_buf(out)).await;
            let len = sent.map_err(late)??;
            stats.bytes.fetch_add(len as u64, Relaxed);
        }
        // What TLS holds back is out only with a flush.
        timeout(patience, stream.flush()).await.map_err(late)??;
        self.sending = false;
        Ok(())
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
