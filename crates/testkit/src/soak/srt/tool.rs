//! srt-live-transmit, and ours that is called the same way.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use super::process;
use crate::actors::in_repository;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// srt-live-transmit.
    Libsrt,
    /// weir-srt, built beside this program.
    Weir,
    /// A current one.
    Ffmpeg,
}

/// One that runs; it is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    name: String,
    errors: NamedTempFile,
}

impl Tool {
    /// From one address to another.
    pub(super) fn start(self, from: &str, to: &str) -> anyhow::Result<Running> {
        self.run(&[from, to])
    }

    /// With these words.
    pub(super) fn run(self, words: &[&str]) -> anyhow::Result<Running> {
        let program = match self {
            Self::Libsrt => PathBuf::from("srt-live-transmit"),
            Self::Weir => std::env::current_exe()?.with_file_name("weir-srt"),
            Self::Ffmpeg => in_repository(".tools/ffmpeg"),
        };
        let errors = NamedTempFile::new()?;
        let mut command = Command::new(&program);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.reopen()?)
            .kill_on_drop(true);
        let name = program.display().to_string();
        let child = command.spawn();
        let child = child.with_context(|| format!("{name}: `make setup`, `cargo build`"))?;
        Ok(Running {
            child,
            name,
            errors,
        })
    }
}

impl Running {
    /// While it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Nanoseconds of processor that its threads took.
    pub(super) fn cpu(&self) -> anyhow::Result<u64> {
        process::cpu(self.child.id().context("it is gone")?)
    }

    /// Bytes.
    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        process::resident(self.child.id().context("it is gone")?)
    }

    /// Whether it has ended, however.
    pub(super) fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends, however.
    pub(super) async fn gone(&mut self) {
        // An error would say that it is gone.
        let _ = self.child.wait().await;
    }

    /// What it had to say last.
    pub(super) fn said(&self) -> String {
        let all = std::fs::read(self.errors.path()).unwrap_or_default();
        let all = String::from_utf8_lossy(&all);
        let lines: Vec<_> = all.lines().rev().take(3).collect();
        format!("{}: {}", self.name, lines.join(" / "))
    }
}
