//! What is shown of a ladder, and what this machine can encode with.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use transcode::RungState;
use utoipa::ToSchema;

use super::{Api, Problem};
use crate::runtime::Transcoding;

/// How a stream's ladder is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TranscoderView {
    /// `starting`, `running`, or `backing_off`: workers fail as soon as they start.
    state: &'static str,
    /// The worker's process.
    pid: Option<u32>,
    /// Workers that ended since the stream runs.
    restarts: u64,
    /// How the last of them ended.
    last_ended: Option<String>,
    /// What a worker said last of what is wrong.
    last_warning: Option<String>,
    /// Media is away: the last picture is held and silence filled in.
    held: bool,
    /// The machine is too slow for this ladder: groups of the input were left out of late.
    overloaded: bool,
    /// Frames of the input that were left out for that, ever.
    skipped_frames: u64,
    /// How far the renditions lag behind the input.
    lag_ms: i64,
    /// Media seconds that come out per second; 1 is as fast as needed.
    speed: f64,
    /// Access units that wait to be decoded.
    queue: u64,
    /// Access units that could not be decoded, by the present worker.
    undecodable: u64,
    /// Every rendition that is encoded.
    renditions: Vec<RungView>,
}

/// One rendition that is encoded.
#[derive(Debug, Serialize, ToSchema)]
struct RungView {
    name: String,
    /// `video` or `audio`.
    kind: &'static str,
    width: Option<u32>,
    height: Option<u32>,
    /// Frames per second of late.
    fps: f64,
    /// Rate of late.
    bitrate_kbps: u64,
    /// Frames ever.
    frames: u64,
    /// Pictures, or samples of sound, that were held or filled in by the present worker.
    held: u64,
    /// Pictures that wait to be encoded.
    queue: u64,
}

impl From<&Transcoding> for TranscoderView {
    fn from(transcoding: &Transcoding) -> Self {
        let state = transcoding.state();
        Self {
            state: state.phase.name(),
            pid: state.pid,
            restarts: state.restarts.iter().map(|(_, n)| n).sum(),
            last_ended: state.last_ended,
            last_warning: state.last_warning,
            held: state.held,
            overloaded: state.overloaded,
            skipped_frames: state.skipped_frames,
            lag_ms: state.lag.as_millis(),
            speed: rounded(state.speed),
            queue: state.health.queue,
            undecodable: state.health.undecodable,
            renditions: state.rungs.into_iter().map(RungView::from).collect(),
        }
    }
}

impl From<RungState> for RungView {
    fn from(rung: RungState) -> Self {
        let is_video = matches!(rung.output, ladder::Output::Video(_));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate in kilobits"
        )]
        let bitrate_kbps = (rung.bits_per_second / 1e3).round() as u64;
        Self {
            name: rung.name,
            kind: if is_video { "video" } else { "audio" },
            width: rung.size.map(|(width, _)| width),
            height: rung.size.map(|(_, height)| height),
            fps: rounded(rung.frames_per_second),
            bitrate_kbps,
            frames: rung.frames,
            held: rung.held,
            queue: rung.queue,
        }
    }
}

fn rounded(n: f64) -> f64 {
    (n * 100.0).round() / 100.0
}

/// What this machine can encode with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CapabilitiesView {
    /// Version of libavcodec.
    libavcodec: String,
    /// Encoders, each of which was opened and made to encode.
    encoders: Vec<EncoderView>,
    /// Codecs that inputs may have.
    decoders: Vec<String>,
    /// Hardware devices, each of which was opened. No rung uses one yet.
    devices: Vec<DeviceView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct EncoderView {
    /// As rungs name it.
    codec: String,
    /// The encoder in libavcodec.
    encoder: String,
    available: bool,
    /// Why not.
    reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DeviceView {
    kind: String,
    available: bool,
    /// Why not.
    reason: Option<String>,
}

impl From<ladder::Capabilities> for CapabilitiesView {
    fn from(found: ladder::Capabilities) -> Self {
        let encoders = found.encoders.into_iter().map(|e| EncoderView {
            codec: e.codec,
            encoder: e.name,
            available: e.unavailable.is_none(),
            reason: e.unavailable,
        });
        let devices = found.devices.into_iter().map(|d| DeviceView {
            kind: d.kind,
            available: d.unavailable.is_none(),
            reason: d.unavailable,
        });
        Self {
            libavcodec: found.libavcodec,
            encoders: encoders.collect(),
            decoders: found.decoders,
            devices: devices.collect(),
        }
    }
}

/// What ladders can be made here: every encoder and device is tried once, when it is first asked.
#[utoipa::path(get, path = "/transcoder/capabilities", operation_id = "transcoder_capabilities", tag = "streams", responses(
    (status = 200, body = CapabilitiesView)))]
pub(super) async fn capabilities(
    State(api): State<Api>,
) -> Result<Json<CapabilitiesView>, Problem> {
    let found = api.manager.capabilities().await?;
    Ok(Json(ladder::Capabilities::clone(&found).into()))
}
