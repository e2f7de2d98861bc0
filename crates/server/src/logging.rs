//! Log lines, for people or for collectors. What goes wrong in ourselves is one of them.

use std::io::IsTerminal as _;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// It has a line for every damaged packet, as many as a peer likes. They are counted.
const CHATTY: &str = "mpeg2ts_reader";

static PANICS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn start(log: &Log) -> Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    panic::set_hook(Box::new(note_panic));
    started.map_err(|e| anyhow::anyhow!("{e}"))
}

/// What is said; `log.level` as `tracing` filters are written.
pub(crate) fn filter(log: &Log) -> Result<EnvFilter> {
    let filter = EnvFilter::try_new(&log.level).context("log.level")?;
    if log.level.contains(CHATTY) {
        return Ok(filter);
    }
    Ok(filter.add_directive(format!("{CHATTY}=off").parse()?))
}

/// Defects of ours since the start.
pub(crate) fn panics() -> u64 {
    PANICS.load(Relaxed)
}

fn note_panic(info: &panic::PanicHookInfo<'_>) {
    PANICS.fetch_add(1, Relaxed);
    let place = info.location().map(ToString::to_string);
    let what = info.payload_as_str().unwrap_or("a defect");
    tracing::error!(place, "panic: {what}");
}
