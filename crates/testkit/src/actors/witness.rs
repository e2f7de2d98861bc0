//! ffmpeg as a player that stays, and says of each frame which one it was and when it came.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::counted::Kind;
use super::ffmpeg::follow;

/// A player of one kind of media.
#[derive(Debug)]
pub struct Witness {
    player: Child,
    reading: JoinHandle<()>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A frame that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// Its decoding time, in milliseconds.
    pub dts: i64,
    /// SHA-256 of its payload.
    pub hash: String,
}

impl Witness {
    /// Begins to play.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub fn play(url: &str, kind: Kind) -> anyhow::Result<Self> {
        let map = match kind {
            Kind::Video => "0:v",
            Kind::Audio => "0:a",
        };
        // One kind alone: two would wait for each other on their way out.
        let args = format!(
            "-v error -fflags nobuffer -i {url} -map {map} -c copy -flush_packets 1 -f framehash -hash sha256 -"
        );
        let seen = Arc::default();
        let mine = Arc::clone(&seen);
        let told = move |line: &str| lock(&mine).extend(Seen::read(line));
        let (player, reading) = follow(&args, told)?;
        Ok(Self {
            player,
            reading,
            seen,
        })
    }

    /// What came since this was asked last.
    ///
    /// # Errors
    /// A player that has ended, which it never should.
    pub fn take(&mut self) -> anyhow::Result<Vec<Seen>> {
        let ended = self.player.try_wait()?;
        ensure!(ended.is_none(), "a player ended: {ended:?}");
        Ok(std::mem::take(&mut *lock(&self.seen)))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Seen {
    /// `stream, dts, pts, duration, size, hash`; what begins with `#` is about the whole.
    fn read(line: &str) -> Option<Self> {
        let at = Instant::now();
        let words: Vec<_> = line.split(',').map(str::trim).collect();
        let [_, dts, _, _, _, hash] = words[..] else {
            return None;
        };
        Some(Self {
            at,
            dts: dts.parse().ok()?,
            hash: hash.to_owned(),
        })
    }
}

fn lock(seen: &Mutex<Vec<Seen>>) -> std::sync::MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
