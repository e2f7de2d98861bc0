//! ffmpeg as an encoder.

use std::path::Path;

use anyhow::Context as _;
use tokio::process::Child;

use super::ffmpeg::{ffmpeg, start};

/// An encoder that pushes until it is killed: a picture with a keyframe every two seconds, and a
/// tone.
#[derive(Debug)]
pub struct Encoder(Child);

impl Encoder {
    /// Begins to push to an RTMP URL: `size` as in `640x360`, `fps` pictures a second.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub fn push(url: &str, size: &str, fps: u32) -> anyhow::Result<Self> {
        Self::push_trusting(url, size, fps, None)
    }

    /// The same over TLS, to a server whose certificate `authority` (PEM) signed.
    ///
    /// # Errors
    /// As `push`.
    pub fn push_trusting(
        url: &str,
        size: &str,
        fps: u32,
        authority: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let gop = 2 * fps;
        let args = format!(
            "-v error -re -f lavfi -i testsrc2=s={size}:r={fps} -f lavfi -i sine=f=440:r=48000 \
             -c:v libx264 -preset ultrafast -tune zerolatency -g {gop} -b:v 800k -c:a aac -b:a 96k -f flv {url}"
        );
        let mut command = ffmpeg(&args);
        command.envs(authority.map(|file| ("SSL_CERT_FILE", file)));
        start(command).map(Self)
    }

    /// Whether it has given up.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Kills it as `kill -9` does: no goodbye, no last message.
    ///
    /// # Errors
    /// Of the operating system.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill().await.context("the encoder")
    }
}
