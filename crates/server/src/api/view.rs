//! What is shown of a stream beside its configuration.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header;
use media::{Track, TrackKind};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::model::{self, StreamConfig};
use crate::runtime::{Manager, Status, Stream};
use store::StreamRecord;

/// What a stream is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Runtime {
    status: Status,
    /// Seconds since the present publisher came.
    uptime_s: Option<u64>,
    /// The publisher's address.
    publisher: Option<String>,
    /// The input that it publishes.
    input: Option<String>,
    tracks: Vec<TrackView>,
    /// Mean rate of the session, in bits per second.
    bitrate_bps: Option<u64>,
    /// The last distance between two keyframes.
    keyframe_interval_ms: Option<u64>,
    /// HTTP viewers: (address, agent) seen within three target durations.
    viewers: u64,
    /// The number of the newest segment.
    segment: Option<u64>,
    /// Why the last session failed.
    last_error: Option<String>,
    /// `onMetaData` of the publisher.
    metadata: Option<BTreeMap<String, String>>,
}

/// A track as its headers tell.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrackView {
    id: u16,
    kind: &'static str,
    codec: &'static str,
    /// RFC 6381.
    codecs: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: Option<f64>,
    sample_rate: Option<u32>,
    channels: Option<u16>,
}

/// One page of streams.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page {
    /// The streams, by name.
    #[schema(value_type = Vec<StreamConfig>)]
    pub(crate) items: Vec<Value>,
    /// Pass it as `cursor` for the next page; null at the end.
    pub(crate) next: Option<String>,
}

fn track(t: &Track, frame_rate: Option<f64>) -> TrackView {
    let video = t.config.video();
    let audio = t.config.audio();
    TrackView {
        id: t.id.0,
        kind: t.kind.name(),
        codec: t.config.name(),
        codecs: t.config.rfc6381(),
        width: video.map(|v| v.width),
        height: video.map(|v| v.height),
        frame_rate: frame_rate.filter(|_| t.kind == TrackKind::Video),
        sample_rate: audio.map(|a| a.sample_rate),
        channels: audio.map(|a| a.channels),
    }
}

fn runtime(stream: Option<&Stream>) -> Runtime {
    let status = stream.map_or(Status::Disabled, Stream::status);
    let holder = stream.and_then(Stream::holder);
    let figures = stream.and_then(Stream::figures);
    let live = figures.as_ref().filter(|_| holder.is_some());
    let snapshot = stream.map(|s| s.output.snapshot());
    let rate = snapshot.as_ref().and_then(|s| s.media.first()?.frame_rate);
    let segment = snapshot.as_ref().and_then(|s| s.media.first()?.edge());
    let tracks = figures.as_ref().and_then(|(f, _)| f.tracks.clone());
    Runtime {
        status,
        uptime_s: live.map(|(_, up)| up.as_secs()),
        publisher: holder.as_ref().map(|h| h.peer.to_string()),
        input: holder.map(|h| h.input),
        tracks: tracks
            .iter()
            .flat_map(|t| t.iter())
            .map(|t| track(t, rate))
            .collect(),
        bitrate_bps: live.map(|(f, up)| {
            f.bytes * 8_000 / u64::try_from(up.as_millis()).unwrap_or(u64::MAX).max(1)
        }),
        keyframe_interval_ms: live.map(|(f, _)| f.keyframe_interval_ms),
        viewers: stream.map_or(0, |s| s.output.figures().viewers),
        segment: segment.map(|e| e.msn),
        last_error: stream.and_then(Stream::last_error),
        metadata: live.and_then(|(f, _)| f.metadata.as_ref().map(|m| m.members.clone())),
    }
}

/// The resource: what was written, then what the server adds.
pub(crate) fn stream(
    manager: &Manager,
    record: &StreamRecord,
    config: &StreamConfig,
    (reveal, headers): (bool, &HeaderMap),
) -> Value {
    let mut value = model::shown(config, reveal);
    let running = manager.get(&config.name);
    if let Some(members) = value.as_object_mut() {
        let effective = model::shown(&config.effective(), reveal);
        members.insert("effective".to_owned(), effective);
        members.insert("runtime".to_owned(), json!(runtime(running.as_deref())));
        members.insert("urls".to_owned(), urls(&config.name, headers));
        members.insert("version".to_owned(), json!(record.version));
        members.insert("created_ms".to_owned(), json!(record.created_ms));
        members.insert("updated_ms".to_owned(), json!(record.updated_ms));
    }
    value
}

/// Where to publish and where to play, as seen from where the client asked.
fn urls(name: &str, headers: &HeaderMap) -> Value {
    let authority = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let authority = authority.unwrap_or("localhost:8080");
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    json!({
        "publish": { "rtmp": format!("rtmp://{host}/live/{name}?key=…") },
        "play": {
            "page": format!("http://{authority}/{name}/"),
            "hls": format!("http://{authority}/{name}/index.m3u8"),
        },
    })
}

/// The entity tag of a configuration; a name that was deleted and made anew has another one.
pub(crate) fn etag(record: &StreamRecord) -> String {
    format!("\"{}-{}\"", record.created_ms, record.version)
}
