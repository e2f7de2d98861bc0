//! Data that is carried as it is: the FourCCs of [`OpaqueConfig`](super::OpaqueConfig) for what
//! comes in MPEG-TS. `data` holds the descriptors of its entry in the programme map, as they came,
//! so that the entry can be written again; empty where the source was none.
//!
//! A frame's `dts` is when it came, among the frames of other tracks.

/// SCTE-35 cues: each frame is one whole `splice_info_section` (ANSI/SCTE 35 9.6), as it came. The
/// frame's `pts` is the time of the splice on the frame's own clock; equal to `dts` where the
/// section tells none. Where the two disagree, `pts` holds.
pub const SCTE35: [u8; 4] = *b"CUEI";
/// Timed ID3: each frame is one PES payload, of whole tags.
pub const ID3: [u8; 4] = *b"ID3 ";
/// KLV that is shown with the picture of its time (SMPTE ST 1402, MISB ST 1402): metadata access unit cells.
pub const KLV_SYNC: [u8; 4] = *b"KLVS";
/// KLV without a close tie to any picture.
pub const KLV_ASYNC: [u8; 4] = *b"KLVA";
/// DVB teletext (ETSI EN 300 472).
pub const TELETEXT: [u8; 4] = *b"TELX";
/// DVB subtitles (ETSI EN 300 743).
pub const DVB_SUBTITLES: [u8; 4] = *b"DVBS";

/// The short name, where it is one of these.
pub(super) const fn name(fourcc: [u8; 4]) -> Option<&'static str> {
    match fourcc {
        SCTE35 => Some("scte35"),
        ID3 => Some("id3"),
        KLV_SYNC | KLV_ASYNC => Some("klv"),
        TELETEXT => Some("teletext"),
        DVB_SUBTITLES => Some("dvb_subtitles"),
        _ => None,
    }
}
