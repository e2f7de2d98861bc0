//! Starts, feeds, watches and restarts one worker per ladder; publishes what it returns.
//!
//! [`Transcode::run`] follows a programme and publishes renditions of it. The worker is a process
//! of its own (`weir-transcoder`): it may crash, hang or be too slow, and costs the renditions that
//! it encodes, nothing else. What a ladder copies does not pass through it.

mod assembly;
mod backoff;
mod board;
mod copy;
mod error;
mod feed;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod lines;
mod probe;
mod queue;
mod silence;
mod supervisor;
mod watchdog;
mod worker;

pub use board::{Board, Phase, RungState, State};
pub use error::Error;
pub use probe::probe;
pub use supervisor::{Clock, Observer, Transcode};
pub use worker::Ended;
