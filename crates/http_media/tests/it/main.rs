//! Requests against the output of a real packager; pulls from real servers.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod blocking;
mod growing;
mod in_ts;
mod mpegts;
mod pull;
mod source;
mod statics;
