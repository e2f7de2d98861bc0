//! What the tests of Weir stand on: linters for low-latency HLS and DASH, players in a real browser,
//! scenarios that push a running server about, and what fuzzing needs.
//!
//! Development only: nothing under `[dependencies]` of another crate may be this.

pub mod actors;
mod clock;
pub mod fuzz;
pub mod handmade;
pub mod link;
pub mod lint;
pub mod numbered;
pub mod poll;
pub mod soak;
pub mod transmit;

pub use clock::clock;
