//! The whole server on ports of its own: the API's contract, encoders in, players out.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod access;
mod acme;
mod api;
mod auto_publish;
mod by_clock;
mod config_document;
mod contract;
mod damage;
mod database;
mod documents;
mod events;
mod failover;
mod hooks;
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
mod templates;
mod tokens;
