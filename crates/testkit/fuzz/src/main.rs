//! One binary for all targets: `TARGET` names the one that runs. With `TARGET=list` it prints them.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Run = fn(&[u8]);

const TARGETS: &[(&str, Run)] = &[
    ("rtmp_chunks", rtmp::fuzz::chunks),
    ("rtmp_handshake", rtmp::fuzz::handshake),
    ("rtmp_session", rtmp::fuzz::session),
    ("rtmp_commands", rtmp::fuzz::commands),
    ("rtmp_client", rtmp::fuzz::client),
    ("rtmp_publish", rtmp::fuzz::publish),
    ("rtmp_target", rtmp::fuzz::target),
    ("rtmp_url", rtmp::fuzz::url),
    ("amf0", rtmp::fuzz::amf0),
    ("srt_handshake", srt::fuzz::handshake),
    ("srt_control", srt::fuzz::control),
    ("srt_key", srt::fuzz::key),
    ("srt_stream_id", srt::fuzz::stream_id),
    ("srt_url", srt::fuzz::url),
    ("srt_link", srt::fuzz::link),
    ("flv_tags", testkit::fuzz::flv::tags),
    ("flv_file", testkit::fuzz::ingest::flv_file),
    ("ts", testkit::fuzz::ingest::ts),
    ("ts_psi", testkit::fuzz::ts::psi),
    ("ts_pes", testkit::fuzz::ts::packets),
    ("ts_cues", testkit::fuzz::ts::cues),
    ("scte35", testkit::fuzz::ts::scte35),
    ("ts_mux", testkit::fuzz::ts::mux),
    ("wire", testkit::fuzz::wire::messages),
    ("transcode_messages", transcode::fuzz::messages),
    ("transcoder_orders", transcoder::fuzz::orders),
    ("fmp4", testkit::fuzz::ingest::fmp4),
    ("mp4_index", testkit::fuzz::ingest::mp4_index),
    ("avc_config", testkit::fuzz::codec::avc),
    ("hevc_config", testkit::fuzz::codec::hevc),
    ("av1_config", testkit::fuzz::codec::av1),
    ("vp9_config", testkit::fuzz::codec::vp9),
    ("aac_config", testkit::fuzz::codec::aac),
    ("other_audio", testkit::fuzz::codec::other_audio),
    ("opus_config", testkit::fuzz::codec::opus),
    ("media_path", http_media::fuzz::path),
    ("media_query", http_media::fuzz::query),
    ("media_headers", http_media::fuzz::headers),
    ("pull_playlist", http_media::fuzz::pull_playlist),
    ("stream_name", server::fuzz::name),
    ("api_body", server::fuzz::body),
];

/// More than this, and 64 bytes for each that came, no input may have us allocate at a time.
const AT_A_TIME: u64 = 1 << 20;

static CHOSEN: OnceLock<Run> = OnceLock::new();

fn choose() {
    let wanted = std::env::var("TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    if let Some((_, run)) = found {
        let _ = CHOSEN.set(*run);
        return;
    }
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    println!("{}", names.join("\n"));
    std::process::exit(i32::from(wanted != "list"));
}

fuzz_target!(init: choose(), |data: &[u8]| {
    let Some(run) = CHOSEN.get() else {
        return;
    };
    let used = allocation_counter::measure(|| run(data));
    let most = AT_A_TIME + 64 * data.len() as u64;
    assert!(used.bytes_max <= most, "{} bytes at a time", used.bytes_max);
});
