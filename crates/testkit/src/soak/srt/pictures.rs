//! A player of pictures that counts those that are not there.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::actors::{in_repository, program};

/// Pictures a second of what is played.
pub(super) const RATE: u64 = 25;
/// Of MPEG-TS.
const CLOCK: u64 = 90_000;

/// Plays until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    _player: Child,
    reading: JoinHandle<()>,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    pictures: AtomicU64,
    lost: AtomicU64,
}

impl Watch {
    /// Begins to play an MPEG-TS.
    pub(super) fn play(url: &str) -> anyhow::Result<Self> {
        let ffmpeg = in_repository(".tools/ffmpeg").display().to_string();
        let words = format!(
            "-v error -analyzeduration 500000 -i {url} -map 0:v:0 -c copy -flush_packets 1 -f framecrc pipe:1"
        );
        let mut command = program(&ffmpeg, &words);
        let mut player = command
            .stdout(Stdio::piped())
            .spawn()
            .context("`make setup`")?;
        let mut lines = BufReader::new(player.stdout.take().context("no output")?).lines();
        let seen = Arc::<Seen>::default();
        let mine = Arc::clone(&seen);
        let reading = tokio::spawn(async move {
            let mut last = None;
            while let Ok(Some(line)) = lines.next_line().await {
                let dts = line
                    .split(',')
                    .nth(1)
                    .and_then(|dts| dts.trim().parse::<u64>().ok());
                let Some(dts) = dts.filter(|_| line.starts_with("0,")) else {
                    continue;
                };
                mine.pictures.fetch_add(1, Relaxed);
                mine.lost
                    .fetch_add(between(last.replace(dts), dts), Relaxed);
            }
        });
        Ok(Self {
            _player: player,
            reading,
            seen,
        })
    }

    pub(super) fn pictures(&self) -> u64 {
        self.seen.pictures.load(Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.seen.lost.load(Relaxed)
    }
}

/// Pictures that should be between two.
fn between(last: Option<u64>, dts: u64) -> u64 {
    let one = CLOCK / RATE;
    let apart = last.map_or(one, |last| dts.saturating_sub(last));
    ((apart + one / 2) / one).saturating_sub(1)
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_counted() {
        assert_eq!(between(None, 77), 0);
        assert_eq!(between(Some(0), 3_600), 0);
        assert_eq!(between(Some(0), 3_690), 0);
        assert_eq!(between(Some(3_600), 14_400), 2);
    }
}
