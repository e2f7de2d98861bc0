//! An encoder that was let in, or a server that was called for its stream: a transport stream
//! becomes a broadcast.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use container::ingest::{self, Assembler, Output};
use container::ts;
use hub::{EndReason, Publisher};
use media::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind};
use crate::session::{Session, since};

/// What comes before the first track of something that is a transport stream.
const BLIND: u64 = 4 << 20;
/// What is counted elsewhere is told so often.
const TELL: Duration = Duration::from_millis(500);

/// A session that brings media.
#[derive(Debug)]
pub struct Publishing {
    session: Session,
    /// How long it may bring none.
    read_timeout: Duration,
    programme: Option<u16>,
    stop: watch::Sender<bool>,
}

/// Ends a session from elsewhere.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Says goodbye to the peer; the broadcast ends as kicked.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Publishing {
    /// Of an open session; without media for `read_timeout` it ends.
    #[must_use]
    pub fn new(session: Session, read_timeout: Duration) -> Self {
        Self {
            session,
            read_timeout,
            programme: None,
            stop: watch::Sender::new(false),
        }
    }

    /// Of several programmes the one with this number, not the first.
    #[must_use]
    pub fn of_programme(mut self, programme: Option<u16>) -> Self {
        self.programme = programme;
        self
    }

    /// The open session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// What ends it from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Carries media to `publisher` until either side is done. Dropping the future ends the
    /// broadcast; the peer notices after its own time.
    ///
    /// # Errors
    /// A peer that falls silent, or sends no transport stream with known media. The broadcast has
    /// ended then.
    pub async fn run(
        mut self,
        publisher: Publisher,
        stats: Arc<ingest::Stats>,
    ) -> Result<EndReason, Error> {
        let mut bridge = Bridge::new(publisher, stats, self.programme);
        let mut stopped = self.stop.subscribe();
        let ended = {
            let mut stop = pin!(stopped.wait_for(|stop| *stop));
            let carry = carry(&mut self.session, &mut bridge, self.read_timeout);
            tokio::select! {
                ended = carry => ended,
                _ = &mut stop => Ok(EndReason::Kicked),
            }
        };
        bridge.tell(&self.session);
        let reason = ended.map_err(|kind| self.session.error(kind))?;
        bridge.publisher.end(reason);
        Ok(reason)
    }
}

async fn carry(
    session: &mut Session,
    bridge: &mut Bridge,
    read_timeout: Duration,
) -> Result<EndReason, ErrorKind> {
    let mut payloads = Vec::new();
    let mut heard = Instant::now();
    loop {
        let next = timeout_at(heard + read_timeout, session.next(&mut payloads)).await;
        let next = next.map_err(|_| ErrorKind::TimedOut("waiting for media"))?;
        if !next.map_err(|error| error.kind)? {
            bridge.flush();
            return Ok(EndReason::Finished);
        }
        for payload in payloads.drain(..) {
            if bridge.payload(payload) {
                heard = Instant::now();
            }
        }
        bridge.publish();
        if bridge.is_blind() {
            return Err(ErrorKind::Unreadable);
        }
        bridge.tell_seldom(session);
    }
}

/// From payloads to frames.
struct Bridge {
    publisher: Publisher,
    stats: Arc<ingest::Stats>,
    demux: ts::Demux,
    assembler: Assembler,
    origin: Instant,
    told: Instant,
    bytes: u64,
    seen: bool,
    items: Vec<ingest::Item>,
    out: Vec<Output>,
}

impl Bridge {
    fn new(publisher: Publisher, stats: Arc<ingest::Stats>, programme: Option<u16>) -> Self {
        Self {
            publisher,
            demux: ts::Demux::of_programme(programme),
            assembler: Assembler::new(Arc::clone(&stats)),
            stats,
            origin: Instant::now(),
            told: Instant::now(),
            bytes: 0,
            seen: false,
            items: Vec::new(),
            out: Vec::new(),
        }
    }

    fn now(&self) -> Timestamp {
        since(self.origin)
    }

    /// Whether it completed anything.
    fn payload(&mut self, payload: Bytes) -> bool {
        self.stats.read(payload.len());
        self.bytes += payload.len() as u64;
        self.demux.push(payload, &mut self.items);
        self.assemble()
    }

    fn flush(&mut self) {
        self.demux.flush(&mut self.items);
        self.assemble();
        self.assembler.flush(&mut self.out);
        self.publish();
    }

    fn assemble(&mut self) -> bool {
        let now = self.now();
        let some = !self.items.is_empty();
        self.seen |= some;
        for item in self.items.drain(..) {
            self.assembler.item(item, now, &mut self.out);
        }
        some
    }

    fn publish(&mut self) {
        for output in self.out.drain(..) {
            match output {
                Output::Tracks(tracks) => self.publisher.set_tracks(tracks),
                Output::Lost => self.publisher.note_loss(),
                Output::Frame(frame) => {
                    if let Err(refused) = self.publisher.push(frame) {
                        self.stats.ignored(refused.name());
                    }
                }
            }
        }
    }

    const fn is_blind(&self) -> bool {
        !self.seen && self.bytes > BLIND
    }

    fn tell_seldom(&mut self, session: &Session) {
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.tell(session);
        }
    }

    fn tell(&self, session: &Session) {
        self.demux.counters().tell(&self.stats);
        for (name, value) in session.stats().received() {
            self.stats.set(name, value);
        }
    }
}
