//! Cuts broadcasts into CMAF parts and segments and writes HLS and LL-HLS playlists and the MPD of
//! DASH.
//!
//! Pure: frames and `now` come in; immutable [`Snapshot`]s, [`Effect`]s to store and the next
//! deadline go out. One [`Packager`] serves one presentation of 1..N renditions; every sample is
//! held once, however many playlists, parts and segments name it.
//!
//! Where to read first: [`Row`] (which number belongs to which time), then [`Packager`].

mod cadence;
mod config;
mod cue;
mod cut;
mod dash;
mod fill;
mod gop;
mod lead;
mod media;
mod multivariant;
mod numbering;
mod packager;
mod part;
mod playlist;
mod release;
mod segment;
mod track;
pub mod ts;

pub use config::{Chunk, Config};
pub use dash::{Dash, PeriodMark, View};
pub use media::{Edge, Media, Snapshot};
pub use numbering::{Restored, Row};
pub use packager::{Counters, Effect, Error, Packager, RenditionId};
pub use playlist::{Form, Skip};
pub use release::{Release, What};
pub use segment::{Init, Part, PartName, Segment};
