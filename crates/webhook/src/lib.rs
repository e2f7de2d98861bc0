//! Delivers events: signed over HTTP or into files, in order, again until they are taken.
//!
//! [`Lanes`] decides what is sent when, as a state machine without clock or socket; [`Client`] posts
//! it to addresses that a policy allows, [`sign`] shows who sent it, [`Verdict`] says what the answer
//! means; [`Sink`] writes it into a file instead. What an event is, and where those that wait are
//! kept, is not known here.

mod client;
mod dial;
mod error;
mod file;
mod lanes;
pub mod sign;
mod verdict;

pub use client::{Answer, Client, Request};
pub use dial::Check;
pub use error::Error;
pub use file::{Rotation, Sink};
pub use lanes::{Batch, Config, Item, Lanes, Room, Settled, Starved};
pub use verdict::{Verdict, verdict};
