//! Decodes once and encodes a ladder: one worker per ladder, a child of the server.
//!
//! It speaks `container::wire` on its standard input, a socket: compressed frames and
//! [`ladder::Order`]s come in, compressed frames and [`ladder::Report`]s go out. It has no clock:
//! timestamps drive it, and where none come the server says how far to hold. Nothing is ever
//! dropped here: every queue is bounded and holds up the one before it, to the server, which
//! leaves out whole groups.
//!
//! Threads: this one reads, one decodes pictures, one does all sound, one per rung scales and
//! encodes, one writes.

mod annexb;
mod audio;
mod av;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod limits;
mod link;
mod packets;
mod probe;
mod sandbox;
mod sending;
mod video;

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, bail};

/// What the process does, by its arguments.
///
/// # Errors
/// Whatever ends it early: the process returns 1.
pub fn run() -> Result<()> {
    av::quiet();
    match std::env::args().nth(1).as_deref() {
        None => work(),
        Some("--probe") => {
            let found = serde_json::to_string(&probe::capabilities())?;
            Ok(writeln!(std::io::stdout(), "{found}")?)
        }
        Some("--version") => Ok(writeln!(
            std::io::stdout(),
            "weir-transcoder {}",
            env!("CARGO_PKG_VERSION")
        )?),
        Some(other) => {
            bail!("{other}: --probe, --version, or nothing and a socket as standard input")
        }
    }
}

fn work() -> Result<()> {
    sandbox::enter().context("the sandbox")?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let socket = UnixStream::from(socket);
    link::run(&socket).context("the socket")
}
