//! MPEG transport streams (ITU-T H.222.0).

mod align;
mod audio;
mod av1;
mod clock;
mod codec;
mod continuity;
mod counters;
mod crc;
mod demux;
mod heads;
mod latm;
mod mux;
mod opus;
mod pes;
mod psi;
mod splice;
mod stream;
mod tail;
mod told;
mod video;

pub use counters::{ByPid, Counters};
pub use demux::{Config, Demux};
pub use mux::Mux;
