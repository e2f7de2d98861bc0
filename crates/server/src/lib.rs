//! The weir server: configuration, wiring, REST, auth, metrics.
//!
//! Only this crate knows configuration files, SQL and tokens; only its binary spawns tasks.

mod api;
pub mod app;
mod assets;
pub mod cli;
pub mod config;
mod families;
mod http_connection;
mod http_server;
mod ingest;
mod logging;
mod metrics;
mod model;
mod pages;
mod runtime;
mod secret;
mod stream_metrics;
mod tokens;
