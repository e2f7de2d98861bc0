//! A server with a ladder, sources that were encoded beforehand, and who looks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use crate::actors::{BEEPS, FLASHES, Weir, ffmpeg_done, ffmpeg_started};

pub(in crate::soak) const NAME: &str = "n";
const PATIENCE: Duration = Duration::from_secs(30);

/// A source that flashes and beeps once a second: what it is called, size and rates, and the words
/// that encode it.
#[derive(Debug, Clone, Copy)]
pub(in crate::soak) struct Source {
    pub(in crate::soak) id: &'static str,
    picture: &'static str,
    sound: &'static str,
    made: &'static str,
}

pub(in crate::soak) const HD: Source = Source {
    id: "hd",
    picture: "1280x720:r=30",
    sound: "s=48000",
    made: "-c:v libx264 -preset veryfast -tune zerolatency -b:v 2500k -maxrate 2500k -bufsize 2500k -g 60 \
           -sc_threshold 0 -c:a aac -ac 2 -b:a 96k",
};
pub(in crate::soak) const SD: Source = Source {
    id: "sd",
    picture: "854x480:r=25",
    sound: "s=44100",
    made: "-c:v libx264 -preset veryfast -tune zerolatency -b:v 1200k -g 50 -sc_threshold 0 -c:a aac -ac 1 -b:a 64k",
};
pub(in crate::soak) const HEVC: Source = Source {
    id: "hevc",
    picture: "1280x720:r=50",
    sound: "s=48000",
    made: "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=100:scenecut=0:open-gop=0 -b:v 2000k \
           -c:a aac -ac 2 -b:a 96k",
};

impl Source {
    /// Encodes it, once.
    pub(in crate::soak) async fn record(self, folder: &Path) -> anyhow::Result<PathBuf> {
        let file = folder.join(format!("{}.flv", self.id));
        if !file.is_file() {
            let (picture, sound, made) = (self.picture, self.sound, self.made);
            ffmpeg_done(&format!(
                "-v error -y -f lavfi -i testsrc2=s={picture},{FLASHES} -f lavfi -i {BEEPS}:{sound} -t 20 {made} -f flv {}",
                file.display()
            ))
            .await?;
        }
        Ok(file)
    }
}

/// Pushes a file at its own pace, over and over.
pub(in crate::soak) fn push(file: &Path, url: &str) -> anyhow::Result<Child> {
    let file = file.display();
    let format = if url.starts_with("srt:") {
        "mpegts"
    } else {
        "flv"
    };
    ffmpeg_started(&format!(
        "-v error -re -stream_loop -1 -i {file} -c copy -f {format} {url}"
    ))
}

/// A rung of H.264 that costs little.
pub(in crate::soak) fn rung(name: &str, height: u32, kbps: u32) -> Value {
    json!({"name": name, "height": height, "bitrate_kbps": kbps, "preset": "ultrafast", "tune": "zerolatency"})
}

pub(in crate::soak) fn copy() -> Value {
    json!({"name": "source", "codec": "copy"})
}

/// A stream with these inputs and this ladder.
pub(in crate::soak) fn stream(inputs: &Value, video: &[Value]) -> Value {
    json!({
        "name": NAME,
        "inputs": inputs,
        "failover": {"failback": "never"},
        "transcode": {"video": video, "audio": [{"name": "aac"}]},
    })
}

/// Of one input that an encoder pushes.
pub(in crate::soak) fn pushed() -> Value {
    json!([{"id": "main", "url": "publish://", "key": null}])
}

pub(in crate::soak) async fn runtime(weir: &Weir) -> anyhow::Result<Value> {
    Ok(weir.stream(NAME).await?["runtime"].clone())
}

/// Waits until what runs is so.
pub(in crate::soak) async fn until(
    weir: &Weir,
    what: &str,
    good: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let start = Instant::now();
    loop {
        let now = runtime(weir).await?;
        if good(&now) {
            return Ok(now);
        }
        ensure!(start.elapsed() < PATIENCE, "{what}, in vain: {now}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The worker's process, and how often one ended.
pub(in crate::soak) fn worker(runtime: &Value) -> Option<(u64, u64)> {
    let told = &runtime["transcoder"];
    Some((told["pid"].as_u64()?, told["restarts"].as_u64()?))
}

pub(in crate::soak) async fn signal(pid: u64, signal: &str) -> anyhow::Result<()> {
    let done = tokio::process::Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status()
        .await?;
    ensure!(done.success(), "kill -{signal} {pid}");
    Ok(())
}

/// Resident memory of a process, in KiB.
pub(in crate::soak) fn resident(pid: u64) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|l| l.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(kib.parse()?)
}
