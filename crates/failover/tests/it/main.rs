//! The timeline and the selector alone, and whole programmes over inputs that come and go.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod by_clock;
mod damage;
mod health;
mod overlap;
mod programme;
mod selector;
mod timeline;
mod world;
