//! Bytes to frames and frames to bytes: FLV tags, MPEG-TS, fragmented MP4, and the
//! framing between processes of ours; and what every source's frames
//! pass on their way to a broadcast.
//!
//! Pure: no clock, no socket, no file. Parsers of outside bytes never panic and never allocate by
//! a length that a peer wrote.

pub mod flv;
pub mod fmp4;
pub mod ingest;
pub mod ts;
mod units;
pub mod wire;
