//! Requests against the output of a real packager.

mod blocking;
mod source;
mod statics;
