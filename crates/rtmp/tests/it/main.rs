//! The protocol from its two sides: encoders that we did not write, and peers that nobody should.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod bridging;
mod chunks;
mod client;
mod elsewhere;
mod encoders;
mod hostile;
mod multitrack;
mod playing;
mod pulling;
mod pulls;
mod pushed;
mod pushing;
mod requests;
