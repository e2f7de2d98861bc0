//! A linter for live low-latency HLS, and for classic HLS in MPEG-TS; [`dash`] is the one for DASH.
//!
//! [`Linter`] is pure: playlists, bodies and refusals go in with the times at which they came, and
//! what breaks a [`Rule`] comes out as a [`Report`]. `poll` fetches for it. Where the stream goes
//! through something in which a rule bends, the linter is told so as a [`State`].

mod answers;
mod attributes;
mod bodies;
pub mod dash;
mod group;
mod history;
mod ledger;
mod linter;
mod playlist;
mod rendition;
mod report;
mod rule;
mod single;
mod state;
mod transport;

pub use answers::{Answer, Directives, Probe};
pub use ledger::Finding;
pub use linter::{Limits, Linter};
pub use playlist::Playlist;
pub use rendition::{Wanted, What};
pub use report::{Chunks, Figures, Quantiles, Report};
pub use rule::Rule;
pub use state::{State, UnknownState};

#[cfg(test)]
mod tests;
