//! MPEG transport streams (ITU-T H.222.0).

mod align;
mod audio;
mod continuity;
mod demux;
mod heads;
mod opus;
mod pes;
mod psi;
mod stream;
mod video;

pub use demux::{Config, Counters, Demux};
