//! What Weir remembers, in SQL: SQLite, or PostgreSQL by its URL. Streams, templates and hooks, the
//! journal of events and who has yet to hear of them, numbering rows, API tokens.
//!
//! One text for both: `$1` placeholders, `ON CONFLICT`, 64-bit integers, JSON as text, times as Unix
//! milliseconds. What differs is in the folders of migrations and in how a transaction begins.

#![warn(missing_docs)]

#[macro_use]
mod db;
mod deliveries;
mod error;
mod events;
mod instance;
mod migrations;
mod numbering;
mod postgres;
mod resources;
mod retention;
mod sql;
mod tokens;
mod writes;

pub use db::Store;
pub use deliveries::{Backlog, Delivery};
pub use error::Error;
pub use events::{EventQuery, EventRecord, NewEvent};
pub use numbering::{NewRow, NumberingRow, NumberingState, Period, StateUpdate};
pub use resources::{Kind, Record};
pub use tokens::TokenRecord;
pub use writes::Write;
