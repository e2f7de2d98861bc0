//! What is shown of a stream beside its configuration.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use media::Track;
use serde::Serialize;
use serde_json::Value;
use store::Record;
use utoipa::ToSchema;

use super::document::StreamWritten;
use super::failing::{InputView, SwitchView, inputs};
use super::pushing::{PushView, pushes};
use super::transcoding::TranscoderView;
use crate::http_server::Scheme;
use crate::model::{Definition, StreamConfig};
use crate::runtime::{LastError, Manager, Ports, Protocol, Status, Stream};

/// A stream: what was written, then what the server adds. The additions are ignored on write.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resource {
    #[serde(flatten)]
    #[schema(value_type = StreamWritten)]
    written: Value,
    /// What holds: every default written out.
    #[schema(value_type = StreamConfig)]
    effective: Value,
    runtime: Runtime,
    /// `config`, or `runtime` where an encoder made it of a template.
    source: &'static str,
    urls: Urls,
    /// Grows with every change of the configuration.
    version: i64,
    /// Unix milliseconds.
    created_ms: i64,
    /// Unix milliseconds.
    updated_ms: i64,
}

/// What a stream is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Runtime {
    status: Status,
    /// Seconds since the active input was connected.
    uptime_s: Option<u64>,
    /// The address of who publishes the active input.
    publisher: Option<String>,
    /// The input that feeds the programme.
    input: Option<String>,
    /// The input that it is held on by hand.
    pinned: Option<String>,
    /// Whether the slate is shown.
    slate: bool,
    /// How each input is.
    inputs: Vec<InputView>,
    /// How each push is.
    push: Vec<PushView>,
    /// How far the programme runs ahead of UTC.
    lead_ms: i64,
    /// The last 50 switches, the newest first.
    switches: Vec<SwitchView>,
    /// What the programme is made of, or was last.
    tracks: Vec<TrackView>,
    /// Pictures per second of late.
    fps: Option<f64>,
    /// Rate of late, as read from the active input.
    bitrate_kbps: Option<u64>,
    /// The last distance between two keyframes.
    keyframe_interval_ms: Option<u64>,
    /// HTTP viewers: (address, agent) seen within three target durations.
    viewers: u64,
    /// RTMP players.
    rtmp_players: usize,
    /// SRT players.
    srt_players: usize,
    /// HTTP-TS players.
    http_ts_players: usize,
    /// The number of the newest segment.
    segment: Option<u64>,
    /// How its ladder is doing, where it has one.
    transcoder: Option<TranscoderView>,
    /// What went wrong last, with a publisher or with its media.
    last_error: Option<LastError>,
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
    /// As the publisher tells it, ISO 639 or BCP 47.
    language: Option<String>,
    label: Option<String>,
}

/// Addresses of a stream, as seen from where the client asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Urls {
    publish: Vec<PublishUrl>,
    play: PlayUrls,
}

/// Where an encoder reaches one input. `KEY` stands for a key that is not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublishUrl {
    input: String,
    /// Absent where RTMP is off.
    rtmp: Option<String>,
    /// Absent where there is no certificate.
    rtmps: Option<String>,
    /// Absent where SRT is off. With a passphrase it is called with that, too.
    srt: Option<String>,
}

/// Where players reach a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlayUrls {
    page: String,
    hls: String,
    /// HLS in MPEG-TS. Absent where `hls.container` is `cmaf`.
    hls_ts: Option<String>,
    dash: String,
    /// MPEG-TS over HTTP.
    mpegts: String,
    /// Absent where RTMP is off.
    rtmp: Option<String>,
    /// Absent where there is no certificate.
    rtmps: Option<String>,
    /// Absent where SRT is off. With a passphrase it is called with that, too.
    srt: Option<String>,
}

/// One page of streams.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page {
    /// The streams, by name.
    pub(crate) items: Vec<Resource>,
    /// Pass it as `cursor` for the next page; null at the end.
    pub(crate) next: Option<String>,
}

/// How the client reached us: the host it named.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    scheme: &'static str,
    authority: String,
}

impl<S: Sync> FromRequestParts<S> for Authority {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|v| v.to_str().ok());
        // HTTP/2 has it in the address.
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let scheme = parts.extensions.get::<Scheme>();
        Ok(Self {
            scheme: scheme.map_or("http", |s| s.0),
            authority: host.unwrap_or("localhost").to_owned(),
        })
    }
}

impl Authority {
    fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }
}

/// Who looks, and whether keys are shown.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) authority: Authority,
    pub(super) reveal: bool,
}

impl Viewer {
    pub(super) fn stream(
        &self,
        manager: &Manager,
        record: &Record,
        definition: &Definition,
    ) -> Resource {
        let config = definition.config();
        let running = manager.get(&config.name);
        Resource {
            written: definition.shown(self.reveal),
            effective: definition.effective(self.reveal),
            runtime: runtime(running.as_deref()),
            source: if record.version > 0 {
                "config"
            } else {
                "runtime"
            },
            urls: self.urls(config, manager.ports),
            version: record.version,
            created_ms: record.created_ms,
            updated_ms: record.updated_ms,
        }
    }

    fn urls(&self, config: &StreamConfig, ports: Ports) -> Urls {
        let Authority { scheme, authority } = &self.authority;
        let name = &config.name;
        let rtmp = |key| {
            ports
                .rtmp
                .map(|port| self.rtmp(("rtmp", 1935), name, key, port))
        };
        let rtmps = |key| {
            ports
                .rtmps
                .map(|port| self.rtmp(("rtmps", 443), name, key, port))
        };
        let srt = |id: String| {
            let port = ports.srt?;
            Some(format!(
                "srt://{}:{port}?streamid={id}",
                self.authority.host()
            ))
        };
        let publish = config
            .inputs
            .iter()
            .filter(|i| i.url == "publish://")
            .map(|input| PublishUrl {
                input: input.id.clone(),
                rtmp: rtmp(input.key.as_deref()),
                rtmps: rtmps(input.key.as_deref()),
                srt: srt(self.stream_id(name, input.key.as_deref())),
            });
        Urls {
            publish: publish.collect(),
            play: PlayUrls {
                page: format!("{scheme}://{authority}/{name}/"),
                hls: format!("{scheme}://{authority}/{name}/index.m3u8"),
                hls_ts: (config.container() != http_media::Container::Cmaf)
                    .then(|| format!("{scheme}://{authority}/{name}/ts.m3u8")),
                dash: format!("{scheme}://{authority}/{name}/index.mpd"),
                mpegts: format!("{scheme}://{authority}/{name}/mpegts"),
                rtmp: rtmp(None),
                rtmps: rtmps(None),
                srt: srt(format!("read:{name}")),
            },
        }
    }

    /// What an encoder calls with.
    fn stream_id(&self, name: &str, key: Option<&str>) -> String {
        match key {
            None => format!("publish:{name}"),
            Some(key) if self.reveal => format!("publish:{name}:{}", in_query(key)),
            Some(_) => format!("publish:{name}:KEY"),
        }
    }

    fn rtmp(
        &self,
        (scheme, usual): (&str, u16),
        name: &str,
        key: Option<&str>,
        port: u16,
    ) -> String {
        let host = self.authority.host();
        let port = if port == usual {
            String::new()
        } else {
            format!(":{port}")
        };
        let query = match key {
            None => String::new(),
            Some(key) if self.reveal => format!("?key={}", in_query(key)),
            Some(_) => "?key=KEY".to_owned(),
        };
        format!("{scheme}://{host}{port}/live/{name}{query}")
    }
}

fn in_query(text: &str) -> impl std::fmt::Display {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
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
        frame_rate,
        sample_rate: audio.map(|a| a.sample_rate),
        channels: audio.map(|a| a.channels),
        language: t.language.clone(),
        label: t.label.clone(),
    }
}

fn runtime(stream: Option<&Stream>) -> Runtime {
    let Some(stream) = stream else {
        return Runtime::disabled();
    };
    let state = stream.programme().state();
    let active = stream.active();
    let holder = active.as_ref().and_then(|line| line.holder());
    let live = holder
        .as_ref()
        .map(|h| (h.stats.figures(), h.stats.uptime()));
    let rates = active.and_then(|line| line.rates());
    let snapshot = stream.output.snapshot();
    let lead = snapshot.media.first();
    let frame_rate = |t: &Track| {
        let mut media = snapshot.media.iter();
        media.find(|m| m.track.id == t.id)?.frame_rate
    };
    let tracks = stream.tracks();
    let metadata = live.as_ref().map(|(f, _)| (*f.description).clone());
    Runtime {
        status: stream.status(),
        uptime_s: live.as_ref().map(|(_, up)| up.as_secs()),
        publisher: holder.as_ref().map(|h| h.peer.to_string()),
        input: state.active.as_ref().map(ToString::to_string),
        pinned: state.pinned.as_ref().map(ToString::to_string),
        slate: state.slate,
        inputs: inputs(stream, &state),
        push: pushes(stream),
        lead_ms: stream.programme().lead().as_millis(),
        switches: state.history.iter().rev().map(SwitchView::from).collect(),
        tracks: tracks.iter().map(|t| track(t, frame_rate(t))).collect(),
        fps: rates.map(|r| r.fps),
        bitrate_kbps: rates.map(|r| r.bits_per_second / 1000),
        keyframe_interval_ms: live.map(|(f, _)| f.keyframe_interval_ms),
        viewers: stream.output.figures().viewers,
        rtmp_players: stream.players().now(Protocol::Rtmp),
        srt_players: stream.players().now(Protocol::Srt),
        http_ts_players: stream.players().now(Protocol::HttpTs),
        segment: lead.and_then(|m| m.edge()).map(|edge| edge.msn),
        transcoder: stream.transcoding().map(TranscoderView::from),
        last_error: stream.last_error(),
        metadata: metadata.filter(|m| !m.is_empty()),
    }
}

impl Runtime {
    const fn disabled() -> Self {
        Self {
            status: Status::Disabled,
            uptime_s: None,
            publisher: None,
            input: None,
            pinned: None,
            slate: false,
            inputs: Vec::new(),
            push: Vec::new(),
            lead_ms: 0,
            switches: Vec::new(),
            tracks: Vec::new(),
            fps: None,
            bitrate_kbps: None,
            keyframe_interval_ms: None,
            viewers: 0,
            rtmp_players: 0,
            srt_players: 0,
            http_ts_players: 0,
            segment: None,
            transcoder: None,
            last_error: None,
            metadata: None,
        }
    }
}

/// The entity tag of a configuration; a name that was deleted and made anew has another one.
pub(crate) fn etag(record: &Record) -> String {
    format!("\"{}-{}\"", record.created_ms, record.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(authority: &str, key: Option<&str>, reveal: bool, port: u16) -> String {
        let authority = Authority {
            scheme: "http",
            authority: authority.to_owned(),
        };
        Viewer { authority, reveal }.rtmp(("rtmp", 1935), "a/b", key, port)
    }

    #[test]
    fn publish_urls_say_host_port_and_key() {
        let hidden = publish("example.org:8080", Some("k 1&"), false, 1935);
        assert_eq!(hidden, "rtmp://example.org/live/a/b?key=KEY");
        let shown = publish("[::1]:8080", Some("k 1&"), true, 1936);
        assert_eq!(shown, "rtmp://[::1]:1936/live/a/b?key=k%201%26");
        assert_eq!(publish("[::1]", None, true, 1935), "rtmp://[::1]/live/a/b");
    }
}
