//! ffmpeg as an encoder whose content somebody else keeps the clock of.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::ffmpeg::{quiet, start};
use super::{Counted, in_repository};

/// Pushes [`Counted`] media until it is killed. Every one that has the same clock sends the same
/// frame at the same time, whenever it was started.
#[derive(Debug)]
pub struct Relay {
    child: Child,
    feeding: JoinHandle<()>,
}

/// What a relay runs as, and where it pushes to.
#[derive(Debug, Clone)]
pub struct Way {
    /// Before the name of the program, such as `nsenter` and its arguments.
    pub prefix: Vec<String>,
    /// One address, or several that get the same bytes.
    pub urls: Vec<String>,
}

impl Relay {
    /// Begins with the next keyframe of media that began at `clock`.
    ///
    /// # Errors
    /// Where `make setup` did not run.
    pub fn push(content: &Arc<Counted>, clock: Instant, way: &Way) -> anyhow::Result<Self> {
        let ffmpeg = in_repository(".tools/ffmpeg").display().to_string();
        let mut words = way.prefix.iter().cloned().chain([ffmpeg]);
        let args =
            "-v error -fflags nobuffer -analyzeduration 200000 -f flv -i pipe:0 -map 0 -c copy";
        let mut command = quiet(words.next().unwrap_or_default());
        command
            .args(words)
            .args(args.split_whitespace())
            .args(target(&way.urls))
            .stdin(Stdio::piped());
        let mut child = start(command)?;
        let into = child.stdin.take().context("no input")?;
        let feeding = tokio::spawn(feed(Arc::clone(content), clock, into));
        Ok(Self { child, feeding })
    }

    /// `kill -9`, without waiting for its end.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.start_kill().context("the encoder")
    }

    /// Another signal, such as `STOP`: it stays connected and sends nothing more.
    ///
    /// # Errors
    /// Of the operating system.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.id().context("the encoder is gone")?;
        let (name, id) = (format!("-{name}"), id.to_string());
        let told = Command::new("kill").args([&name, &id]).status().await?;
        anyhow::ensure!(told.success(), "kill {name} {id}");
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.feeding.abort();
    }
}

/// ffmpeg's own tee where there are several; one of them that stalls does not stall the others.
fn target(urls: &[String]) -> Vec<String> {
    let words = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    match urls {
        [url] if url.starts_with("srt:") => words(&["-f", "mpegts", url]),
        [url] => words(&["-f", "flv", url]),
        all => {
            let fifo = r"drop_pkts_on_overflow=1\\:restart_with_keyframe=1";
            let slave =
                |url: &String| format!("[f=flv:onfail=ignore:use_fifo=1:fifo_options={fifo}]{url}");
            let slaves: Vec<_> = all.iter().map(slave).collect();
            words(&["-f", "tee", &slaves.join("|")])
        }
    }
}

async fn feed(content: Arc<Counted>, clock: Instant, mut into: ChildStdin) {
    if into.write_all(&content.head).await.is_err() {
        return;
    }
    let now = clock.elapsed();
    let mut begun = false;
    for lap in 0.. {
        for tag in &content.tags {
            let at = Counted::LENGTH * lap + tag.at;
            begun |= tag.keyframe && at >= now;
            if !begun {
                continue;
            }
            sleep_until(clock + at).await;
            // It is gone: whoever killed it knows.
            if into.write_all(&tag.stamped(at)).await.is_err() {
                return;
            }
        }
    }
}
