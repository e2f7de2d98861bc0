//! The repository's own ffmpeg, in whatever part.

use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::in_repository;

/// It hears nothing, says nothing and ends with its value.
pub(super) fn quiet(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// ffmpeg with these words.
pub(super) fn ffmpeg(args: &str) -> Command {
    let mut command = quiet(in_repository(".tools/ffmpeg"));
    command.args(args.split_whitespace());
    command
}

/// A program with these words: it hears nothing, says nothing and ends with its value.
#[must_use]
pub fn program(name: &str, args: &str) -> Command {
    let mut command = quiet(name);
    command.args(args.split_whitespace());
    command
}

/// # Errors
/// Where `make setup` did not run.
pub(super) fn start(mut command: Command) -> anyhow::Result<Child> {
    let child = command.spawn();
    child.context(".tools/ffmpeg cannot be run: `make setup`")
}

/// Runs ffmpeg with these words to its end.
///
/// # Errors
/// Where `make setup` did not run, or it failed.
pub async fn ffmpeg_done(args: &str) -> anyhow::Result<()> {
    let done = start(ffmpeg(args))?.wait().await?;
    anyhow::ensure!(done.success(), "ffmpeg {args}: {done}");
    Ok(())
}

/// Starts ffmpeg with these words; it is killed when this is dropped.
///
/// # Errors
/// Where `make setup` did not run.
pub fn ffmpeg_started(args: &str) -> anyhow::Result<Child> {
    start(ffmpeg(args))
}

/// Starts one whose lines are told as they come.
///
/// # Errors
/// Where `make setup` did not run.
pub(super) fn follow(
    args: &str,
    told: impl FnMut(&str) + Send + 'static,
) -> anyhow::Result<(Child, JoinHandle<()>)> {
    let mut command = ffmpeg(args);
    command.stdout(Stdio::piped());
    let mut child = start(command)?;
    let out = child.stdout.take().context("no output")?;
    Ok((child, lines(out, told)))
}

/// Tells the lines of an output as they come.
pub(super) fn lines(
    output: impl AsyncRead + Unpin + Send + 'static,
    mut told: impl FnMut(&str) + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            told(&line);
        }
    })
}
