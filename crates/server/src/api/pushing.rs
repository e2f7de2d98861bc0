//! What is shown of where a stream is pushed to.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::runtime::{LastError, Outlet, PushPhase, Stream, millis};

/// How one push is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushView {
    id: String,
    state: PushPhase,
    /// Unix milliseconds since when it is in this state.
    since_ms: i64,
    /// Unix milliseconds since when the far end takes media.
    connected_ms: Option<i64>,
    /// Tries since it last was well for 30 s, with the present one.
    attempt: u32,
    /// When it is tried again.
    retry_in_ms: Option<u64>,
    /// Times that the far end took media.
    connections: u64,
    /// Bytes that were sent, over all connections.
    bytes: u64,
    /// Times that the far end was too slow and was sent the newest group next.
    skips: u64,
    /// Frames that it did not get by that.
    skipped_frames: u64,
    /// Tracks that its protocol does not carry, or that it does not take.
    left_out: Vec<LeftOut>,
    /// What its protocol counts: `srt_rtt_us`, `srt_lost_packets`, …
    counters: BTreeMap<&'static str, u64>,
    /// Times that it failed.
    failures: u64,
    /// What went wrong with it, the newest first; kept when it recovers.
    errors: Vec<LastError>,
}

/// A track that a far end does not get.
#[derive(Debug, Serialize, ToSchema)]
struct LeftOut {
    id: u16,
    kind: &'static str,
    codec: &'static str,
}

/// Where a stream is pushed to, in the order of the configuration.
pub(super) fn pushes(stream: &Stream) -> Vec<PushView> {
    let outlets = stream.pushes().all();
    outlets.iter().map(|outlet| push(outlet)).collect()
}

fn push(outlet: &Outlet) -> PushView {
    let now = outlet.figures();
    let left_out = now.sent.left_out.iter().map(|track| LeftOut {
        id: track.id.0,
        kind: track.kind.name(),
        codec: track.config.name(),
    });
    PushView {
        id: outlet.id().to_owned(),
        state: now.phase,
        since_ms: now.since_ms,
        connected_ms: (now.phase == PushPhase::Pushing).then_some(now.since_ms),
        attempt: now.attempt,
        retry_in_ms: now.retry_in.map(millis),
        connections: now.connections,
        bytes: now.sent.bytes,
        skips: now.sent.skips,
        skipped_frames: now.sent.skipped_frames,
        left_out: left_out.collect(),
        counters: now.sent.counters,
        failures: now.failures,
        errors: now.errors,
    }
}
