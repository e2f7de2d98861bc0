//! The hot path: `moof` and `mdat` header of one chunk, in one exact allocation. The payload
//! follows as separate buffers.

use bytes::{BufMut, Bytes, BytesMut};
use media::Timestamp;

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

/// What comes before the first chunk of a segment: `styp`, and in `prft` (ISO/IEC 14496-12 8.16.5)
/// when its first sample was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// UTC.
    pub utc: Timestamp,
    /// Presentation time of that sample, in ticks.
    pub media_time: u64,
}

/// A segment without any media (ISO/IEC 14496-12 8.16.2): a lone `styp`.
pub const EMPTY_SEGMENT: &[u8; STYP] = b"\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs";

const STYP: usize = 24;
const PRFT: usize = 32;
/// From 1900, where NTP begins, to 1970 in seconds (RFC 868).
const NTP_EPOCH: u64 = 2_208_988_800;

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

/// `moof` + `mdat` header of a chunk of track 1, behind the opening of its segment if it is the first.
#[must_use]
pub fn chunk_header(
    sequence: u32,
    base_media_decode_time: u64,
    samples: &[Sample],
    opening: Option<Opening>,
) -> Bytes {
    let trun = TRUN + PER_SAMPLE * samples.len();
    let traf = 8 + TFHD + TFDT + trun;
    let moof = 8 + MFHD + traf;
    let payload: u64 = samples.iter().map(|s| u64::from(s.size)).sum();
    let before = opening.map_or(0, |_| STYP + PRFT);
    let mut out = BytesMut::with_capacity(before + moof + 8);
    if let Some(opening) = opening {
        out.put_slice(EMPTY_SEGMENT);
        open_full(&mut out, PRFT, b"prft", 1, 0);
        out.put_u32(1);
        out.put_u64(ntp(opening.utc));
        out.put_u64(opening.media_time);
    }
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

/// Seconds since 1900 and their binary fraction (RFC 5905 6).
fn ntp(utc: Timestamp) -> u64 {
    let nanos = u64::try_from(utc.as_nanos()).unwrap_or(0);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    ((seconds + NTP_EPOCH) << 32) | ((rest << 32) / 1_000_000_000)
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

#[cfg(test)]
mod tests {
    use mp4_atom::{Prft, ReadFrom as _, Styp};

    use super::*;

    #[test]
    fn a_segment_opens_with_its_type_and_the_time_at_which_it_was_made() {
        let utc = Timestamp::from_millis(1_700_000_000_250);
        let opening = Opening {
            utc,
            media_time: 90_003_000,
        };
        let bytes = chunk_header(1, 90_000_000, &[], Some(opening));
        let mut rest = &bytes[..];
        let styp = Styp::read_from(&mut rest).unwrap();
        let prft = Prft::read_from(&mut rest).unwrap();
        assert_eq!(styp.major_brand, b"msdh".into());
        let fraction = u64::from(u32::MAX) / 4 + 1;
        let ntp = ((1_700_000_000 + NTP_EPOCH) << 32) | fraction;
        assert_eq!(prft.reference_track_id, 1);
        assert_eq!(prft.ntp_timestamp, ntp);
        assert_eq!(prft.media_time, 90_003_000);
        assert_eq!(rest, &chunk_header(1, 90_000_000, &[], None)[..]);
    }

    #[test]
    fn an_empty_segment_is_a_type_alone() {
        let mut rest = &EMPTY_SEGMENT[..];
        let styp = Styp::read_from(&mut rest).unwrap();
        assert!(rest.is_empty() && styp.compatible_brands.contains(&b"cmfs".into()));
    }
}
