//! Containers as ffmpeg writes them, held against what ffprobe reads.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod flv;
mod mp4;
mod mux;
mod real;
mod ts;
