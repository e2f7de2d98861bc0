//! The header of a PES packet (ITU-T H.222.0 2.4.3.6).

use media::{Frame, Timestamp};

/// Teletext has headers of one length (ETSI EN 300 472 4.2).
pub(super) const TELETEXT: usize = 0x24;
/// The length of one with a PTS alone.
pub(super) const HEADER: usize = 14;
/// The longest that is written.
const MOST: usize = 9 + TELETEXT;

/// One header.
pub(super) struct Header {
    bytes: [u8; MOST],
    len: usize,
}

impl Header {
    /// For a frame whose payload has so many bytes, with stuffing up to `least` bytes of fields.
    /// Pictures go without a length where it is beyond 16 bits.
    pub(super) fn new(stream_id: u8, frame: &Frame, payload: usize, least: usize) -> Self {
        let (pts, dts) = (ticks(frame.pts), ticks(frame.dts));
        let both = pts != dts;
        let fields = if both { 10 } else { 5 }.max(least.min(TELETEXT));
        let mut bytes = [0xff; MOST];
        let length = u16::try_from(3 + fields + payload).unwrap_or(0);
        bytes[..4].copy_from_slice(&[0, 0, 1, stream_id]);
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        // Each packet begins an access unit.
        bytes[6] = 0x84;
        bytes[7] = if both { 0xc0 } else { 0x80 };
        bytes[8] = u8::try_from(fields).unwrap_or(0);
        bytes[9..14].copy_from_slice(&stamp(if both { 3 } else { 2 }, pts));
        if both {
            bytes[14..19].copy_from_slice(&stamp(1, dts));
        }
        Self {
            bytes,
            len: 9 + fields,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// 90 kHz, modulo 2^33.
pub(super) fn ticks(time: Timestamp) -> u64 {
    time.to_ticks(90_000).rem_euclid(1 << 33).unsigned_abs()
}

/// Four bits that tell which, and 33 bits in three groups that each end with a one.
fn stamp(which: u64, ticks: u64) -> [u8; 5] {
    let high = which << 4 | ticks >> 29 & 0x0e | 1;
    let middle = ticks >> 14 & 0xfffe | 1;
    let low = ticks << 1 & 0xfffe | 1;
    let [_, _, _, bytes @ ..] = (high << 32 | middle << 16 | low).to_be_bytes();
    bytes
}
