//! Pulls: HLS and MPEG-TS over HTTP become frames of a broadcast.

mod client;
mod error;
pub mod hls;
mod source;

pub use error::{Error, Place};
pub use source::{Egress, Limits, Source, Timeouts};
