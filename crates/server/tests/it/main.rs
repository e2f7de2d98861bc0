//! The whole server on ports of its own: the API's contract, encoders in, players out.

mod api;
mod documents;
mod ingest;
mod server;
