//! Payloads of elementary streams, from the canonical shape of a frame to what PES packets hold.

use bytes::Bytes;
use media::{Frame, nal};

use super::entry::Shape;
use super::packets::Packets;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
const LENGTH: usize = 4;
/// The most of anything but a picture: its PES packet must tell a length of 16 bits.
const MOST: usize = 65_000;

/// What goes before a frame's payload, and the payload itself where it is rewritten.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<u8>);

/// How many bytes the frame's payload takes; `None` where it cannot be carried.
pub(super) fn measure(shape: &Shape, frame: &Frame, scratch: &mut Scratch) -> Option<usize> {
    let bytes = taken(shape, frame, scratch)?;
    let is_picture = matches!(shape, Shape::Nal(..) | Shape::Obu(_));
    (is_picture || bytes <= MOST).then_some(bytes)
}

fn taken(shape: &Shape, frame: &Frame, scratch: &mut Scratch) -> Option<usize> {
    let payload = &frame.payload;
    if payload.is_empty() {
        return None;
    }
    Some(match shape {
        Shape::Nal(delimiter, sets) => {
            // A start code is as long as a length.
            nal::Units::new(payload, LENGTH)
                .all(|u| u.is_ok())
                .then_some(())?;
            let sets = if frame.random_access { sets.len() } else { 0 };
            delimiter.len() + sets + payload.len()
        }
        Shape::Obu(sequence) => {
            obus(frame, sequence, &mut scratch.0)?;
            scratch.0.len()
        }
        Shape::Adts(config) => config.adts(payload.len())?.len() + payload.len(),
        Shape::Opus => 2 + payload.len() / 255 + 1 + payload.len(),
        Shape::Plain | Shape::Teletext | Shape::Section => payload.len(),
    })
}

/// Writes what was measured.
pub(super) fn put(shape: &Shape, frame: &Frame, scratch: &Scratch, out: &mut Packets<'_>) {
    let payload: &Bytes = &frame.payload;
    match shape {
        Shape::Nal(delimiter, sets) => {
            out.put(delimiter);
            if frame.random_access {
                out.put(sets);
            }
            for unit in nal::Units::new(payload, LENGTH).flatten() {
                out.put(&START_CODE);
                out.put(unit);
            }
        }
        Shape::Obu(_) => out.put(&scratch.0),
        Shape::Adts(config) => {
            if let Some(head) = config.adts(payload.len()) {
                out.put(&head);
            }
            out.put(payload);
        }
        Shape::Opus => {
            // No trims, no extension; the length in steps of 255.
            out.put(&[0x7f, 0xe0]);
            for _ in 0..payload.len() / 255 {
                out.put(&[0xff]);
            }
            out.put(&[u8::try_from(payload.len() % 255).unwrap_or(0)]);
            out.put(payload);
        }
        Shape::Plain | Shape::Teletext | Shape::Section => out.put(payload),
    }
}

const SEQUENCE_HEADER: u8 = 1;
const DELIMITER: [u8; 2] = [0x12, 0];

/// OBUs behind start codes, with bytes that keep others from looking like one ("Carriage of AV1 in
/// MPEG-2 TS", 3.2). One temporal unit is one PES packet, of however many frames.
fn obus(frame: &Frame, sequence: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    one(&DELIMITER, out);
    let mut rest = &frame.payload[..];
    let has_sequence = rest.first()? >> 3 & 0xf == SEQUENCE_HEADER;
    if frame.random_access && !has_sequence {
        one(sequence, out);
    }
    while !rest.is_empty() {
        let (obu, after) = split(rest)?;
        one(obu, out);
        rest = after;
    }
    Some(())
}

fn one(obu: &[u8], out: &mut Vec<u8>) {
    out.extend([0, 0, 1]);
    let mut zeros = 0;
    for byte in obu {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(*byte);
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
}

/// The first OBU, with its size; one without reaches to the end (AV1 5.3).
fn split(obus: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = obus.first()?;
    if head & 2 == 0 {
        return Some((obus, &[]));
    }
    let mut at = 1 + usize::from(head >> 2 & 1);
    let mut size = 0_usize;
    for shift in (0..56).step_by(7) {
        let byte = *obus.get(at)?;
        at += 1;
        size |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return obus.split_at_checked(at.checked_add(size)?);
        }
    }
    None
}
