//! The words everyone in Weir uses: time, tracks, codec configurations, frames, and the
//! reading of codec headers.
//!
//! Pure: no clock, no socket, no file, no task. Everything here is a value.

#![warn(missing_docs)]

pub mod bits;
pub mod codec;
mod frame;
pub mod language;
pub mod nal;
pub mod pace;
pub mod repair;
pub mod scte35;
mod time;
mod track;

pub use codec::CodecConfig;
pub use frame::Frame;
pub use time::{Span, Timestamp};
pub use track::{Role, Track, TrackId, TrackKind};
