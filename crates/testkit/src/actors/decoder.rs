//! ffmpeg as a player that decodes everything and ends at the first error.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::ffmpeg::{ffmpeg, lines, start};

/// A player of pictures and sound.
#[derive(Debug)]
pub struct Decoder {
    player: Child,
    reading: [JoinHandle<()>; 2],
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    pictures: u64,
    errors: Vec<String>,
}

/// What a player decoded until now.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// How many.
    pub pictures: u64,
    /// What it complained about.
    pub errors: Vec<String>,
    /// Whether it gave up.
    pub ended: bool,
}

impl Decoder {
    /// Begins to play.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub fn play(url: &str) -> anyhow::Result<Self> {
        Self::decode(&format!("-i {url}"))
    }

    /// Begins to play sound alone.
    ///
    /// # Errors
    /// As `play`.
    pub fn listen(url: &str) -> anyhow::Result<Self> {
        Self::run(&format!(
            "-v error -nostats -xerror -i {url} -map 0:a -progress pipe:1 -f null -"
        ))
    }

    /// Plays a playlist in a file, which names what is elsewhere, to its end.
    ///
    /// # Errors
    /// As `play`, and where that takes longer than `patience`.
    pub async fn play_file(file: &Path, patience: Duration) -> anyhow::Result<Decoded> {
        let input = format!("-protocol_whitelist file,http,tcp -i {}", file.display());
        let mut player = Self::decode(&input)?;
        let playing = timeout(patience, player.player.wait()).await;
        playing.context("it does not end")??;
        for reading in &mut player.reading {
            reading.await?;
        }
        player.report()
    }

    fn decode(input: &str) -> anyhow::Result<Self> {
        // Times as they came: in units of what it takes for a frame's duration, two may be one.
        let args = format!(
            "-v error -nostats -xerror {input} -map 0:v -map 0:a? -fps_mode passthrough -enc_time_base demux \
             -stats_period 0.2 -progress pipe:1 -f null -"
        );
        Self::run(&args)
    }

    fn run(args: &str) -> anyhow::Result<Self> {
        let mut command = ffmpeg(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut player = start(command)?;
        let told = Arc::<Mutex<Told>>::default();
        let mine = Arc::clone(&told);
        let progress = lines(
            player.stdout.take().context("no output")?,
            move |line: &str| {
                if let Some(Ok(pictures)) = line.strip_prefix("frame=").map(str::parse) {
                    lock(&mine).pictures = pictures;
                }
            },
        );
        let mine = Arc::clone(&told);
        let errors = lines(
            player.stderr.take().context("no errors")?,
            move |line: &str| {
                lock(&mine).errors.push(line.to_owned());
            },
        );
        Ok(Self {
            player,
            reading: [progress, errors],
            told,
        })
    }

    /// What it did until now.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn report(&mut self) -> anyhow::Result<Decoded> {
        let ended = self.player.try_wait()?.is_some();
        let told = lock(&self.told);
        Ok(Decoded {
            pictures: told.pictures,
            errors: told.errors.clone(),
            ended,
        })
    }
}

impl Decoder {
    /// Waits until it has decoded so many pictures.
    ///
    /// # Errors
    /// Where it gave up, or that takes longer than `patience`.
    pub async fn until(&mut self, pictures: u64, patience: Duration) -> anyhow::Result<Decoded> {
        let start = Instant::now();
        loop {
            let report = self.report()?;
            ensure!(!report.ended, "it gave up: {report:?}");
            if report.pictures >= pictures {
                return Ok(report);
            }
            ensure!(start.elapsed() < patience, "in vain: {report:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.reading.iter().for_each(JoinHandle::abort);
    }
}

fn lock(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
