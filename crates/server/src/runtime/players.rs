//! Who plays one stream over RTMP: counted, and let go when the stream does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hub::Broadcast;
use media::Span;
use rtmp::{Error, Gone, PlayRequest, PlayStats};
use tokio::time::Instant;

use super::millis;
use crate::events::{Event, Events};
use crate::secret;

/// Who is further behind than this goes on with the newest group.
pub(super) const MAX_LATENCY: Span = Span::from_secs(4);

/// The players of one stream.
#[derive(Debug, Default)]
pub(crate) struct Players {
    now: AtomicU64,
    ever: AtomicU64,
    stats: Arc<PlayStats>,
}

/// Counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlayFigures {
    pub(crate) now: u64,
    pub(crate) ever: u64,
    pub(crate) bytes: u64,
    pub(crate) skips: u64,
    pub(crate) skipped_frames: u64,
}

/// One of them, for those who listen to events.
#[derive(Debug)]
pub(super) struct Session {
    stream: String,
    events: Events,
    id: String,
    protocol: &'static str,
    address: IpAddr,
    began: Instant,
    /// How it ended; where nobody said, the server did.
    reason: String,
}

impl Session {
    pub(super) fn open(
        (stream, events): (&str, &Events),
        protocol: &'static str,
        (peer, agent): (SocketAddr, Option<&str>),
    ) -> Self {
        let session = Self {
            stream: stream.to_owned(),
            events: events.clone(),
            id: secret::random(),
            protocol,
            address: peer.ip().to_canonical(),
            began: Instant::now(),
            reason: "stopped".to_owned(),
        };
        let told = Event::SessionOpened {
            session: session.id.clone(),
            protocol: protocol.to_owned(),
            address: session.address.to_string(),
            agent: agent.map(ToOwned::to_owned),
        };
        events.tell(stream, &told);
        session
    }

    pub(super) fn close(mut self, reason: &str) {
        self.ends(reason);
    }

    /// What will be said of its end.
    pub(super) fn ends(&mut self, reason: &str) {
        reason.clone_into(&mut self.reason);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let told = Event::SessionClosed {
            session: std::mem::take(&mut self.id),
            protocol: self.protocol.to_owned(),
            address: self.address.to_string(),
            duration_ms: millis(self.began.elapsed()),
            reason: std::mem::take(&mut self.reason),
        };
        self.events.tell(&self.stream, &told);
    }
}

/// One of them, as long as it lives.
struct Seat<'a>(&'a AtomicU64);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Players {
    /// Carries a player to its end.
    pub(super) async fn play(
        &self,
        request: PlayRequest,
        broadcast: &Broadcast,
    ) -> Result<Gone, Error> {
        self.now.fetch_add(1, Relaxed);
        self.ever.fetch_add(1, Relaxed);
        let _seat = Seat(&self.now);
        let stats = Arc::clone(&self.stats);
        request.accept().run(broadcast, MAX_LATENCY, stats).await
    }

    pub(crate) fn figures(&self) -> PlayFigures {
        PlayFigures {
            now: self.now.load(Relaxed),
            ever: self.ever.load(Relaxed),
            bytes: self.stats.bytes.load(Relaxed),
            skips: self.stats.skips.load(Relaxed),
            skipped_frames: self.stats.skipped_frames.load(Relaxed),
        }
    }
}
