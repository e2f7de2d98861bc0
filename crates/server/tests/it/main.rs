//! The whole server on ports of its own: the API's contract, encoders in, players out.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod acme;
mod api;
mod database;
mod documents;
mod ingest;
mod players;
mod playing;
mod secure;
mod server;
mod systemd;
mod tokens;
