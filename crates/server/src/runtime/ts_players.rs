//! Who plays one stream over HTTP-TS: counted, and let go when the stream ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http_media::mpegts::{Packets, Seat, Sent};
use hub::Broadcast;
use tokio::time::timeout;

use super::players::{MAX_LATENCY, PlayFigures, Session};
use crate::door::Reject;

/// A player of media that comes on demand waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is nothing to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPlayed {
    /// There is no such thing here.
    Rejected(Reject),
    /// No media has come yet.
    NotLive,
    /// None came in time.
    Stalled,
}

/// The players of one stream.
#[derive(Debug, Default)]
pub(crate) struct TsPlayers {
    now: AtomicU64,
    ever: AtomicU64,
    sent: Arc<Sent>,
}

/// One of them, as long as it is there.
#[derive(Debug)]
struct Player {
    players: Arc<TsPlayers>,
    session: Session,
}

impl Seat for Player {
    fn over(&mut self) {
        self.session.ends("over");
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.players.now.fetch_sub(1, Relaxed);
    }
}

impl TsPlayers {
    /// Seats a player of `packets` once there are some.
    pub(super) async fn seat(
        self: &Arc<Self>,
        packets: &Broadcast,
        open: impl FnOnce() -> Session,
    ) -> Result<Packets, NotPlayed> {
        self.now.fetch_add(1, Relaxed);
        self.ever.fetch_add(1, Relaxed);
        let mut session = open();
        session.ends("left");
        let players = Arc::clone(self);
        let player = Box::new(Player { players, session });
        let mut packets = Packets::new(packets, MAX_LATENCY, Arc::clone(&self.sent), player);
        let ready = timeout(PATIENCE, packets.ready()).await;
        ready.map_err(|_| NotPlayed::Stalled)?;
        Ok(packets)
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
