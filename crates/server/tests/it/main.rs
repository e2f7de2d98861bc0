//! The whole server on ports of its own: the API's contract, encoders in, players out.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod acme;
mod api;
mod by_clock;
mod contract;
mod damage;
mod database;
mod documents;
mod failover;
mod ingest;
mod players;
mod playing;
mod renditions;
mod secure;
mod server;
mod silence;
mod site;
mod standing;
mod systemd;
mod tokens;
