//! What every ladder counts, read when it is scraped.

use ladder::Output;
use transcode::State;

use crate::families::{Families, float};

pub(crate) fn write(families: &mut Families, stream: &str, state: &State) {
    let labels = [("stream", stream)];
    let flag = |on: bool| f64::from(u8::from(on));
    for (name, help, value) in [
        (
            "weir_transcoder_up",
            "Whether a worker runs",
            flag(state.pid.is_some()),
        ),
        (
            "weir_transcoder_held",
            "Whether the last picture is held for want of media",
            flag(state.held),
        ),
        (
            "weir_transcoder_overloaded",
            "Whether groups of the input were left out of late because the machine is too slow",
            flag(state.overloaded),
        ),
        (
            "weir_transcoder_lag_seconds",
            "How far the renditions lag behind the input",
            state.lag.as_secs_f64(),
        ),
        (
            "weir_transcoder_speed",
            "Media seconds that come out per second",
            state.speed,
        ),
        (
            "weir_transcoder_queue",
            "Access units that wait to be decoded",
            float(state.health.queue),
        ),
    ] {
        families.gauge(name, help, &labels, value);
    }
    for (reason, n) in &state.restarts {
        let help = "Workers that ended, by how";
        let labels = [labels[0], ("reason", reason)];
        families.counter("weir_transcoder_restarts_total", help, &labels, *n);
    }
    let help = "Frames of the input that were left out because the machine is too slow";
    let skipped = state.skipped_frames;
    families.counter(
        "weir_transcoder_skipped_frames_total",
        help,
        &labels,
        skipped,
    );
    let help = "Access units that the present worker could not decode";
    let undecodable = float(state.health.undecodable);
    families.gauge("weir_transcoder_undecodable", help, &labels, undecodable);
    for rung in &state.rungs {
        let kind = match rung.output {
            Output::Video(_) => "video",
            Output::Audio(..) => "audio",
        };
        let track = rung.output.number().to_string();
        let labels = [
            labels[0],
            ("rendition", &*rung.name),
            ("kind", kind),
            ("track", &*track),
        ];
        let help = "Frames per second of late";
        let fps = rung.frames_per_second;
        families.gauge("weir_transcoder_rendition_fps", help, &labels, fps);
        let help = "Rate of the rendition of late";
        let rate = rung.bits_per_second;
        families.gauge(
            "weir_transcoder_rendition_bits_per_second",
            help,
            &labels,
            rate,
        );
        let help = "Frames of the rendition";
        families.counter(
            "weir_transcoder_rendition_frames_total",
            help,
            &labels,
            rung.frames,
        );
    }
}
