//! What goes wrong with a worker.

use std::path::PathBuf;

/// Why a worker is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program cannot be started.
    #[error("{path}: {source}", path = path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended, or said something else than was asked for.
    #[error("{path} did not answer: {why}", path = path.display())]
    Answer {
        /// The program.
        path: PathBuf,
        /// What it did instead.
        why: String,
    },
}
