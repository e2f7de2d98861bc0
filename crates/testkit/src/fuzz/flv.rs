//! Bodies of audio and video messages, legacy and enhanced.

use std::collections::BTreeMap;

use bytes::Bytes;
use container::flv::{Demux, Item, Mux, Unit, number_of};
use media::codec::{Ac3Config, Mp3Config, Vp9Config};
use media::nal::{self, NalKind};
use media::{CodecConfig, TrackId, TrackKind};

use super::codec;

const VIDEO: u8 = 9;

/// Tags one after the other: type (8 or 9), length in two bytes, body.
pub fn tags(mut data: &[u8]) {
    let mut demux = Demux::new();
    let mut configs = BTreeMap::new();
    while let Some((kind, body)) = next(&mut data) {
        let mut items = Vec::new();
        // What precedes an error in the same body is told all the same.
        let _ = read(&mut demux, kind == VIDEO, body, &mut items);
        for item in items {
            match item {
                Item::Config(track, config) => {
                    configuration(track, &config);
                    configs.insert(track, config);
                }
                Item::Frame(unit) => frame(&unit, configs.get(&unit.track)),
                _ => {}
            }
        }
    }
}

fn next(data: &mut &[u8]) -> Option<(u8, Bytes)> {
    let (&[kind, high, low], rest) = data.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
    let (body, rest) = rest.split_at(len);
    *data = rest;
    Some((kind, Bytes::copy_from_slice(body)))
}

fn read(
    demux: &mut Demux,
    video: bool,
    body: Bytes,
    items: &mut Vec<Item>,
) -> Result<(), container::flv::FlvError> {
    if video {
        demux.video(body, items)
    } else {
        demux.audio(body, items)
    }
}

fn configuration(track: TrackId, config: &CodecConfig) {
    assert_eq!(config.nal_length_size(), 4);
    codec::examine(config);
    let is_video = config.kind() == TrackKind::Video;
    assert_eq!(is_video, track.0.is_multiple_of(2));
    let (mux, written) = written(track, config);
    // A VP9 record is told with the first keyframe.
    if written.is_some() && !matches!(config, CodecConfig::Vp9(_)) {
        let expected = Item::Config(track, config.clone());
        assert_eq!(reread(&mux, config, written), [expected]);
    }
}

fn written(track: TrackId, config: &CodecConfig) -> (Mux, Option<Bytes>) {
    let mux = Mux::new(config, number_of(track)).expect("came over RTMP");
    (mux, mux.config(config))
}

fn reread(mux: &Mux, config: &CodecConfig, bodies: impl IntoIterator<Item = Bytes>) -> Vec<Item> {
    let (mut demux, mut items) = (Demux::new(), Vec::new());
    let is_video = config.kind() == TrackKind::Video;
    for body in bodies {
        let done = read(&mut demux, is_video, body, &mut items);
        assert_eq!(done, Ok(()), "{mux:?}");
    }
    items
}

fn frame(unit: &Unit, config: Option<&CodecConfig>) {
    let config = config.expect("a configuration comes before its frames");
    assert!(unit.composition.as_millis().abs() <= 1 << 23);
    match config {
        CodecConfig::H264(_) => canonical(&unit.payload, nal::h264),
        CodecConfig::H265(_) => canonical(&unit.payload, nal::h265),
        _ => {}
    }
    let _ = nal::has_captions(config, &unit.payload);
    let (mux, written) = written(unit.track, config);
    let told = match config {
        CodecConfig::Mp3(_) => Mp3Config::parse(&unit.payload).is_ok(),
        CodecConfig::Ac3(_) => Ac3Config::parse(&unit.payload).is_ok(),
        CodecConfig::Vp9(c) => Vp9Config::parse(c.record().clone(), &unit.payload).is_ok(),
        _ => written.is_some(),
    };
    if !told {
        return;
    }
    let head = mux.frame(unit.random_access, unit.composition);
    let body = Bytes::from([head.as_slice(), &unit.payload].concat());
    let items = reread(&mux, config, written.into_iter().chain([body]));
    assert_eq!(items.last(), Some(&Item::Frame(unit.clone())));
}

/// NAL units with lengths of four bytes that add up, a slice among them and no parameter sets.
pub(super) fn canonical(payload: &[u8], kind: fn(&[u8]) -> NalKind) {
    let mut bytes = 0;
    let mut slices = 0;
    for unit in nal::Units::new(payload, 4) {
        let unit = unit.expect("lengths that add up");
        bytes += 4 + unit.len();
        match kind(unit) {
            NalKind::ParameterSet | NalKind::Empty => panic!("is not for the payload"),
            NalKind::RandomAccess | NalKind::Leading | NalKind::Slice => slices += 1,
            _ => {}
        }
    }
    assert_eq!(bytes, payload.len());
    assert!(slices > 0);
}
