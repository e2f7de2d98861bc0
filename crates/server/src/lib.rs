//! The weir server: configuration, wiring, REST, auth, metrics.
//!
//! Only this crate knows configuration files, SQL and tokens; only its binary spawns tasks.

mod access;
mod api;
pub mod app;
mod assets;
pub mod cli;
pub mod config;
mod crowd;
mod door;
mod egress;
mod event_metrics;
mod events;
mod families;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod histogram;
mod hooks;
mod http_connection;
mod http_server;
mod http_ts;
mod logging;
mod metrics;
mod model;
mod pages;
mod private;
mod rtmp_server;
mod runtime;
mod secret;
mod sentinel;
mod signed;
mod srt_server;
mod stream_metrics;
pub mod systemd;
mod tls;
mod tokens;
mod transcoder_metrics;
