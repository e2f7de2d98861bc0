//! ffmpeg that tries something once, and what it says of it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;

use super::ffmpeg::ffmpeg;

/// How that went.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whether it got to its end without an error.
    pub ok: bool,
    /// What it complained about.
    pub said: String,
}

impl Attempt {
    /// Pushes a small picture and a tone for so long.
    ///
    /// # Errors
    /// One that does not end.
    pub async fn push(url: &str, time: Duration) -> anyhow::Result<Self> {
        let seconds = time.as_secs_f64();
        let args = format!(
            "-v warning -re -f lavfi -i testsrc2=s=160x90:r=15 -f lavfi -i sine=f=440:r=48000 -t {seconds} \
             -c:v libx264 -preset ultrafast -tune zerolatency -g 15 -c:a aac -f flv {url}"
        );
        Self::of(&args, time).await
    }

    /// Plays for so long.
    ///
    /// # Errors
    /// One that does not end.
    pub async fn play(url: &str, time: Duration) -> anyhow::Result<Self> {
        let seconds = time.as_secs_f64();
        let args = format!("-v warning -xerror -i {url} -t {seconds} -f null -");
        Self::of(&args, time).await
    }

    async fn of(args: &str, time: Duration) -> anyhow::Result<Self> {
        let mut command = ffmpeg(args);
        command.stderr(Stdio::piped());
        let patience = time + Duration::from_secs(30);
        let ended = timeout(patience, command.output()).await;
        let output = ended.context("ffmpeg does not end")??;
        Ok(Self {
            ok: output.status.success(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
