//! ffmpeg as a player of RTMP, with a stopwatch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::process::Child;
use tokio::task::JoinHandle;

use super::ffmpeg::follow;

/// A player that takes every frame.
#[derive(Debug)]
pub struct Viewer {
    _player: Child,
    reading: JoinHandle<()>,
    pace: Arc<Mutex<Pace>>,
}

/// How pictures came.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many.
    pub pictures: u64,
    /// The longest time between two.
    pub worst: Duration,
    last: Option<Instant>,
}

impl Pace {
    const NONE: Self = Self {
        pictures: 0,
        worst: Duration::ZERO,
        last: None,
    };
}

impl Viewer {
    /// Begins to play.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub fn play(url: &str) -> anyhow::Result<Self> {
        let args = format!(
            "-v error -fflags nobuffer -i {url} -map 0:v -c copy -flush_packets 1 -f framecrc -"
        );
        let pace = Arc::new(Mutex::new(Pace::NONE));
        let mine = Arc::clone(&pace);
        let (player, reading) = follow(&args, move |line| {
            if line.starts_with("0,") {
                picture(&mut mine.lock().unwrap_or_else(PoisonError::into_inner));
            }
        })?;
        Ok(Self {
            _player: player,
            reading,
            pace,
        })
    }

    /// How pictures came since this was asked last; a pause that has not ended is one.
    #[must_use]
    pub fn pace(&self) -> Pace {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pace.last.map_or(Duration::ZERO, |last| last.elapsed());
        let told = Pace {
            worst: pace.worst.max(pause),
            ..*pace
        };
        *pace = Pace {
            last: pace.last,
            ..Pace::NONE
        };
        told
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn picture(pace: &mut Pace) {
    let now = Instant::now();
    let pause = pace.last.map_or(Duration::ZERO, |last| now - last);
    pace.pictures += 1;
    pace.worst = pace.worst.max(pause);
    pace.last = Some(now);
}
