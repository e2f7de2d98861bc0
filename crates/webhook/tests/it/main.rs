//! Tests of deliveries: real HTTP servers, real files, and the order of what is sent against a model.

#![allow(clippy::unwrap_used)]

mod client;
mod file;
mod lanes;
mod model;
mod sign;
mod tls;
