//! The hot path: `moof` and `mdat` header of one chunk, in one exact allocation. The payload
//! follows as separate buffers.

use bytes::{BufMut, Bytes, BytesMut};

/// One sample of a chunk, durations and offsets in ticks of the track's timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes.
    pub size: u32,
    /// Ticks until the next sample is decoded.
    pub duration: u32,
    /// PTS minus DTS.
    pub composition: i32,
    /// Whether decoding can start here.
    pub random_access: bool,
}

const MFHD: usize = 16;
const TFHD: usize = 16;
const TFDT: usize = 20;
const TRUN: usize = 20;
const PER_SAMPLE: usize = 16;

/// Sync sample: depends on no other (ISO/IEC 14496-12 8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// Depends on others, is no sync sample.
const NON_SYNC: u32 = 0x0101_0000;

const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
/// Data offset; duration, size, flags and composition offset of each sample.
const TRUN_FLAGS: u32 = 0x0f01;

/// `moof` + `mdat` header of a chunk of track 1.
#[must_use]
pub fn chunk_header(sequence: u32, base_media_decode_time: u64, samples: &[Sample]) -> Bytes {
    let trun = TRUN + PER_SAMPLE * samples.len();
    let traf = 8 + TFHD + TFDT + trun;
    let moof = 8 + MFHD + traf;
    let payload: u64 = samples.iter().map(|s| u64::from(s.size)).sum();
    let mut out = BytesMut::with_capacity(moof + 8);
    open(&mut out, moof, b"moof");
    open_full(&mut out, MFHD, b"mfhd", 0, 0);
    out.put_u32(sequence);
    open(&mut out, traf, b"traf");
    open_full(&mut out, TFHD, b"tfhd", 0, DEFAULT_BASE_IS_MOOF);
    out.put_u32(1);
    open_full(&mut out, TFDT, b"tfdt", 1, 0);
    out.put_u64(base_media_decode_time);
    open_full(&mut out, trun, b"trun", 1, TRUN_FLAGS);
    out.put_u32(to_u32(samples.len() as u64));
    out.put_u32(to_u32(moof as u64 + 8));
    for s in samples {
        out.put_u32(s.duration);
        out.put_u32(s.size);
        out.put_u32(if s.random_access { SYNC } else { NON_SYNC });
        out.put_i32(s.composition);
    }
    out.put_u32(to_u32(payload + 8));
    out.put_slice(b"mdat");
    out.freeze()
}

fn open(out: &mut BytesMut, size: usize, kind: &[u8; 4]) {
    out.put_u32(to_u32(size as u64));
    out.put_slice(kind);
}

fn open_full(out: &mut BytesMut, size: usize, kind: &[u8; 4], version: u32, flags: u32) {
    open(out, size, kind);
    out.put_u32(version << 24 | flags);
}

/// A chunk is some frames: four gigabytes are out of reach.
fn to_u32(v: u64) -> u32 {
    u32::try_from(v).unwrap_or(u32::MAX)
}
