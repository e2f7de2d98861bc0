//! Programs that play, each its own output, for the same time.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::Output;
use super::ground::{NAME, PASSPHRASE, SECRET};
use super::judge::{self, Program, Verdict};
use crate::actors::program as command;

/// Who reads it.
pub(super) const fn program(output: Output) -> &'static str {
    match output {
        Output::Hls | Output::Dash | Output::Rtmp => "ffmpeg 9",
        Output::HlsTs | Output::Srt => "ffmpeg 5.1",
        Output::SrtKey => "srt-live-transmit",
        Output::HttpTs => "GStreamer",
    }
}

pub(super) async fn read(
    output: Output,
    address: &str,
    looks: Duration,
) -> anyhow::Result<Verdict> {
    match output {
        Output::Hls | Output::Dash | Output::Rtmp => {
            judge::live(Program::Current, &format!("-i {address}"), looks).await
        }
        Output::HlsTs => judge::live(Program::Distribution, &format!("-i {address}"), looks).await,
        Output::Srt => {
            let url = format!("{address}?mode=caller&latency=200000&streamid=read:{NAME}");
            // By itself it looks for five seconds for what else an MPEG-TS without an end may have.
            judge::live(
                Program::Distribution,
                &format!("-analyzeduration 500000 -i {url}"),
                looks,
            )
            .await
        }
        Output::SrtKey => {
            let url = format!(
                "{address}?mode=caller&latency=200&streamid=read:{SECRET}&passphrase={PASSPHRASE}&pbkeylen=32"
            );
            fetch(
                command("srt-live-transmit", &format!("-q {url} file://con")),
                looks,
            )
            .await
        }
        Output::HttpTs => {
            let words = format!("-q souphttpsrc is-live=true location={address} ! fdsink fd=1");
            fetch(command("gst-launch-1.0", &words), looks).await
        }
    }
}

/// Takes what a program writes, and judges that.
async fn fetch(mut command: Command, looks: Duration) -> anyhow::Result<Verdict> {
    command.stdout(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().context("`make setup`")?;
    let mut out = child.stdout.take().context("no output")?;
    let mut all = Vec::new();
    let first = timeout(looks, out.read_buf(&mut all)).await;
    let first = first.map_or(0, |n| n.unwrap_or(0));
    ensure!(first > 0, "nothing came");
    let first = begin.elapsed();
    // It goes on until it is told to end.
    let _ = timeout(looks, out.read_to_end(&mut all)).await;
    child.kill().await?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &all)?;
    let verdict = judge::file(file.path() as &Path, Some(looks)).await?;
    Ok(Verdict { first, ..verdict })
}
