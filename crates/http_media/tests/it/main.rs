//! Requests against the output of a real packager.
#![allow(clippy::unwrap_used)]

mod blocking;
mod source;
mod statics;
