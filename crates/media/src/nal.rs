//! NAL units of H.264 (ITU-T H.264 7.3.1) and H.265 (ITU-T H.265 7.3.1): what kind each is, and
//! walking over length-prefixed ones.

use crate::CodecConfig;

/// What a NAL unit means to a media server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NalKind {
    /// SPS, PPS, VPS or an SPS extension: belongs in the decoder configuration.
    ParameterSet,
    /// A slice of an IDR, CRA or BLA picture.
    RandomAccess,
    /// A slice of a leading picture that may refer to what precedes the random-access point.
    Leading,
    /// A slice of any other picture.
    Slice,
    /// Supplemental information that names a recovery point.
    RecoveryPoint,
    /// Delimiters and filler: carries nothing.
    Empty,
    /// Anything else.
    Other,
}

/// Reads the kind of an H.264 NAL unit, given with its header.
#[must_use]
pub fn h264(nal: &[u8]) -> NalKind {
    match nal.first().map(|b| b & 0x1f) {
        Some(7 | 8 | 13 | 15) => NalKind::ParameterSet,
        Some(5) => NalKind::RandomAccess,
        Some(1..=4) => NalKind::Slice,
        Some(6) if has_recovery_point(&nal[1..]) => NalKind::RecoveryPoint,
        Some(9 | 12) | None => NalKind::Empty,
        Some(_) => NalKind::Other,
    }
}

/// Reads the kind of an H.265 NAL unit, given with its header.
#[must_use]
pub fn h265(nal: &[u8]) -> NalKind {
    match nal.first().map(|b| b >> 1 & 0x3f) {
        Some(32..=34) => NalKind::ParameterSet,
        Some(16..=21) => NalKind::RandomAccess,
        Some(6..=9) => NalKind::Leading,
        Some(0..=5) => NalKind::Slice,
        Some(39) if nal.len() > 2 && has_recovery_point(&nal[2..]) => NalKind::RecoveryPoint,
        Some(35 | 38) | None => NalKind::Empty,
        Some(_) => NalKind::Other,
    }
}

fn has_recovery_point(body: &[u8]) -> bool {
    SeiMessages(body).any(|(kind, _)| kind == 6)
}

/// Whether an access unit carries closed captions: CEA-608 or 708 in `GA94` user data (ATSC A/53
/// part 4, 6.2.3), as SEI messages of H.264 and H.265 hold it.
#[must_use]
pub fn has_captions(config: &CodecConfig, access_unit: &[u8]) -> bool {
    const USER_DATA_T35: u32 = 4;
    const ATSC_CAPTIONS: &[u8] = b"\xb5\x00\x31GA94\x03";
    let (length_size, header) = match config {
        CodecConfig::H264(c) => (c.nal_length_size(), 1),
        CodecConfig::H265(c) => (c.nal_length_size(), 2),
        _ => return false,
    };
    let sei = |nal: &&[u8]| match (header, nal.first()) {
        (1, Some(b)) => b & 0x1f == 6,
        (_, Some(b)) => matches!(b >> 1 & 0x3f, 39 | 40),
        (_, None) => false,
    };
    Units::new(access_unit, length_size)
        .map_while(Result::ok)
        .filter(sei)
        .flat_map(|nal| SeiMessages(nal.get(header..).unwrap_or_default()))
        .any(|(kind, payload)| kind == USER_DATA_T35 && payload.starts_with(ATSC_CAPTIONS))
}

/// The messages of a SEI NAL unit's body: payload type and payload (H.264 7.3.2.3.1).
struct SeiMessages<'a>(&'a [u8]);

impl<'a> Iterator for SeiMessages<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The last byte or two are trailing bits.
        if self.0.len() <= 2 {
            return None;
        }
        let kind = sei_number(&mut self.0)?;
        let size = usize::try_from(sei_number(&mut self.0)?).ok()?;
        // One that is cut short ends the walk, and is told all the same.
        let (payload, rest) = self.0.split_at_checked(size).unwrap_or((self.0, &[]));
        self.0 = rest;
        Some((kind, payload))
    }
}

/// A number in steps of 255 (H.264 7.3.2.3.1).
fn sei_number(body: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    loop {
        let (byte, rest) = body.split_first()?;
        *body = rest;
        value = value.checked_add(u32::from(*byte))?;
        if *byte != 0xff {
            return Some(value);
        }
    }
}

/// Walks over NAL units that are each prefixed by their length.
#[derive(Debug, Clone)]
pub struct Units<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> Units<'a> {
    /// `length_size` is 1..=4 bytes, as the decoder configuration tells.
    #[must_use]
    pub const fn new(data: &'a [u8], length_size: usize) -> Self {
        Self {
            rest: data,
            length_size,
        }
    }
}

/// A length that reaches beyond the access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a NAL unit is cut short")]
pub struct CutShort;

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8], CutShort>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let unit = self
            .rest
            .split_at_checked(self.length_size)
            .and_then(|(len, rest)| {
                let len = len.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b));
                rest.split_at_checked(len)
            });
        let Some((unit, rest)) = unit else {
            self.rest = &[];
            return Some(Err(CutShort));
        };
        self.rest = rest;
        Some(Ok(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        assert_eq!(h264(&[0x67, 0]), NalKind::ParameterSet);
        assert_eq!(h264(&[0x65, 0]), NalKind::RandomAccess);
        assert_eq!(
            h264(&[0x06, 5, 1, 0, 6, 1, 0x84, 0x80]),
            NalKind::RecoveryPoint
        );
        assert_eq!(h264(&[0x06, 5, 200, 0, 6, 1, 0x84, 0x80]), NalKind::Other);
        assert_eq!(h265(&[21 << 1, 1]), NalKind::RandomAccess);
        assert_eq!(h265(&[8 << 1, 1]), NalKind::Leading);
        assert_eq!(h265(&[]), NalKind::Empty);
    }

    #[test]
    fn captions_are_found_among_other_messages() {
        let avcc = b"\x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xda\x02\x80\xbf\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x58\xba\x80\x01\x00\x04\x68\xce\x0f\xc8";
        let config = crate::codec::H264Config::parse(bytes::Bytes::from_static(avcc)).unwrap();
        let config = CodecConfig::H264(config);
        let unit = |nal: &[u8]| [&[0, 0, 0, u8::try_from(nal.len()).unwrap()], nal].concat();
        let captions = b"\x06\x05\x01\xaa\x04\x0b\xb5\x00\x31GA94\x03\xc0\xff\xfc\x80";
        let slice = unit(&[0x65, 1, 2, 3]);
        let with = [unit(captions), slice.clone()].concat();
        assert!(has_captions(&config, &with));
        let other = [unit(&[&captions[..9], &[0x32; 8][..]].concat()), slice].concat();
        assert!(!has_captions(&config, &other));
        assert!(!has_captions(&config, &with[..7]));
    }

    #[test]
    fn units_end_where_a_length_lies() {
        let good = [0, 0, 0, 1, 9, 0, 0, 0, 2, 5, 6];
        let units: Vec<_> = Units::new(&good, 4).collect();
        assert_eq!(units, [Ok(&[9][..]), Ok(&[5, 6][..])]);
        let bad = [0, 0, 0, 1, 9, 0xff, 0xff, 0xff, 0xff, 5];
        assert_eq!(Units::new(&bad, 4).last(), Some(Err(CutShort)));
    }
}
