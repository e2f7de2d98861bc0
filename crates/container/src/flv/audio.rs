//! Audio message bodies.

use bytes::Bytes;
use media::codec::{AacConfig, Ac3Config, FlacConfig, Mp3Config, OpaqueConfig, OpusConfig};
use media::{CodecConfig, Span, TrackId, TrackKind};

use super::{
    Demux, FlvError, Item, Unit, audio_track, for_each_track, skip_modifiers, take_fourcc, take_u8,
};

const MP3: u8 = 2;
const EXTENDED: u8 = 9;
const AAC: u8 = 10;
const MP3_8K: u8 = 14;

const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
const MULTICHANNEL: u8 = 4;
const MULTITRACK: u8 = 5;

pub(super) fn read(
    demux: &mut Demux,
    mut body: Bytes,
    out: &mut Vec<Item>,
) -> Result<(), FlvError> {
    let head = take_u8(&mut body)?;
    let track = audio_track(0);
    match head >> 4 {
        AAC => {
            let kind = take_u8(&mut body)?.min(SEQUENCE_END);
            packet(demux, (track, *b"mp4a", kind), body, out)
        }
        MP3 | MP3_8K => packet(demux, (track, *b".mp3", CODED_FRAMES), body, out),
        EXTENDED => extended(demux, head & 0x0f, body, out),
        _ => {
            out.push(Item::Ignored("audio codec"));
            Ok(())
        }
    }
}

fn extended(
    demux: &mut Demux,
    kind: u8,
    mut body: Bytes,
    out: &mut Vec<Item>,
) -> Result<(), FlvError> {
    let kind = skip_modifiers(&mut body, kind)?;
    if kind == MULTITRACK {
        let head = take_u8(&mut body)?;
        return for_each_track(body, head >> 4, |number, fourcc, body| {
            packet(demux, (audio_track(number), fourcc, head & 0x0f), body, out)
        });
    }
    let fourcc = take_fourcc(&mut body)?;
    packet(demux, (audio_track(0), fourcc, kind), body, out)
}

fn packet(
    demux: &mut Demux,
    (track, fourcc, kind): (TrackId, [u8; 4], u8),
    body: Bytes,
    out: &mut Vec<Item>,
) -> Result<(), FlvError> {
    match kind {
        SEQUENCE_START => {
            let config = config(fourcc, body)?;
            demux.configure(track, config, out);
        }
        CODED_FRAMES if body.is_empty() => out.push(Item::Ignored("empty audio")),
        CODED_FRAMES => frame(demux, track, fourcc, body, out),
        SEQUENCE_END => out.push(Item::End(track)),
        MULTICHANNEL => out.push(Item::Ignored("multichannel configuration")),
        _ => out.push(Item::Ignored("audio packet type")),
    }
    Ok(())
}

fn config(fourcc: [u8; 4], record: Bytes) -> Result<CodecConfig, FlvError> {
    Ok(match &fourcc {
        b"mp4a" => CodecConfig::Aac(AacConfig::parse(record)?),
        b"Opus" => CodecConfig::Opus(OpusConfig::parse(&record)?),
        b"fLaC" => CodecConfig::Flac(FlacConfig::parse(&record)?),
        _ => CodecConfig::Opaque(OpaqueConfig {
            kind: TrackKind::Audio,
            fourcc,
            data: record,
        }),
    })
}

/// Some codecs have no configuration of their own: every frame's header tells it.
fn told_by(fourcc: [u8; 4], frame: &[u8]) -> Option<CodecConfig> {
    match &fourcc {
        b".mp3" => Mp3Config::parse(frame).ok().map(CodecConfig::Mp3),
        b"ac-3" | b"ec-3" => Ac3Config::parse(frame).ok().map(CodecConfig::Ac3),
        _ => None,
    }
}

fn frame(demux: &mut Demux, track: TrackId, fourcc: [u8; 4], payload: Bytes, out: &mut Vec<Item>) {
    if let Some(config) = told_by(fourcc, &payload) {
        demux.configure(track, config, out);
    }
    if demux.config(track, fourcc).is_none() {
        out.push(Item::Ignored("audio before its configuration"));
        return;
    }
    out.push(Item::Frame(Unit {
        track,
        composition: Span::ZERO,
        random_access: true,
        leading: false,
        payload,
    }));
}
