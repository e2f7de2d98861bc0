//! What every stream counts, read when it is scraped. Labels are bounded by the streams.

use http_media::Figures;

use crate::families::{Families, Label, float};
use crate::runtime::{Line, Manager, Protocol, PushPhase, Status, Stream};
use crate::transcoder_metrics;

const LATENCY: &str = "From the arrival of a change's last frame to its publication";
const CHUNKS: &str = "From the arrival of a chunk's last frame to its release to DASH players";

pub(crate) fn read(families: &mut Families, manager: &Manager) {
    let streams = manager.all();
    let running = float(streams.len() as u64);
    families.gauge("weir_streams", "Streams that run", &[], running);
    for stream in &streams {
        let mut page = Page {
            families,
            stream: [("stream", stream.name())],
        };
        page.status(stream);
        page.ingest(stream);
        page.inputs(stream);
        page.hub(stream);
        page.timeline(stream);
        page.packager(stream);
        page.output(&stream.output.figures());
        page.players(stream);
        page.pushes(stream);
        page.remuxing(stream);
        if let Some(transcoding) = stream.transcoding() {
            transcoder_metrics::write(page.families, stream.name(), &transcoding.state());
        }
    }
}

/// What players by one protocol are called, and the families that count them: now, ever, bytes,
/// skips, skipped frames.
type Names = [&'static str; 6];

const RTMP_PLAYERS: Names = [
    "RTMP",
    "weir_rtmp_players",
    "weir_rtmp_players_total",
    "weir_rtmp_sent_bytes_total",
    "weir_rtmp_skips_total",
    "weir_rtmp_skipped_frames_total",
];
const HTTP_TS_PLAYERS: Names = [
    "HTTP-TS",
    "weir_http_ts_players",
    "weir_http_ts_players_total",
    "weir_http_ts_sent_bytes_total",
    "weir_http_ts_skips_total",
    "weir_http_ts_skipped_frames_total",
];
const SRT_PLAYERS: Names = [
    "SRT",
    "weir_srt_players",
    "weir_srt_players_total",
    "weir_srt_sent_bytes_total",
    "weir_srt_skips_total",
    "weir_srt_skipped_frames_total",
];

/// One stream's lines.
struct Page<'a> {
    families: &'a mut Families,
    stream: [Label<'a>; 1],
}

impl Page<'_> {
    fn status(&mut self, stream: &Stream) {
        let live = f64::from(u8::from(stream.status() == Status::Live));
        let held = f64::from(u8::from(stream.status() == Status::Hold));
        self.gauges([
            ("weir_stream_live", "Whether media flows", live),
            (
                "weir_stream_hold",
                "Whether media is away and the last playlists are served",
                held,
            ),
        ]);
    }

    fn ingest(&mut self, stream: &Stream) {
        let sent = stream.totals();
        self.counters([
            (
                "weir_ingest_sessions_total",
                "Publishers that were let in",
                sent.sessions,
            ),
            (
                "weir_ingest_bytes_total",
                "Bytes read from publishers",
                sent.bytes,
            ),
            (
                "weir_ingest_keyframes_total",
                "Pictures at which decoding can begin",
                sent.keyframes,
            ),
            (
                "weir_ingest_losses_total",
                "Times that a source lost media",
                sent.losses,
            ),
        ]);
        let frames = [("video", sent.video_frames), ("audio", sent.audio_frames)];
        self.counted_by(
            "weir_ingest_frames_total",
            "Frames of publishers",
            "kind",
            frames,
        );
        let help = "Timestamps mended, by kind";
        self.counted_by(
            "weir_ingest_timestamp_repairs_total",
            help,
            "kind",
            sent.fixes,
        );
        let help = "Messages and frames left out, by reason";
        self.counted_by("weir_ingest_ignored_total", help, "reason", sent.ignored);
        let active = stream.active();
        let rates = active.as_ref().and_then(|line| line.rates());
        let holder = active.and_then(|line| line.holder());
        let interval = holder.map_or(0, |h| h.stats.figures().keyframe_interval_ms);
        self.gauges([
            (
                "weir_ingest_fps",
                "Pictures per second of late",
                rates.map_or(0.0, |r| r.fps),
            ),
            (
                "weir_ingest_bits_per_second",
                "Rate of the active input of late",
                float(rates.map_or(0, |r| r.bits_per_second)),
            ),
            (
                "weir_ingest_keyframe_interval_seconds",
                "The last distance between two keyframes",
                float(interval) / 1e3,
            ),
        ]);
    }

    fn hub(&mut self, stream: &Stream) {
        let c = stream.hub_counters();
        self.gauges([
            (
                "weir_hub_subscribers",
                "Readers of the programme",
                float(c.subscribers),
            ),
            (
                "weir_hub_held_bytes",
                "Payload bytes that the programme holds",
                float(c.held_bytes),
            ),
        ]);
        self.counters([
            (
                "weir_hub_frames_total",
                "Frames pushed to the programme",
                c.frames,
            ),
            (
                "weir_hub_delivered_frames_total",
                "Frames handed to readers",
                c.delivered,
            ),
            (
                "weir_hub_skips_total",
                "Readers moved on to the newest group",
                c.skips,
            ),
            (
                "weir_hub_skipped_frames_total",
                "Frames that readers missed by that",
                c.skipped_frames,
            ),
            (
                "weir_hub_evicted_frames_total",
                "Frames that left the window",
                c.evicted,
            ),
            (
                "weir_hub_refused_frames_total",
                "Frames refused for want of a keyframe",
                c.refused,
            ),
        ]);
    }

    fn timeline(&mut self, stream: &Stream) {
        let programme = stream.programme();
        let c = programme.state().counters;
        let lead = programme.lead().as_secs_f64();
        self.gauges([(
            "weir_timeline_lead_seconds",
            "How far the programme runs ahead of UTC",
            lead,
        )]);
        self.counters([
            (
                "weir_timeline_defects_total",
                "Defects of ours that the programme recovered from",
                programme.told().defects(),
            ),
            (
                "weir_timeline_gaps_total",
                "Silences longer than a segment",
                c.declared_gaps,
            ),
            (
                "weir_timeline_reanchored_total",
                "Times that a source which lagged for good, or ran ahead, was moved",
                c.reanchored,
            ),
            (
                "weir_timeline_dropped_frames_total",
                "Frames too far ahead of UTC, or before what the programme holds",
                c.too_fast + c.overlapped,
            ),
        ]);
    }

    fn inputs(&mut self, stream: &Stream) {
        let state = stream.programme().state();
        let own = self.stream[0];
        for input in &state.inputs {
            let labels = [own, ("input", &*input.id)];
            let flag = |on| f64::from(u8::from(on));
            let up = flag(input.fault.is_none_or(failover::Fault::delivers));
            let active = flag(state.active.as_ref() == Some(&input.id));
            let help = "Whether the input could feed the programme";
            self.families.gauge("weir_input_up", help, &labels, up);
            let help = "Whether the input feeds the programme";
            self.families
                .gauge("weir_input_active", help, &labels, active);
            let bound = input.silent_after.map_or(0.0, media::Span::as_secs_f64);
            let help = "The silence that is a fault, as learned from the input";
            self.families
                .gauge("weir_input_silence_bound_seconds", help, &labels, bound);
        }
        for line in &stream.lines() {
            let labels = [own, ("input", line.id())];
            let rate = float(line.rates().map_or(0, |r| r.bits_per_second));
            let help = "Rate of the input of late";
            self.families
                .gauge("weir_input_bits_per_second", help, &labels, rate);
            self.connection(line);
        }
        let told = stream.programme().told();
        for (input, fault, n) in told.faults() {
            let labels = [own, ("input", &*input), ("fault", fault.name())];
            let help = "Faults of the input, by kind";
            self.families
                .counter("weir_input_faults_total", help, &labels, n);
        }
        self.switches(stream);
    }

    fn switches(&mut self, stream: &Stream) {
        let told = stream.programme().told();
        let help = "Switches of the programme to another input, by reason";
        self.counted_by(
            "weir_failover_switches_total",
            help,
            "reason",
            told.switches(),
        );
        let mut histogram = |name, help, (buckets, sum): (Vec<_>, f64)| {
            let figures = (buckets.as_slice(), sum);
            self.families.histogram(name, help, &self.stream, figures);
        };
        let help = "From the last frame of an input that failed to the decision to leave it";
        histogram(
            "weir_failover_detection_seconds",
            help,
            told.detection.read(),
        );
        let help = "For how long nothing was written to the programme when an input failed";
        histogram("weir_failover_silence_seconds", help, told.silence.read());
    }

    fn packager(&mut self, stream: &Stream) {
        let c = stream.packaging().counters();
        self.counters([
            (
                "weir_packager_segments_total",
                "Segments completed, over all tracks",
                c.segments,
            ),
            (
                "weir_packager_parts_total",
                "Parts released, over all tracks",
                c.parts,
            ),
            (
                "weir_packager_forced_cuts_total",
                "Segments begun without a keyframe",
                c.forced_cuts,
            ),
            (
                "weir_packager_holds_total",
                "Times the playlists were frozen for want of media",
                c.holds,
            ),
            (
                "weir_packager_jumps_total",
                "Times the playlists went on beyond a hole",
                c.jumps,
            ),
            (
                "weir_packager_discontinuities_total",
                "Changed parameters, or another grid",
                c.discontinuities,
            ),
            (
                "weir_packager_dropped_frames_total",
                "Frames that could not be placed",
                c.dropped,
            ),
            (
                "weir_packager_silent_frames_total",
                "Frames of silence filled in",
                c.silent_frames,
            ),
            (
                "weir_packager_unaligned_total",
                "Segments that a further video track had no keyframe to begin with",
                c.unaligned,
            ),
            (
                "weir_packager_defects_total",
                "Defects of ours that packaging recovered from",
                stream.packaging().defects(),
            ),
        ]);
    }

    fn pushes(&mut self, stream: &Stream) {
        for outlet in stream.pushes().all() {
            let now = outlet.figures();
            let labels = [self.stream[0], ("push", outlet.id())];
            let up = f64::from(u8::from(now.phase == PushPhase::Pushing));
            let help = "Whether the far end of the push takes media";
            self.families.gauge("weir_push_up", help, &labels, up);
            let enabled = f64::from(u8::from(now.phase != PushPhase::Disabled));
            let help = "Whether the push is switched on";
            self.families
                .gauge("weir_push_enabled", help, &labels, enabled);
            let left_out = float(now.sent.left_out.len() as u64);
            let help = "Tracks that the far end of the push does not get";
            self.families
                .gauge("weir_push_left_out_tracks", help, &labels, left_out);
            for (name, help, value) in [
                (
                    "weir_push_attempts_total",
                    "Times that the far end was called",
                    now.attempts,
                ),
                (
                    "weir_push_connections_total",
                    "Times that the far end took media",
                    now.connections,
                ),
                (
                    "weir_push_failures_total",
                    "Times that the push was lost, refused or could not be made",
                    now.failures,
                ),
                (
                    "weir_push_sent_bytes_total",
                    "Bytes written to the far end",
                    now.sent.bytes,
                ),
                (
                    "weir_push_skips_total",
                    "Times that a slow far end was sent the newest group next",
                    now.sent.skips,
                ),
                (
                    "weir_push_skipped_frames_total",
                    "Frames that slow far ends did not get",
                    now.sent.skipped_frames,
                ),
            ] {
                self.families.counter(name, help, &labels, value);
            }
        }
    }

    /// What the protocol and container of the present connection count.
    fn connection(&mut self, line: &Line) {
        let labels = [self.stream[0], ("input", line.id())];
        let figures = line.stats().map(|stats| stats.figures());
        for (pid, gaps) in figures.iter().flat_map(|f| f.cc_errors_by_pid.iter()) {
            let labels = [labels[0], labels[1], ("pid", &pid.to_string())];
            let help = "Gaps in the continuity counters of the input's MPEG-TS";
            self.families
                .counter("weir_input_cc_errors_total", help, &labels, *gaps);
        }
        for (name, value) in figures.into_iter().flat_map(|f| f.counters) {
            match name {
                "srt_rtt_us" => {
                    let help = "The round trip to who feeds the input over SRT";
                    let rtt = float(value) / 1e6;
                    self.families
                        .gauge("weir_input_srt_rtt_seconds", help, &labels, rtt);
                }
                "srt_latency_ms" => {
                    let help = "The latency that was agreed on with who feeds the input over SRT";
                    let latency = float(value) / 1e3;
                    self.families
                        .gauge("weir_input_srt_latency_seconds", help, &labels, latency);
                }
                name => {
                    let labels = [labels[0], labels[1], ("what", name)];
                    let help = "What protocol and container of the input's connection count";
                    self.families
                        .counter("weir_input_connection_total", help, &labels, value);
                }
            }
        }
    }

    fn players(&mut self, stream: &Stream) {
        let all = [
            (&RTMP_PLAYERS, Protocol::Rtmp),
            (&HTTP_TS_PLAYERS, Protocol::HttpTs),
            (&SRT_PLAYERS, Protocol::Srt),
        ];
        for ([who, now, ever, bytes, skips, skipped], protocol) in all {
            let f = stream.players().figures(protocol);
            self.gauges([(now, &format!("{who} players now"), float(f.now))]);
            let let_in = format!("{who} players that were let in");
            let given = format!("Bytes given to the connections of {who} players");
            let went_on = format!("Times that a slow {who} player went on with the newest group");
            let missed = format!("Frames that slow {who} players did not get");
            self.counters([
                (ever, &let_in, f.ever),
                (bytes, &given, f.bytes),
                (skips, &went_on, f.skips),
                (skipped, &missed, f.skipped_frames),
            ]);
            let help = "Packets to SRT players: sent, lost on the way, sent again, given up";
            self.counted_by("weir_srt_packets_total", help, "kind", f.packets);
        }
        let round_trips = stream.players().round_trips();
        let help = "Round trips to SRT players: the median and the longest";
        for (quantile, at) in [
            ("0.5", round_trips.len() / 2),
            ("1", round_trips.len().max(1) - 1),
        ] {
            let Some(&rtt) = round_trips.get(at) else {
                break;
            };
            let labels = [self.stream[0], ("quantile", quantile)];
            self.families.gauge(
                "weir_srt_player_rtt_seconds",
                help,
                &labels,
                float(rtt) / 1e6,
            );
        }
    }

    fn remuxing(&mut self, stream: &Stream) {
        self.counters([(
            "weir_ts_left_out_tracks_total",
            "Tracks that MPEG-TS has no place for, each time that they came",
            stream.not_in_ts(),
        )]);
    }

    fn output(&mut self, f: &Figures) {
        self.gauges([
            (
                "weir_http_viewers",
                "HTTP viewers: (address, agent) seen within three target durations",
                float(f.viewers),
            ),
            (
                "weir_http_blocked_requests",
                "Requests that wait for media",
                float(f.blocked),
            ),
        ]);
        self.counters([
            (
                "weir_http_media_bytes_total",
                "Bytes of segments and parts handed to sockets",
                f.bytes,
            ),
            (
                "weir_http_media_refused_total",
                "Requests for media that were refused",
                f.refused,
            ),
            (
                "weir_http_ts_segments_total",
                "Segments made in MPEG-TS because somebody asked",
                f.made_ts,
            ),
            (
                "weir_http_ts_refused_total",
                "Requests for MPEG-TS of what it cannot carry",
                f.not_carried,
            ),
            (
                "weir_http_playlist_renders_total",
                "Playlists rendered",
                f.renders,
            ),
        ]);
        let requests = [
            ("playlist", f.playlists),
            ("segment", f.segments),
            ("part", f.parts),
        ];
        let help = "Requests for what a stream serves, by kind";
        self.counted_by("weir_http_media_requests_total", help, "kind", requests);
        let figures = (f.release.as_slice(), f.release_sum);
        self.families.histogram(
            "weir_release_latency_seconds",
            LATENCY,
            &self.stream,
            figures,
        );
        let figures = (f.chunks.as_slice(), f.chunks_sum);
        self.families
            .histogram("weir_chunk_release_seconds", CHUNKS, &self.stream, figures);
    }

    fn gauges<const N: usize>(&mut self, gauges: [(&'static str, &str, f64); N]) {
        for (name, help, value) in gauges {
            self.families.gauge(name, help, &self.stream, value);
        }
    }

    fn counters<const N: usize>(&mut self, counters: [(&'static str, &str, u64); N]) {
        for (name, help, value) in counters {
            self.families.counter(name, help, &self.stream, value);
        }
    }

    fn counted_by(
        &mut self,
        name: &'static str,
        help: &str,
        label: &str,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        for (value, n) in counts {
            let labels = [self.stream[0], (label, value)];
            self.families.counter(name, help, &labels, n);
        }
    }
}
