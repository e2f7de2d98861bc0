//! Writes message bodies: legacy tags for H.264 and AAC, enhanced ones for what has no legacy tag.

use bytes::{BufMut, Bytes, BytesMut};
use media::{CodecConfig, Span};

const KEYFRAME: u8 = 0x10;
const INTER: u8 = 0x20;
const EXTENDED: u8 = 0x80;
/// AAC, 44 kHz, 16 bit, stereo: what the tag says whatever the configuration does.
const AAC: u8 = 0xaf;

/// The body that carries a video configuration; `None` for codecs without one.
#[must_use]
pub fn video_config(config: &CodecConfig) -> Option<Bytes> {
    let (fourcc, record) = match config {
        CodecConfig::H264(c) => return Some(legacy(KEYFRAME, 0, Span::ZERO, c.record())),
        CodecConfig::H265(c) => (b"hvc1", c.record()),
        CodecConfig::Av1(c) => (b"av01", c.record()),
        _ => return None,
    };
    let mut out = BytesMut::with_capacity(5 + record.len());
    out.put_u8(EXTENDED | KEYFRAME);
    out.put_slice(fourcc);
    out.put_slice(record);
    Some(out.freeze())
}

/// The body that carries one video access unit; `None` for codecs without one.
#[must_use]
pub fn video_frame(
    config: &CodecConfig,
    random_access: bool,
    composition: Span,
    payload: &[u8],
) -> Option<Bytes> {
    let kind = if random_access { KEYFRAME } else { INTER };
    match config {
        CodecConfig::H264(_) => Some(legacy(kind, 1, composition, payload)),
        CodecConfig::H265(_) => {
            let mut out = BytesMut::with_capacity(8 + payload.len());
            out.put_u8(EXTENDED | kind | 1);
            out.put_slice(b"hvc1");
            out.put_int(composition.as_millis(), 3);
            out.put_slice(payload);
            Some(out.freeze())
        }
        CodecConfig::Av1(_) => {
            let mut out = BytesMut::with_capacity(5 + payload.len());
            out.put_u8(EXTENDED | kind | 1);
            out.put_slice(b"av01");
            out.put_slice(payload);
            Some(out.freeze())
        }
        _ => None,
    }
}

fn legacy(kind: u8, packet: u8, composition: Span, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(5 + payload.len());
    out.put_slice(&[kind | 7, packet]);
    out.put_int(composition.as_millis(), 3);
    out.put_slice(payload);
    out.freeze()
}

/// The body that carries an `AudioSpecificConfig`.
#[must_use]
pub fn aac_config(record: &[u8]) -> Bytes {
    aac(0, record)
}

/// The body that carries one raw AAC frame.
#[must_use]
pub fn aac_frame(payload: &[u8]) -> Bytes {
    aac(1, payload)
}

fn aac(packet: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(2 + payload.len());
    out.put_slice(&[AAC, packet]);
    out.put_slice(payload);
    out.freeze()
}
