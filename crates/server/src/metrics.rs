//! What the server itself counts, and the page that Prometheus scrapes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use http::StatusCode;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use srt::PortStats;

use crate::door::Reject;
use crate::families::Families;
use crate::runtime::{Manager, clock_error, lock};
use crate::{event_metrics, logging, stream_metrics};

/// What the server itself counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Requests,
    rtmp: Callers,
    srt: Callers,
    srt_port: OnceLock<Arc<PortStats>>,
    pub(crate) http_connections: IntGauge,
    pub(crate) http_refused: IntCounter,
    pub(crate) http_stalled: IntCounter,
    pub(crate) tls_loads: IntCounterVec,
}

/// How many came and found no room.
pub(crate) struct TurnedAway {
    pub(crate) rtmp: u64,
    pub(crate) srt: u64,
    pub(crate) http: u64,
}

/// Encoders and players by one protocol.
#[derive(Debug)]
struct Callers {
    sessions: IntGauge,
    refused: IntCounterVec,
}

impl Callers {
    fn new(
        (sessions, sessions_help): (&str, &str),
        (refused, refused_help): (&str, &str),
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let refused = Opts::new(refused, refused_help);
        let callers = Self {
            sessions: IntGauge::new(sessions, sessions_help)?,
            refused: IntCounterVec::new(refused, &["reason"])?,
        };
        registry.register(Box::new(callers.refused.clone()))?;
        registry.register(Box::new(callers.sessions.clone()))?;
        Ok(callers)
    }

    /// Those for whom there was no room.
    fn turned_away(&self) -> u64 {
        let overload = &[Reject::Overload.name()];
        self.refused.with_label_values(overload).get()
    }
}

/// One more, as long as it lives.
#[derive(Debug)]
pub(crate) struct Open(IntGauge);

impl Open {
    pub(crate) fn one_of(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let rtmp = Callers::new(
            ("weir_rtmp_sessions", "RTMP connections now"),
            (
                "weir_rtmp_refused_total",
                "RTMP connections refused, by reason",
            ),
            &registry,
        )?;
        let srt = Callers::new(
            ("weir_srt_sessions", "SRT connections now"),
            ("weir_srt_refused_total", "SRT callers refused, by reason"),
            &registry,
        )?;
        let tls_loads = Opts::new(
            "weir_tls_certificate_loads_total",
            "Times that a certificate was read or ordered, by result",
        );
        let metrics = Self {
            registry,
            requests: Requests::default(),
            rtmp,
            srt,
            srt_port: OnceLock::new(),
            http_connections: IntGauge::new("weir_http_connections", "HTTP connections now")?,
            http_refused: IntCounter::new(
                "weir_http_refused_total",
                "HTTP connections closed because there were too many",
            )?,
            tls_loads: IntCounterVec::new(tls_loads, &["result"])?,
            http_stalled: IntCounter::new(
                "weir_http_stalled_total",
                "HTTP connections closed because the peer took nothing for too long",
            )?,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        registry.register(Box::new(metrics.http_connections.clone()))?;
        registry.register(Box::new(metrics.http_refused.clone()))?;
        registry.register(Box::new(metrics.http_stalled.clone()))?;
        registry.register(Box::new(metrics.tls_loads.clone()))?;
        Ok(metrics)
    }

    /// What somebody else counts.
    pub(crate) fn register(&self, counters: IntCounterVec) -> prometheus::Result<()> {
        self.registry.register(Box::new(counters))
    }

    /// Connections that were turned away: those of RTMP and of SRT for want of room, and those of
    /// HTTP.
    pub(crate) fn turned_away(&self) -> TurnedAway {
        TurnedAway {
            rtmp: self.rtmp.turned_away(),
            srt: self.srt.turned_away(),
            http: self.http_refused.get(),
        }
    }

    fn callers(&self, protocol: &str) -> &Callers {
        if protocol == "srt" {
            &self.srt
        } else {
            &self.rtmp
        }
    }

    /// A connection of RTMP or SRT, as long as the answer lives.
    pub(crate) fn session(&self, protocol: &str) -> Open {
        Open::one_of(&self.callers(protocol).sessions)
    }

    pub(crate) fn refused(&self, protocol: &str, reason: &str) {
        let refused = &self.callers(protocol).refused;
        refused.with_label_values(&[reason]).inc();
    }

    /// What comes to SRT's port and leads nowhere is counted there.
    pub(crate) fn srt_port(&self, stats: Arc<PortStats>) {
        // The port is opened once.
        let _ = self.srt_port.set(stats);
    }

    pub(crate) fn request(&self, kind: Kind, status: StatusCode) {
        self.requests.count(kind, status);
    }

    /// The whole page; `expires` is when the certificate in use does, in Unix seconds.
    pub(crate) fn render(&self, manager: &Manager, expires: Option<i64>) -> String {
        let mut families = Families::default();
        if let Some(expires) = expires {
            let help = "When the certificate in use ends, in Unix seconds";
            let name = "weir_tls_certificate_expiry_timestamp_seconds";
            families.gauge(name, help, &[], expires as f64);
        }
        self.server(&mut families, manager);
        event_metrics::read(&mut families, manager);
        stream_metrics::read(&mut families, manager);
        let mut all = self.registry.gather();
        all.extend(families.into_inner());
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&all, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    fn server(&self, families: &mut Families, manager: &Manager) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        families.gauge("weir_build_info", "The version that runs", &version, 1.0);
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        families.gauge("weir_tasks", "Tasks of the runtime", &[], tasks as f64);
        let help = "How far the system's clock is ahead of the one that media goes by";
        let error = clock_error().as_secs_f64();
        families.gauge("weir_clock_error_seconds", help, &[], error);
        let panics = "Defects of ours; each cost a request, a session or a moment of one stream";
        families.counter("weir_panics_total", panics, &[], logging::panics());
        let degraded = f64::from(u8::from(manager.ledger.is_degraded()));
        let help = "Whether the last write to the database failed";
        families.gauge("weir_database_degraded", help, &[], degraded);
        self.requests.read(families);
        if let Some(port) = self.srt_port.get() {
            let help = "Datagrams to SRT's port that led nowhere";
            for (reason, count) in [
                ("stray", &port.strays),
                ("overflow", &port.overflows),
                ("cookie", &port.cookies),
            ] {
                let labels = [("reason", reason)];
                let name = "weir_srt_ignored_datagrams_total";
                families.counter(name, help, &labels, count.load(Relaxed));
            }
            let help = "Handshakes that SRT's port refused before anybody was asked, by reason";
            for (reason, count) in &*lock(&port.refused) {
                let name = "weir_srt_turned_away_total";
                families.counter(name, help, &[("reason", reason)], *count);
            }
        }
    }
}

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Api,
    Playlist,
    Media,
    Ops,
    Page,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Api,
        Self::Playlist,
        Self::Media,
        Self::Ops,
        Self::Page,
    ];

    pub(crate) fn of(path: &str) -> Self {
        match path {
            p if p.starts_with("/api/") => Self::Api,
            p if p.ends_with(".m3u8") || p.ends_with(".mpd") => Self::Playlist,
            p if [".m4s", ".mp4", ".ts", "/mpegts"]
                .iter()
                .any(|end| p.ends_with(end)) =>
            {
                Self::Media
            }
            "/healthz" | "/readyz" | "/metrics" => Self::Ops,
            _ => Self::Page,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Playlist => "playlist",
            Self::Media => "media",
            Self::Ops => "ops",
            Self::Page => "page",
        }
    }
}

/// From 100 to 599.
const STATUSES: usize = 500;

/// Counts by kind and status without a lock: every part that is fetched passes here.
#[derive(Debug)]
struct Requests(Vec<AtomicU64>);

impl Default for Requests {
    fn default() -> Self {
        let places = Kind::ALL.len() * STATUSES;
        Self((0..places).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Requests {
    fn count(&self, kind: Kind, status: StatusCode) {
        let place = kind as usize * STATUSES + usize::from(status.as_u16()).saturating_sub(100);
        if let Some(counter) = self.0.get(place) {
            counter.fetch_add(1, Relaxed);
        }
    }

    fn read(&self, families: &mut Families) {
        for (place, counter) in self.0.iter().enumerate() {
            let n = counter.load(Relaxed);
            if n > 0 {
                let kind = Kind::ALL[place / STATUSES].name();
                let status = (place % STATUSES + 100).to_string();
                let labels = [("kind", kind), ("status", status.as_str())];
                let help = "HTTP requests, by kind and status";
                families.counter("weir_http_requests_total", help, &labels, n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind_and_status() {
        let requests = Requests::default();
        requests.count(Kind::of("/news/v0.m3u8"), StatusCode::OK);
        requests.count(Kind::of("/news/v0_7.3.m4s"), StatusCode::NOT_FOUND);
        requests.count(Kind::of("/news/v0_8.m4s"), StatusCode::NOT_FOUND);
        let mut families = Families::default();
        requests.read(&mut families);
        let text = TextEncoder::new()
            .encode_to_string(&families.into_inner())
            .unwrap();
        assert!(
            text.contains(r#"{kind="playlist",status="200"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"{kind="media",status="404"} 2"#), "{text}");
    }
}
