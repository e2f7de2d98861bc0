//! SRT in live mode (draft-sharabayko-srt-01, as libsrt 1.5 speaks it): takes what encoders publish
//! and sends programmes to players, on one port, and calls other servers.
//!
//! [`Listener`] yields a [`Request`] before any media flows, and the caller accepts or rejects it;
//! [`dial`] calls. Either gives a [`Session`], whose protocol is a state machine over datagrams and
//! time. The crate refuses to know streams, keys or viewers, and spawns nothing. Not done: file
//! mode, rendezvous, bonding, packet filters, AES-GCM.

mod batch;
mod cipher;
mod config;
mod control;
mod cookie;
mod dial;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handshake;
mod keys;
mod link;
mod listen;
mod packet;
mod play;
mod playout;
mod publish;
mod receiver;
mod rtt;
mod sender;
mod seq;
mod session;
mod stats;
mod target;
mod udp;
mod url;

pub use cipher::{KeyLength, Passphrase};
pub use config::Config;
pub use dial::{Allowed, DialError, dial};
pub use error::{Error, ErrorKind, Reject};
pub use keys::Refresh;
pub use listen::{Listener, PortStats, Request, Terms};
pub use play::{Gone, Playing};
pub use publish::{Publishing, Stopper};
pub use session::Session;
pub use stats::Stats;
pub use target::{Mode, Target};
pub use url::{Url, UrlError};
