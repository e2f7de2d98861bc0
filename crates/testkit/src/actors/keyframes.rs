//! ffprobe as a player that tells where the keyframes of a rendition lie.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Child;

use super::ffmpeg::quiet;

/// A player of pictures for a given time.
#[derive(Debug)]
pub struct Keyframes(Child);

impl Keyframes {
    /// Begins to play `seconds` of media.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub fn play(url: &str, seconds: u64) -> anyhow::Result<Self> {
        let args = format!(
            "-v error -read_intervals %+{seconds} -select_streams v:0 -show_entries packet=pts_time,flags -of csv=p=0 {url}"
        );
        let mut command = quiet("ffprobe");
        command.args(args.split_whitespace());
        command.stdout(Stdio::piped());
        let child = command.spawn();
        Ok(Self(child.context("ffprobe cannot be run: `make setup`")?))
    }

    /// Waits for its end: presentation times of the keyframes, in microseconds.
    ///
    /// # Errors
    /// Where it failed.
    pub async fn told(self) -> anyhow::Result<Vec<i64>> {
        let done = self.0.wait_with_output().await?;
        ensure!(done.status.success(), "ffprobe: {}", done.status);
        let told = String::from_utf8(done.stdout)?;
        let keys = told.lines().filter_map(|line| {
            let (time, flags) = line.split_once(',')?;
            let seconds: f64 = time.parse().ok()?;
            #[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
            flags
                .starts_with('K')
                .then_some((seconds * 1e6).round() as i64)
        });
        Ok(keys.collect())
    }
}
