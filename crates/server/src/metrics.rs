//! Prometheus: counters of our own, and what every stream counts, read when it is scraped.
//! So nothing has to be removed when a stream goes, and labels are bounded by the streams.

use http::StatusCode;
use http_media::Figures;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::runtime::{Manager, Status, Stream};

/// What the server itself counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    refused: IntCounterVec,
    http: IntCounterVec,
    pub(crate) http_overload: IntCounter,
    pub(crate) rtmp_sessions: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let refused = IntCounterVec::new(
            Opts::new(
                "weir_rtmp_refused_total",
                "RTMP connections refused, by reason",
            ),
            &["reason"],
        )?;
        let http = IntCounterVec::new(
            Opts::new(
                "weir_http_requests_total",
                "HTTP requests, by kind and status",
            ),
            &["kind", "status"],
        )?;
        let http_overload = IntCounter::new(
            "weir_http_overload_total",
            "HTTP connections closed because there were too many",
        )?;
        let rtmp_sessions = IntGauge::new("weir_rtmp_sessions", "RTMP connections now")?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(http.clone()))?;
        registry.register(Box::new(http_overload.clone()))?;
        registry.register(Box::new(rtmp_sessions.clone()))?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        Ok(Self {
            registry,
            refused,
            http,
            http_overload,
            rtmp_sessions,
        })
    }

    pub(crate) fn refused(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    pub(crate) fn http(&self, kind: &str, status: StatusCode) {
        self.http.with_label_values(&[kind, status.as_str()]).inc();
    }

    /// The whole page.
    pub(crate) fn render(&self, manager: &Manager) -> String {
        let mut families = self.registry.gather();
        families.extend(Streams::default().read(manager));
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&families, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Families with a line per stream.
#[derive(Default)]
struct Streams {
    families: Vec<MetricFamily>,
}

impl Streams {
    fn read(mut self, manager: &Manager) -> Vec<MetricFamily> {
        let degraded = f64::from(u8::from(manager.ledger.is_degraded()));
        self.gauge(
            "weir_database_degraded",
            "Whether the last write to the database failed",
            &[],
            degraded,
        );
        let streams = manager.all();
        self.gauge(
            "weir_streams",
            "Streams that run",
            &[],
            count(streams.len() as u64),
        );
        for stream in &streams {
            self.stream(stream);
        }
        self.families
    }

    fn stream(&mut self, stream: &Stream) {
        let name = [("stream", stream.name())];
        let live = f64::from(u8::from(stream.status() == Status::Live));
        self.gauge("weir_stream_live", "Whether media flows", &name, live);
        let output = stream.output.figures();
        self.gauge(
            "weir_http_viewers",
            "HTTP viewers: (address, agent) seen within three target durations",
            &name,
            count(output.viewers),
        );
        self.ingest(stream, &name);
        self.hub(stream, &name);
        self.timeline(stream, &name);
        self.packager(stream, &name);
        self.output(&output, &name);
    }

    fn ingest(&mut self, stream: &Stream, name: &[(&str, &str)]) {
        let Some((f, up)) = stream.figures() else {
            return;
        };
        self.counter(
            "weir_ingest_bytes_total",
            "Bytes read from the present or last publisher",
            name,
            f.bytes,
        );
        let label = name.first().map_or("", |(_, v)| *v);
        for (kind, frames) in [("video", f.video_frames), ("audio", f.audio_frames)] {
            let labels = [("stream", label), ("kind", kind)];
            self.counter(
                "weir_ingest_frames_total",
                "Frames of the present or last publisher",
                &labels,
                frames,
            );
        }
        let live = stream.holder().is_some();
        let fps = if live {
            count(f.video_frames) / up.as_secs_f64().max(0.001)
        } else {
            0.0
        };
        self.gauge(
            "weir_ingest_fps",
            "Mean picture rate of the present publisher",
            name,
            fps,
        );
        self.gauge(
            "weir_ingest_keyframe_interval_seconds",
            "The last distance between two keyframes",
            name,
            count(f.keyframe_interval_ms) / 1e3,
        );
        for (kind, n) in f.fixes {
            let labels = [("stream", label), ("kind", kind)];
            self.counter(
                "weir_ingest_timestamp_repairs_total",
                "Timestamps mended, by kind",
                &labels,
                n,
            );
        }
        let ignored = f.ignored.iter().map(|(_, n)| n).sum();
        self.counter(
            "weir_ingest_ignored_total",
            "Messages and frames left out",
            name,
            ignored,
        );
    }

    fn hub(&mut self, stream: &Stream, name: &[(&str, &str)]) {
        let Some(c) = stream.hub_counters() else {
            return;
        };
        self.gauge(
            "weir_hub_subscribers",
            "Readers of the programme",
            name,
            count(c.subscribers),
        );
        self.gauge(
            "weir_hub_held_bytes",
            "Payload bytes that the programme holds",
            name,
            count(c.held_bytes),
        );
        self.counter(
            "weir_hub_frames_total",
            "Frames pushed to the programme",
            name,
            c.frames,
        );
        self.counter(
            "weir_hub_delivered_frames_total",
            "Frames handed to readers",
            name,
            c.delivered,
        );
        self.counter(
            "weir_hub_skips_total",
            "Readers moved on to the newest group",
            name,
            c.skips,
        );
        self.counter(
            "weir_hub_skipped_frames_total",
            "Frames that readers missed by that",
            name,
            c.skipped_frames,
        );
        self.counter(
            "weir_hub_evicted_frames_total",
            "Frames that left the window",
            name,
            c.evicted,
        );
        self.counter(
            "weir_hub_refused_frames_total",
            "Frames refused for want of a keyframe",
            name,
            c.refused,
        );
    }

    fn timeline(&mut self, stream: &Stream, name: &[(&str, &str)]) {
        let shown = stream.shown();
        let c = shown.timeline();
        self.gauge(
            "weir_timeline_lead_seconds",
            "How far the programme runs ahead of UTC",
            name,
            shown.lead_seconds(),
        );
        self.counter(
            "weir_timeline_gaps_total",
            "Silences longer than a segment",
            name,
            c.declared_gaps,
        );
        self.counter(
            "weir_timeline_dropped_frames_total",
            "Frames too far ahead of UTC, or before what the programme holds",
            name,
            c.too_fast + c.overlapped,
        );
    }

    fn packager(&mut self, stream: &Stream, name: &[(&str, &str)]) {
        let c = stream.shown().counters();
        self.counter(
            "weir_packager_segments_total",
            "Segments completed, over all tracks",
            name,
            c.segments,
        );
        self.counter(
            "weir_packager_parts_total",
            "Parts released, over all tracks",
            name,
            c.parts,
        );
        self.counter(
            "weir_packager_forced_cuts_total",
            "Segments begun without a keyframe",
            name,
            c.forced_cuts,
        );
        self.counter(
            "weir_packager_holds_total",
            "Times the playlists were frozen for want of media",
            name,
            c.holds,
        );
        self.counter(
            "weir_packager_jumps_total",
            "Times the playlists went on beyond a hole",
            name,
            c.jumps,
        );
        self.counter(
            "weir_packager_discontinuities_total",
            "Discontinuities",
            name,
            c.discontinuities,
        );
        self.counter(
            "weir_packager_dropped_frames_total",
            "Frames that could not be placed",
            name,
            c.dropped,
        );
        self.counter(
            "weir_packager_silent_frames_total",
            "Frames of silence filled in",
            name,
            c.silent_frames,
        );
    }

    fn output(&mut self, f: &Figures, name: &[(&str, &str)]) {
        self.counter(
            "weir_http_media_bytes_total",
            "Bytes of segments and parts handed to sockets",
            name,
            f.bytes,
        );
        self.counter(
            "weir_http_playlist_renders_total",
            "Playlists rendered",
            name,
            f.renders,
        );
        self.gauge(
            "weir_http_blocked_requests",
            "Requests that wait for media",
            name,
            count(f.blocked),
        );
        let mut histogram = Histogram::default();
        let mut sum = 0;
        let mut buckets = Vec::with_capacity(f.release.len());
        for (bound, n) in &f.release {
            sum += n;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(sum);
            buckets.push(bucket);
        }
        histogram.set_bucket(buckets);
        histogram.set_sample_count(sum);
        histogram.set_sample_sum(f.release_sum);
        let mut metric = labelled(name);
        metric.set_histogram(histogram);
        let help = "From the arrival of a change's last frame to its publication";
        self.add(
            "weir_release_latency_seconds",
            help,
            MetricType::HISTOGRAM,
            metric,
        );
    }

    fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = labelled(labels);
        metric.set_gauge(gauge);
        self.add(name, help, MetricType::GAUGE, metric);
    }

    fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        let mut counter = Counter::default();
        counter.set_value(count(value));
        let mut metric = labelled(labels);
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metric: Metric) {
        if let Some(family) = self.families.iter_mut().find(|f| f.name() == name) {
            family.mut_metric().push(metric);
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(vec![metric]);
        self.families.push(family);
    }
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

/// Prometheus counts in floating point.
#[expect(
    clippy::cast_precision_loss,
    reason = "the text format has no integers"
)]
fn count(n: u64) -> f64 {
    n as f64
}
