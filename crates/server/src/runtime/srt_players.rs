//! Who plays one stream over SRT: counted, and let go when the stream does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hub::Broadcast;
use srt::{Error, Gone, PlayStats, Playing, Stats};

use super::players::{MAX_LATENCY, PlayFigures};

/// The players of one stream.
#[derive(Debug, Default)]
pub(crate) struct SrtPlayers {
    now: AtomicU64,
    ever: AtomicU64,
    sent: PlayStats,
    link: Arc<Stats>,
}

/// One of them, as long as it lives.
struct Seat<'a>(&'a AtomicU64);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl SrtPlayers {
    /// Where their connections count.
    pub(crate) fn link(&self) -> Arc<Stats> {
        Arc::clone(&self.link)
    }

    /// Carries a player to its end.
    pub(super) async fn play(
        &self,
        mut playing: Playing,
        packets: &Broadcast,
    ) -> Result<Gone, Error> {
        self.now.fetch_add(1, Relaxed);
        self.ever.fetch_add(1, Relaxed);
        let _seat = Seat(&self.now);
        let gone = playing.run(packets, MAX_LATENCY, &self.sent).await?;
        playing.close().await;
        Ok(gone)
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
