//! One worker process.

use std::fmt;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::process::{Child, ChildStderr, Command};

use crate::error::Error;

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// It did not start.
    Start,
    /// It returned, with this code.
    Exit(i32),
    /// A signal ended it.
    Signal(i32),
    /// It hung, and was killed.
    Stall(&'static str),
    /// It said that it cannot do its job.
    Failed,
    /// What it sent cannot be read.
    Protocol,
    /// The ladder changed, and it was too far behind to hear of that soon.
    Behind,
    /// Somebody asked for another one.
    Restart,
    /// A defect of ours ended what watched it.
    Defect,
}

impl Ended {
    /// The lower-case word, as used in metric labels.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Exit(_) => "exit",
            Self::Signal(_) => "signal",
            Self::Stall(_) => "stall",
            Self::Failed => "failed",
            Self::Protocol => "protocol",
            Self::Behind => "behind",
            Self::Restart => "restart",
            Self::Defect => "defect",
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("it does not start"),
            Self::Exit(code) => write!(f, "it returned {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::Stall(why) => write!(f, "killed: {why}"),
            Self::Failed => f.write_str("it cannot do its job"),
            Self::Protocol => f.write_str("what it sends cannot be read"),
            Self::Behind => f.write_str("killed: too far behind to hear of an edit"),
            Self::Restart => f.write_str("killed: a restart was asked for"),
            Self::Defect => f.write_str("killed: a defect of the server, see its log"),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Exit(-1),
        }
    }
}

/// A process that was started. Dropping it kills it.
pub(crate) struct Worker {
    pub(crate) child: Child,
    pub(crate) socket: UnixStream,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Worker {
    /// Its standard input is one end of a pair of sockets; of the environment it gets nothing.
    pub(crate) fn start(program: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Start {
            path: program.to_owned(),
            source,
        };
        let (ours, theirs) = Pair::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let mut child = Command::new(program)
            .env_clear()
            .env("SVT_LOG", "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stderr = child.stderr.take();
        Ok(Self {
            child,
            socket: UnixStream::from_std(ours).map_err(failed)?,
            stderr,
        })
    }
}

/// Writes all of it, a vector at a time.
pub(crate) async fn write_all(to: &mut OwnedWriteHalf, chunks: &[Bytes]) -> std::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|c| IoSlice::new(c)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let written = to.write_vectored(left).await?;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}
