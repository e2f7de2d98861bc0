//! Pulls: HLS and MPEG-TS over HTTP become frames of a broadcast.
//!
//! A pull is one connection's life: [`hls::pull`] and [`ts::pull`] are futures that end with the
//! source, or with an [`Error`]; dropping one ends it. They spawn nothing.

mod client;
mod error;
pub mod hls;
mod merge;
mod play;
mod source;
pub mod ts;

pub use client::tls;
pub use error::{Error, Place};
pub use source::{Egress, Limits, Source, Timeouts};
