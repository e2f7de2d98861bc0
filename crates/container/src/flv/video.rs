//! Video message bodies.

use bytes::Bytes;
use media::codec::{Av1Config, H264Config, H265Config, OpaqueConfig, Vp9Config};
use media::{CodecConfig, Span, TrackId, TrackKind};

use super::{
    Demux, FlvError, Item, Unit, for_each_track, skip_modifiers, take_composition, take_fourcc,
    take_u8, video_track,
};
use crate::units::Units;

const KEYFRAME: u8 = 1;
const COMMAND: u8 = 5;
const EXTENDED: u8 = 0x80;

const AVC: u8 = 7;
/// Not in any standard, but sent by encoders that knew no better before FourCC codes.
const HEVC: u8 = 12;

const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
const CODED_FRAMES_X: u8 = 3;
const MULTITRACK: u8 = 6;

pub(super) fn read(
    demux: &mut Demux,
    mut body: Bytes,
    out: &mut Vec<Item>,
) -> Result<(), FlvError> {
    let head = take_u8(&mut body)?;
    let frame_type = head >> 4 & 7;
    if frame_type == COMMAND {
        out.push(Item::Ignored("video command"));
        return Ok(());
    }
    let key = frame_type == KEYFRAME;
    if head & EXTENDED != 0 {
        return extended(demux, head & 0x0f, key, body, out);
    }
    let fourcc = match head & 0x0f {
        AVC => *b"avc1",
        HEVC => *b"hvc1",
        _ => {
            out.push(Item::Ignored("video codec"));
            return Ok(());
        }
    };
    let kind = take_u8(&mut body)?;
    let packet = Packet {
        track: video_track(0),
        fourcc,
        key,
        kind: if kind > SEQUENCE_END { u8::MAX } else { kind },
    };
    if kind != CODED_FRAMES {
        take_composition(&mut body)?;
    }
    packet.read(demux, body, out)
}

fn extended(
    demux: &mut Demux,
    kind: u8,
    key: bool,
    mut body: Bytes,
    out: &mut Vec<Item>,
) -> Result<(), FlvError> {
    let kind = skip_modifiers(&mut body, kind)?;
    if kind == MULTITRACK {
        let head = take_u8(&mut body)?;
        let kind = head & 0x0f;
        return for_each_track(body, head >> 4, |number, fourcc, body| {
            let track = video_track(number);
            Packet {
                track,
                fourcc,
                key,
                kind,
            }
            .read(demux, body, out)
        });
    }
    let fourcc = take_fourcc(&mut body)?;
    let track = video_track(0);
    Packet {
        track,
        fourcc,
        key,
        kind,
    }
    .read(demux, body, out)
}

struct Packet {
    track: TrackId,
    fourcc: [u8; 4],
    key: bool,
    kind: u8,
}

impl Packet {
    fn read(
        &self,
        demux: &mut Demux,
        mut body: Bytes,
        out: &mut Vec<Item>,
    ) -> Result<(), FlvError> {
        match self.kind {
            SEQUENCE_START if self.fourcc == *b"vp09" => demux.keep_record(self.track, body),
            SEQUENCE_START => {
                let config = self.config(body)?;
                demux.configure(self.track, config, out);
            }
            CODED_FRAMES => {
                let composed = matches!(&self.fourcc, b"avc1" | b"hvc1" | b"vvc1");
                let composition = if composed {
                    take_composition(&mut body)?
                } else {
                    Span::ZERO
                };
                self.frame(demux, composition, &body, out)?;
            }
            CODED_FRAMES_X => self.frame(demux, Span::ZERO, &body, out)?,
            SEQUENCE_END => out.push(Item::End(self.track)),
            _ => out.push(Item::Ignored("video packet type")),
        }
        Ok(())
    }

    fn config(&self, record: Bytes) -> Result<CodecConfig, FlvError> {
        Ok(match &self.fourcc {
            b"avc1" => CodecConfig::H264(H264Config::parse(record)?),
            b"hvc1" => CodecConfig::H265(H265Config::parse(record)?),
            b"av01" => CodecConfig::Av1(Av1Config::parse(record)?),
            fourcc => CodecConfig::Opaque(OpaqueConfig {
                kind: TrackKind::Video,
                fourcc: *fourcc,
                data: record,
            }),
        })
    }

    fn frame(
        &self,
        demux: &mut Demux,
        composition: Span,
        body: &Bytes,
        out: &mut Vec<Item>,
    ) -> Result<(), FlvError> {
        if self.fourcc == *b"vp09"
            && self.key
            && let Some(record) = demux.record(self.track)
        {
            let config = Vp9Config::parse(record, body)?;
            demux.configure(self.track, CodecConfig::Vp9(config), out);
        }
        let Some(config) = demux.config(self.track, self.fourcc) else {
            out.push(Item::Ignored("video before its configuration"));
            return Ok(());
        };
        let (changed, unit) = match Units::of(config, body)? {
            None => (None, (self.key, false, body.clone())),
            Some(units) if units.payload.is_empty() => {
                out.push(Item::Ignored("video without slices"));
                return Ok(());
            }
            Some(units) => (
                units.config,
                (units.random_access, units.leading, units.payload),
            ),
        };
        if let Some(config) = changed {
            demux.configure(self.track, config, out);
        }
        let (random_access, leading, payload) = unit;
        out.push(Item::Frame(Unit {
            track: self.track,
            composition,
            random_access,
            leading,
            payload,
        }));
        Ok(())
    }
}
