//! Media over HTTP: serves what `packager` made.
//!
//! [`drive`] packages one presentation of the hub and publishes snapshots into an [`Output`];
//! [`Outputs::handle`] answers requests from those snapshots. The crate knows no stream's
//! configuration and spawns nothing.

mod body;
mod dash;
mod drive;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod headers;
mod in_ts;
mod lanes;
mod live;
pub mod mpegts;
mod outputs;
mod playlist;
pub mod pull;
mod resource;
mod serve;
mod viewers;

pub use drive::{Control, Driver, Observer};
pub use error::Refusal;
pub use live::{Container, Figures, Output};
pub use outputs::{Limits, Outputs};
pub use resource::{is_dash, is_own};
pub use viewers::{Comings, Viewer};
