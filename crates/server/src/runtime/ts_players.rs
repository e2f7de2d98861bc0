//! Who plays one stream over HTTP-TS: let go when the stream ends.

use std::sync::Arc;
use std::time::Duration;

use http_media::mpegts::{Packets, Seat};
use hub::Broadcast;
use tokio::time::timeout;

use super::players::{MAX_LATENCY, Session};
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

impl Seat for Session {
    fn over(&mut self) {
        self.ends("over");
    }
}

/// Seats a player of `packets` once there are some.
pub(super) async fn seat(packets: &Broadcast, mut session: Session) -> Result<Packets, NotPlayed> {
    session.ends("left");
    let sent = Arc::clone(session.sent());
    let mut packets = Packets::new(packets, MAX_LATENCY, sent, Box::new(session));
    let ready = timeout(PATIENCE, packets.ready()).await;
    ready.map_err(|_| NotPlayed::Stalled)?;
    Ok(packets)
}
