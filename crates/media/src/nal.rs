//! NAL units of H.264 (ITU-T H.264 7.3.1) and H.265 (ITU-T H.265 7.3.1): what kind each is, and
//! walking over length-prefixed ones.

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

/// Whether the SEI messages of a NAL unit's body include a recovery point (payload type 6).
fn has_recovery_point(mut body: &[u8]) -> bool {
    const RECOVERY_POINT: u32 = 6;
    while body.len() > 2 {
        let Some(kind) = sei_number(&mut body) else {
            return false;
        };
        let Some(size) = sei_number(&mut body) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return true;
        }
        let Some(rest) = usize::try_from(size).ok().and_then(|n| body.get(n..)) else {
            return false;
        };
        body = rest;
    }
    false
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
    fn units_end_where_a_length_lies() {
        let good = [0, 0, 0, 1, 9, 0, 0, 0, 2, 5, 6];
        let units: Vec<_> = Units::new(&good, 4).collect();
        assert_eq!(units, [Ok(&[9][..]), Ok(&[5, 6][..])]);
        let bad = [0, 0, 0, 1, 9, 0xff, 0xff, 0xff, 0xff, 5];
        assert_eq!(Units::new(&bad, 4).last(), Some(Err(CutShort)));
    }
}
