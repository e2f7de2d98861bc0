//! The packager as a whole: sources of every shape in, what players would see out.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod absence;
mod checker;
mod cues;
mod cuts;
mod dash;
mod in_ts;
mod playlists;
mod random;
mod renditions;
mod restart;
mod source;
