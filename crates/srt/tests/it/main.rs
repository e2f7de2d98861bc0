//! The crate against libsrt's own programs.

mod libsrt;
mod sessions;
