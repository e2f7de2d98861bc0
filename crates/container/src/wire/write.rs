//! Messages to bytes.

use bytes::{BufMut, Bytes, BytesMut};
use media::Frame;

use super::{Message, flag, kind, tracks};

/// Length and kind.
const HEAD: usize = 5;
/// No duration is told.
const UNTOLD: i64 = i64::MIN;

/// Appends a message to `chunks`, which are written one after the other: what is large in it is
/// not copied.
pub fn put(message: &Message, chunks: &mut Vec<Bytes>) {
    let mut out = BytesMut::with_capacity(HEAD + 40);
    out.put_u32(0);
    let mut payload = Bytes::new();
    match message {
        Message::Tracks { rendition, tracks } => {
            out.put_u8(kind::TRACKS);
            out.put_u16(*rendition);
            tracks::put(tracks, &mut out);
        }
        Message::Group {
            rendition,
            id,
            spliced,
            lost,
        } => {
            out.put_u8(kind::GROUP);
            out.put_u16(*rendition);
            out.put_i64(id.as_nanos());
            out.put_u8(bit(*spliced, flag::SPLICED) | bit(*lost, flag::LOST));
        }
        Message::Frame { rendition, frame } => {
            out.put_u8(kind::FRAME);
            out.put_u16(*rendition);
            put_frame(frame, &mut out);
            payload = frame.payload.clone();
        }
        Message::Control(text) => {
            out.put_u8(kind::CONTROL);
            payload = text.clone();
        }
    }
    let length = out.len() - 4 + payload.len();
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&length.to_be_bytes());
    chunks.push(out.freeze());
    if !payload.is_empty() {
        chunks.push(payload);
    }
}

fn put_frame(frame: &Frame, out: &mut BytesMut) {
    out.put_u16(frame.track.0);
    let flags = bit(frame.random_access, flag::RANDOM_ACCESS) | bit(frame.leading, flag::LEADING);
    out.put_u8(flags);
    out.put_i64(frame.dts.as_nanos());
    out.put_i64(frame.pts.as_nanos());
    out.put_i64(frame.duration.map_or(UNTOLD, |d| d.as_nanos()));
}

const fn bit(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}
