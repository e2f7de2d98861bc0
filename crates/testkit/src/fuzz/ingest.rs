//! Demuxers: whatever comes, a track before its frames, and payloads in the canonical shape.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use container::ingest::{Assembler, Item, Output, Stats, data_track};
use container::{flv, fmp4, ts};
use media::{CodecConfig, Frame, Timestamp, TrackId, TrackKind};

use super::{codec, flv::canonical};

/// A transport stream; its first byte says how it is cut into pieces.
pub fn ts(data: &[u8]) {
    let mut demux = ts::Demux::default();
    let mut items = Vec::new();
    for piece in pieces(data) {
        demux.push(piece, &mut items);
    }
    demux.flush(&mut items);
    examine(items);
}

/// Fragmented MP4, in pieces as [`ts()`] is.
pub fn fmp4(data: &[u8]) {
    let mut demux = fmp4::Demux::default();
    let mut items = Vec::new();
    for piece in pieces(data) {
        if demux.push(piece, &mut items).is_err() {
            break;
        }
    }
    demux.flush(&mut items);
    examine(items);
}

/// The body of a progressive file's `moov`, and samples that all hold the same.
pub fn mp4_index(data: &[u8]) {
    /// More than these the tables of so few bytes may well tell of.
    const ENOUGH: usize = 1_000;
    let moov = Bytes::copy_from_slice(data);
    let Ok(mut index) = fmp4::Index::new(moov.clone(), fmp4::Limits::default()) else {
        return;
    };
    let mut items = Vec::new();
    index.announce(&mut items);
    for _ in 0..ENOUGH {
        let Ok(Some(place)) = index.next_place() else {
            break;
        };
        let sample = moov.slice(..place.size.min(64).min(moov.len()));
        index.sample(&place, sample, &mut items);
    }
    examine(items);
}

/// An FLV file, in pieces as [`ts()`] is.
pub fn flv_file(data: &[u8]) {
    let mut reader = flv::Reader::new();
    let mut items = Vec::new();
    for piece in pieces(data) {
        if reader.push(piece, &mut items).is_err() {
            break;
        }
    }
    reader.flush(&mut items);
    examine(items);
}

fn pieces(data: &[u8]) -> impl Iterator<Item = Bytes> {
    let size = data.first().map_or(1, |b| usize::from(*b) * 8 + 1);
    let rest = data.get(1..).unwrap_or_default();
    rest.chunks(size).map(Bytes::copy_from_slice)
}

pub(super) fn examine(items: Vec<Item>) {
    let mut configs = BTreeMap::new();
    let stats = Arc::new(Stats::new(|| Timestamp::ZERO));
    let mut assembler = Assembler::new(stats);
    let mut out = Vec::new();
    for item in items {
        match &item {
            Item::Track(track) => {
                match track.kind {
                    TrackKind::Data => assert!(track.id >= data_track(0)),
                    kind => assert_eq!(kind == TrackKind::Video, track.id.0.is_multiple_of(2)),
                }
                assert_eq!(track.config.nal_length_size(), 4);
                codec::examine(&track.config);
                configs.insert(track.id, track.config.clone());
            }
            Item::Frame(frame) => examine_frame(frame, &configs),
            _ => {}
        }
        assembler.item(item, Timestamp::ZERO, &mut out);
    }
    assembler.flush(&mut out);
    let mut last = BTreeMap::new();
    for output in out {
        if let Output::Frame(frame) = output {
            assert!(
                last.insert(frame.track, frame.dts)
                    .is_none_or(|before| before < frame.dts)
            );
        }
    }
}

fn examine_frame(frame: &Frame, configs: &BTreeMap<TrackId, CodecConfig>) {
    let config = configs.get(&frame.track);
    let config = config.expect("a track comes before its frames");
    assert!(!frame.payload.is_empty());
    match config {
        CodecConfig::H264(_) => canonical(&frame.payload, media::nal::h264),
        CodecConfig::H265(_) => canonical(&frame.payload, media::nal::h265),
        _ => {}
    }
}
