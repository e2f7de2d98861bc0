//! What is shown of a stream's inputs and of the switches between them.

use std::collections::BTreeMap;

use failover::{State, Switch};
use serde::Serialize;
use utoipa::ToSchema;

use crate::runtime::{LastError, Line, Stream};

/// How one input is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InputView {
    id: String,
    /// `active` feeds the programme, `ready` could, `fault` cannot.
    state: &'static str,
    /// What is wrong: `absent`, `closed`, `starting`, `silent`, `track_silent`, `no_keyframe`,
    /// `frozen`, `damaged`. What is damaged delivers: it is `active` or `ready` all the same.
    fault: Option<&'static str>,
    /// Unix milliseconds since when it has been without fault, damaged, or at another fault.
    since_ms: i64,
    /// The silence that is a fault, as learned from its arrivals.
    silent_after_ms: Option<i64>,
    /// Who feeds it.
    peer: Option<String>,
    /// How who pushes it does so: `rtmp` or `srt`.
    protocol: Option<&'static str>,
    /// Seconds since it was connected.
    uptime_s: Option<u64>,
    fps: Option<f64>,
    bitrate_kbps: Option<u64>,
    /// The last distance between two keyframes.
    keyframe_interval_ms: Option<u64>,
    /// Connections that it has had.
    sessions: u64,
    /// Bytes that it has sent.
    bytes: u64,
    /// Timestamps that had to be mended.
    repairs: u64,
    /// Messages and frames that were left out.
    ignored: u64,
    /// Times that its source lost media.
    losses: u64,
    /// What its protocol and container count, of the present connection: `srt_rtt_us`,
    /// `srt_lost_packets`, `cc_errors`, …
    counters: BTreeMap<&'static str, u64>,
    /// Gaps in the continuity counters of its MPEG-TS, by PID, of the present connection.
    cc_errors_by_pid: BTreeMap<u16, u64>,
    /// What went wrong with it, the newest first; kept when it recovers.
    errors: Vec<LastError>,
}

/// One switch of the programme.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SwitchView {
    /// Counts the switches of the stream since it runs.
    number: u64,
    /// Unix milliseconds.
    at_ms: i64,
    /// The input that fed the programme before.
    from: Option<String>,
    to: String,
    /// `available`, `failback`, `manual`, `removed`, `slate`, or the fault of the one before.
    reason: &'static str,
    /// Of free will: the one before still delivered.
    voluntary: bool,
    /// `equal`: both carry the same bytes, nothing is lost or repeated. `overlap`: what it shows goes
    /// on where the one before stopped, as a ladder encodes it anew. `cached`: entered with what
    /// was there of its newest group. `next`: entered at its next random-access point. `clock`: both
    /// tell the time of one clock, nothing is lost and at most a group is repeated.
    class: &'static str,
    /// From the last frame of the one before to the decision.
    detection_ms: i64,
    /// For how long nothing was written to the programme.
    wall_silence_ms: i64,
    /// Media that was there already: at most so much is repeated; with `clock` that is what is repeated.
    replayed_ms: i64,
    /// How far the programme ran ahead of UTC afterwards.
    lead_ms: i64,
    /// Whether a gap in programme time lies before it.
    gap: bool,
}

impl From<&Switch> for SwitchView {
    fn from(switch: &Switch) -> Self {
        Self {
            number: switch.number,
            at_ms: switch.at.as_millis(),
            from: switch.from.as_ref().map(ToString::to_string),
            to: switch.to.to_string(),
            reason: switch.reason.name(),
            voluntary: switch.voluntary,
            class: switch.class.name(),
            detection_ms: switch.detection.as_millis(),
            wall_silence_ms: switch.wall_silence.as_millis(),
            replayed_ms: switch.replayed.as_millis(),
            lead_ms: switch.lead.as_millis(),
            gap: switch.gap,
        }
    }
}

/// How the inputs are, in the order of the configuration.
pub(super) fn inputs(stream: &Stream, state: &State) -> Vec<InputView> {
    let lines = stream.lines();
    lines.iter().map(|line| input(line, state)).collect()
}

fn input(line: &Line, state: &State) -> InputView {
    let seen = state.inputs.iter().find(|i| *i.id == *line.id());
    let fault = seen.and_then(|i| i.fault);
    let is_active = state.active.as_deref() == Some(line.id());
    let holder = line.holder();
    let (totals, rates) = (line.totals(), line.rates());
    let stats = line.stats();
    let figures = stats.as_ref().map(|s| s.figures());
    let counters = figures.iter().flat_map(|f| f.counters.iter().copied());
    let gaps = figures
        .iter()
        .flat_map(|f| f.cc_errors_by_pid.iter().copied());
    InputView {
        id: line.id().to_owned(),
        state: match fault {
            _ if seen.is_none() => "fault",
            Some(fault) if !fault.delivers() => "fault",
            _ if is_active => "active",
            _ => "ready",
        },
        fault: fault.map(failover::Fault::name),
        since_ms: seen.map_or(0, |i| i.since.as_millis()),
        silent_after_ms: seen
            .and_then(|i| i.silent_after)
            .map(media::Span::as_millis),
        peer: holder.as_ref().map(|h| h.peer.to_string()),
        protocol: holder.as_ref().map(|h| h.protocol),
        uptime_s: stats.as_ref().map(|s| s.uptime().as_secs()),
        fps: rates.map(|r| r.fps),
        bitrate_kbps: rates.map(|r| r.bits_per_second / 1000),
        keyframe_interval_ms: figures.as_ref().map(|f| f.keyframe_interval_ms),
        sessions: totals.sessions,
        bytes: totals.bytes,
        repairs: totals.fixes.values().sum(),
        ignored: totals.ignored.values().sum(),
        losses: totals.losses,
        counters: counters.collect(),
        cc_errors_by_pid: gaps.collect(),
        errors: line.errors(),
    }
}
