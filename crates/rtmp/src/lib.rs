//! RTMP: takes what encoders publish and bridges it to frames, and sends frames to players.
//!
//! [`Listener`] yields connections, a [`Connection`] yields a [`Request`] before any media flows,
//! and the caller accepts or rejects it. [`pull`] and [`push()`] call another server. The crate refuses to know
//! streams, keys or viewers, and spawns nothing. The protocol itself ([`Session`],
//! [`ClientSession`]) is a state machine over bytes.

mod aggregate;
mod amf;
mod bridge;
mod capabilities;
pub mod chunk;
mod client;
mod config;
mod connect;
mod dial;
mod error;
mod feed;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod link;
mod listen;
mod metadata;
mod muxer;
mod outgoing;
mod play;
mod push;
mod refusal;
mod reply;
mod request;
mod session;
mod target;
mod url;
mod wire;

pub use client::{ClientEvent, ClientSession};
pub use config::Config;
pub use connect::{Allowed, DialError};
pub use dial::{Pull, pull};
pub use error::{Error, ErrorKind};
pub use listen::{
    Connection, Listener, PlayRequest, PublishRequest, Publishing, Request, Stopper, Transport,
};
pub use metadata::{Metadata, TrackInfo};
pub use play::{Gone, Playing};
pub use push::{Push, PushStats, Pushing, push};
pub use reply::Reject;
pub use session::{Event, MediaKind, Session};
pub use target::Target;
pub use url::{Url, UrlError};
