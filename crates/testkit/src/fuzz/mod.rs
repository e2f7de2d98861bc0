//! Fuzz targets for what is public in `media` and `container`, and the replay of kept corpora.
//!
//! A target is a function over bytes that asserts what must hold for any of them. `fuzz/` of this
//! crate runs them under an engine; [`replay`] runs them over the corpora in ordinary tests.
//! Targets that need what a crate keeps to itself live there, in its own `fuzz` module.
//!
//! The corpora began with what ffmpeg 5.1 and 9.0, GStreamer, rtmpdump and libsrt 1.5.1 send; some is
//! written by hand, the rest the engine found.

pub mod codec;
pub mod flv;
pub mod ingest;
pub mod ts;
pub mod wire;

use std::path::Path;

/// Runs a target over every file of its corpus.
///
/// # Panics
/// Where the corpus is missing, or an assertion of the target fails.
pub fn replay(target: &str, run: fn(&[u8])) {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let files = std::fs::read_dir(corpora.join(target)).expect("a kept corpus");
    let mut files: Vec<_> = files.flatten().map(|f| f.path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    for file in files {
        run(&std::fs::read(&file).expect("a readable file"));
    }
    run(&[]);
}

#[cfg(test)]
mod tests {
    use super::{codec, flv, ingest, replay, ts, wire};

    #[test]
    fn codec_configurations() {
        replay("avc_config", codec::avc);
        replay("hevc_config", codec::hevc);
        replay("av1_config", codec::av1);
        replay("vp9_config", codec::vp9);
        replay("aac_config", codec::aac);
        replay("other_audio", codec::other_audio);
        replay("opus_config", codec::opus);
    }

    #[test]
    fn flv_tags() {
        replay("flv_tags", flv::tags);
    }

    #[test]
    fn messages_between_processes() {
        replay("wire", wire::messages);
    }

    #[test]
    fn transport_streams() {
        replay("ts_psi", ts::psi);
        replay("ts_pes", ts::packets);
        replay("ts_cues", ts::cues);
        replay("scte35", ts::scte35);
        replay("ts_mux", ts::mux);
    }

    #[test]
    fn demuxers() {
        replay("ts", ingest::ts);
        replay("fmp4", ingest::fmp4);
        replay("mp4_index", ingest::mp4_index);
        replay("flv_file", ingest::flv_file);
    }
}
