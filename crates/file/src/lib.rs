//! Files as live sources: MP4, MPEG-TS and FLV, played at the pace of their timestamps, once or for
//! ever, from one configured root.
//!
//! It refuses what lies outside of the root, decodes nothing, and spawns nothing: dropping the
//! future of [`play`] ends it.

#![warn(missing_docs)]

mod config;
mod error;
mod order;
mod path;
mod play;
mod source;

pub use config::Play;
pub use error::Error;
pub use path::resolve;
pub use play::play;
