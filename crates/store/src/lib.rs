//! Streams and numbering rows in SQL.
//!
//! SQLite today. SQL text keeps to what PostgreSQL reads as well (`$1` placeholders,
//! `ON CONFLICT`, `BIGINT`-sized integers, JSON as text, times as Unix milliseconds),
//! so that a second variant of [`Store`]'s database needs only its own migrations.

#![warn(missing_docs)]

#[macro_use]
mod db;
mod error;
mod migrations;
mod numbering;
mod streams;

pub use db::Store;
pub use error::Error;
pub use numbering::{NewRow, NumberingRow, NumberingState, StateUpdate};
pub use streams::StreamRecord;
