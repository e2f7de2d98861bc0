//! What the tests of Weir stand on: a linter for low-latency HLS, players in a real browser,
//! scenarios that push a running server about, and what fuzzing needs.
//!
//! Development only: nothing under `[dependencies]` of another crate may be this.

pub mod actors;
mod clock;
pub mod fuzz;
pub mod link;
pub mod lint;
pub mod poll;
pub mod soak;

pub use clock::clock;
