//! The crate against libsrt's own programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod libsrt;
mod sessions;
