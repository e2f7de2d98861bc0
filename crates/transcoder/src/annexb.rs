//! What encoders give to what `media::Frame` holds.

use bytes::{BufMut as _, Bytes, BytesMut};
use media::nal::{NalKind, h264, h265};

/// The NAL units between start codes (ISO/IEC 14496-10 annex B).
pub(crate) fn units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(data).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = find_start_code(rest).unwrap_or(rest.len());
        let unit = &rest[..end];
        rest = after_start_code(&rest[end..]).unwrap_or_default();
        // A start code of four bytes, and stuffing, leave zeroes behind.
        let length = unit
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |last| last + 1);
        Some(&unit[..length])
    })
}

fn find_start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|w| w == [0, 0, 1])
}

fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    Some(&data[find_start_code(data)? + 3..])
}

/// An access unit of H.264 or H.265 behind lengths of four bytes, without parameter sets and
/// delimiters.
pub(crate) fn lengths(data: &[u8], is_h265: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 16);
    for unit in units(data).filter(|u| !is_left_out(u, is_h265)) {
        out.put_u32(u32::try_from(unit.len()).unwrap_or(0));
        out.put_slice(unit);
    }
    out.freeze()
}

fn is_left_out(unit: &[u8], is_h265: bool) -> bool {
    let kind = if is_h265 { h265(unit) } else { h264(unit) };
    matches!(kind, NalKind::ParameterSet | NalKind::Empty)
}

/// A temporal unit of AV1 without its temporal delimiter (AV1 ISOBMFF 2.4).
pub(crate) fn without_delimiter(data: &[u8]) -> Bytes {
    Bytes::copy_from_slice(data.strip_prefix(&[0x12, 0]).unwrap_or(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_lie_between_start_codes() {
        let data = [
            0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x65, 3, 0, 0, 0, 1, 9, 0x10,
        ];
        let found: Vec<&[u8]> = units(&data).collect();
        assert_eq!(found, [&[0x67, 1, 2][..], &[0x65, 3], &[9, 0x10]]);
        assert_eq!(&lengths(&data, false)[..], [0, 0, 0, 2, 0x65, 3]);
        assert_eq!(units(&[1, 2, 3]).count(), 0);
    }
}
