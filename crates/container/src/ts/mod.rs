//! MPEG transport streams (ITU-T H.222.0).

mod align;
mod audio;
mod continuity;
mod crc;
mod demux;
mod heads;
mod mux;
mod opus;
mod pes;
mod psi;
mod splice;
mod stream;
mod video;

pub use demux::{Config, Counters, Demux};
pub use mux::Mux;
