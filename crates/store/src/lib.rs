//! Streams, numbering rows and API tokens in SQL: SQLite, or PostgreSQL by its URL.
//!
//! One text for both: `$1` placeholders, `ON CONFLICT`, 64-bit integers, JSON as text, times as Unix
//! milliseconds. What differs is in the folders of migrations and in how a transaction begins.

#![warn(missing_docs)]

#[macro_use]
mod db;
mod error;
mod migrations;
mod numbering;
mod postgres;
mod streams;
mod tokens;

pub use db::Store;
pub use error::Error;
pub use numbering::{NewRow, NumberingRow, NumberingState, StateUpdate};
pub use streams::StreamRecord;
pub use tokens::TokenRecord;
