//! Programme association and programme map (ITU-T H.222.0 2.4.4), each one section.

use super::super::crc::crc;
use super::entry::{self, Entry};

/// The one programme's number, and the PID of its map.
const PROGRAMME: u16 = 1;
pub(super) const PMT_PID: u16 = 0x1000;
/// Nobody's: of a programme without a clock.
const NO_PID: u16 = 0x1fff;
/// The longest section, its head and CRC among it.
const LONGEST: usize = 1024;
/// Head, clock's PID and length of the programme's descriptors; and the CRC.
const FIXED: usize = 12 + 4;

pub(super) fn pat() -> Vec<u8> {
    let mut body = PROGRAMME.to_be_bytes().to_vec();
    body.extend((0xe000 | PMT_PID).to_be_bytes());
    section(0x00, 0, &body)
}

/// The descriptors of the programme.
pub(super) fn of_programme(cues: bool, id3: bool) -> Vec<u8> {
    /// Where the metadata is (2.6.58): in this programme.
    const ID3_POINTER: &[u8] = b"\x25\x0f\xff\xffID3 \xffID3 \x00\x1f\x00\x01";
    let mut out = Vec::new();
    if cues {
        entry::registration(*b"CUEI", &mut out);
    }
    if id3 {
        out.extend(ID3_POINTER);
    }
    out
}

/// Whether another entry has room beside those that take so many bytes, the programme's
/// descriptors among them.
pub(super) fn has_room(used: usize, entry: &Entry) -> bool {
    FIXED + used + bytes_of(entry) <= LONGEST
}

pub(super) fn bytes_of(entry: &Entry) -> usize {
    5 + entry.descriptors.len()
}

/// The map; where its contents are those of `last`, so is its version.
pub(super) fn pmt<'a>(
    clock: Option<u16>,
    descriptors: &[u8],
    entries: impl Iterator<Item = &'a Entry>,
    last: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = (0xe000 | clock.unwrap_or(NO_PID)).to_be_bytes().to_vec();
    looped(descriptors, &mut body);
    for entry in entries {
        body.push(entry.stream_type);
        body.extend((0xe000 | entry.pid).to_be_bytes());
        looped(&entry.descriptors, &mut body);
    }
    // Made of the contents, the version is one on all nodes, and another where the contents are.
    let version = crc(&body).to_be_bytes()[0] & 0x1f;
    let new = section(0x02, version, &body);
    match last {
        Some(last) if last != new && last.get(5) == new.get(5) => {
            section(0x02, (version + 1) & 0x1f, &body)
        }
        _ => new,
    }
}

fn looped(descriptors: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(descriptors.len()).unwrap_or(0);
    out.extend((0xf000 | len).to_be_bytes());
    out.extend(descriptors);
}

/// A section that is in force, alone of its kind; the one programme is the one transport stream.
fn section(table: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(5 + body.len() + 4).unwrap_or(0);
    let mut out = vec![table];
    out.extend((0xb000 | len).to_be_bytes());
    out.extend(PROGRAMME.to_be_bytes());
    out.extend([0xc0 | version << 1 | 1, 0, 0]);
    out.extend(body);
    out.extend(crc(&out).to_be_bytes());
    out
}
