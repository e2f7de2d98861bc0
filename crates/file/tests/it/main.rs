//! Files that ffmpeg makes, played.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod errors;
mod fixture;
mod playing;
