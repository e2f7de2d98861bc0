//! Who plays one stream: counted by protocol, and told of.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hub::Sent;
use media::Span;
use tokio::time::Instant;

use super::millis;
use crate::events::{Event, Events};
use crate::secret;

/// Who is further behind than this goes on with the newest group.
pub(super) const MAX_LATENCY: Span = Span::from_secs(4);

/// Those who play one stream by one protocol.
#[derive(Debug, Default)]
pub(crate) struct Players {
    now: AtomicU64,
    ever: AtomicU64,
    sent: Arc<Sent>,
}

/// One of them, as long as it lives.
#[derive(Debug)]
pub(super) struct Player(Arc<Players>);

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

    /// It has ended, well or with an error's kind and its words.
    pub(super) fn tell(mut self, ended: Result<impl std::fmt::Debug, (String, String)>) {
        match ended {
            Ok(gone) => {
                tracing::info!(?gone, "playing ended");
                self.ends(&format!("{gone:?}").to_lowercase());
            }
            Err((kind, error)) => {
                tracing::info!(%error, "playing failed");
                self.ends(&kind);
            }
        }
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

impl Drop for Player {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

impl Players {
    /// One more.
    pub(super) fn enter(self: &Arc<Self>) -> Player {
        self.now.fetch_add(1, Relaxed);
        self.ever.fetch_add(1, Relaxed);
        Player(Arc::clone(self))
    }

    pub(crate) fn figures(&self) -> PlayFigures {
        PlayFigures {
            now: self.now.load(Relaxed),
            ever: self.ever.load(Relaxed),
            bytes: self.sent.bytes.load(Relaxed),
            skips: self.sent.skips.load(Relaxed),
            skipped_frames: self.sent.skipped_frames.load(Relaxed),
        }
    }
}

impl Player {
    /// Where what it is sent counts.
    pub(super) fn sent(&self) -> &Arc<Sent> {
        &self.0.sent
    }
}
