//! Programs that take part in a scenario: a server that may be killed, a database that may be
//! frozen, an encoder, players in a real browser. Each ends with the value that stands for it.

mod attempt;
mod counted;
mod decoder;
mod detour;
mod encoder;
mod ffmpeg;
mod keyframes;
mod offset;
mod pebble;
mod players;
mod postgres;
mod recorder;
mod relay;
mod secure;
mod viewer;
mod weir;
mod witness;

pub use self::attempt::Attempt;
pub use self::counted::{Counted, Kind, Look, Number, Numbers};
pub use self::decoder::{Decoded, Decoder};
pub use self::detour::Detour;
pub use self::encoder::Encoder;
pub use self::ffmpeg::{ffmpeg_done, ffmpeg_started, program};
pub use self::keyframes::Keyframes;
pub use self::offset::{BEEPS, FLASHES, offset, offset_of};
pub use self::pebble::Pebble;
pub use self::players::{After, Height, Level, PlayerReport, Players};
pub use self::postgres::Postgres;
pub use self::recorder::Recorder;
pub use self::relay::{Relay, Way};
pub use self::secure::Secure;
pub use self::viewer::{Pace, Viewer};
pub use self::weir::{Footprint, Weir};
pub use self::witness::{Seen, Witness};

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// A path from the root of the repository.
#[must_use]
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// A port that was free a moment ago: a server that comes back must know its own.
///
/// # Errors
/// Of the operating system.
pub fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A port for UDP that was free a moment ago.
///
/// # Errors
/// Of the operating system.
pub fn free_udp() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}
