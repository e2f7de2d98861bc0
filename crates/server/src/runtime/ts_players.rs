//! Who plays one stream over HTTP-TS: let go when the stream ends.

use std::sync::Arc;
use std::time::Duration;

use http_media::mpegts::{Packets, Seat};
use hub::Broadcast;
use tokio::time::timeout;

use super::players::{MAX_LATENCY, Player, Session};
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

/// One of them, as long as it is there.
#[derive(Debug)]
struct Seated {
    _player: Player,
    session: Session,
}

impl Seat for Seated {
    fn over(&mut self) {
        self.session.ends("over");
    }
}

/// Seats a player of `packets` once there are some.
pub(super) async fn seat(
    player: Player,
    packets: &Broadcast,
    mut session: Session,
) -> Result<Packets, NotPlayed> {
    session.ends("left");
    let sent = Arc::clone(player.sent());
    let seat = Box::new(Seated {
        _player: player,
        session,
    });
    let mut packets = Packets::new(packets, MAX_LATENCY, sent, seat);
    let ready = timeout(PATIENCE, packets.ready()).await;
    ready.map_err(|_| NotPlayed::Stalled)?;
    Ok(packets)
}
