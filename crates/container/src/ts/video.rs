//! H.264 and H.265 in PES packets: NAL units between start codes (annex B of each).

use bytes::{BufMut as _, Bytes, BytesMut};
use media::CodecConfig;
use media::codec::{CodecError, H264Config, H265Config};
use media::nal::{self, NalKind};

/// More parameter sets before a keyframe than any encoder sends.
const SETS: usize = 64;

/// One track's access units, brought into the canonical shape.
#[derive(Debug)]
pub(super) struct Video {
    h265: bool,
    /// Parameter sets that came since the last keyframe, each once.
    fresh: Vec<Bytes>,
    config: Option<CodecConfig>,
}

/// One access unit.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) random_access: bool,
    pub(super) leading: bool,
    pub(super) payload: Bytes,
    /// The configuration from here on, where it is a new one.
    pub(super) config: Option<CodecConfig>,
}

impl Video {
    pub(super) const fn new(h265: bool) -> Self {
        Self {
            h265,
            fresh: Vec::new(),
            config: None,
        }
    }

    /// # Errors
    /// Why there is no access unit in it.
    pub(super) fn read(&mut self, payload: &[u8]) -> Result<Access, &'static str> {
        let (mut random_access, mut leading, mut slices) = (false, false, false);
        let mut out = BytesMut::with_capacity(payload.len() + 16);
        for unit in Units::new(payload) {
            let kind = if self.h265 {
                nal::h265(unit)
            } else {
                nal::h264(unit)
            };
            match kind {
                NalKind::ParameterSet => {
                    self.keep(unit);
                    continue;
                }
                NalKind::Empty => continue,
                NalKind::RandomAccess => (random_access, slices) = (true, true),
                NalKind::RecoveryPoint => random_access = true,
                NalKind::Leading => (leading, slices) = (true, true),
                NalKind::Slice => slices = true,
                NalKind::Other => {}
            }
            out.put_u32(u32::try_from(unit.len()).unwrap_or(0));
            out.put_slice(unit);
        }
        if !slices {
            return Err("video without slices");
        }
        let config = if random_access {
            self.configure()?
        } else {
            None
        };
        if self.config.is_none() {
            return Err("video before its parameter sets");
        }
        Ok(Access {
            random_access,
            leading,
            payload: out.freeze(),
            config,
        })
    }

    fn keep(&mut self, set: &[u8]) {
        if self.fresh.len() < SETS && !self.fresh.iter().any(|s| s == set) {
            self.fresh.push(Bytes::copy_from_slice(set));
        }
    }

    fn kind(&self, set: &[u8]) -> u8 {
        let byte = set.first().copied().unwrap_or(0);
        if self.h265 {
            byte >> 1 & 0x3f
        } else {
            byte & 0x1f
        }
    }

    /// A keyframe is there: what came before it takes effect, where it is not known already.
    fn configure(&mut self) -> Result<Option<CodecConfig>, &'static str> {
        let fresh = std::mem::take(&mut self.fresh);
        let known = match &self.config {
            Some(CodecConfig::H264(c)) => c.parameter_sets(),
            Some(CodecConfig::H265(c)) => c.parameter_sets(),
            _ => Vec::new(),
        };
        if fresh.iter().all(|s| known.contains(&&s[..])) {
            return Ok(None);
        }
        // Of kinds that did not come again, the known ones hold.
        let came = |kind| fresh.iter().any(|s| self.kind(s) == kind);
        let held = known.iter().filter(|s| !came(self.kind(s)));
        let sets: Vec<&[u8]> = held.copied().chain(fresh.iter().map(|s| &s[..])).collect();
        let config = self.build(&sets).map_err(|_| "unreadable parameter sets")?;
        self.config = Some(config.clone());
        Ok(Some(config))
    }

    fn build(&self, sets: &[&[u8]]) -> Result<CodecConfig, CodecError> {
        Ok(if self.h265 {
            CodecConfig::H265(H265Config::from_sets(sets)?)
        } else {
            CodecConfig::H264(H264Config::from_sets(sets)?)
        })
    }
}

/// Walks over NAL units between start codes.
pub(super) struct Units<'a> {
    rest: &'a [u8],
    /// Zeros before a start code are the unit's own.
    exact: bool,
}

impl<'a> Units<'a> {
    fn new(data: &'a [u8]) -> Self {
        let rest = start_code(data).map_or(&[][..], |at| &data[at + 3..]);
        Self { rest, exact: false }
    }

    /// Of units that may end with zeros.
    pub(super) fn exact(data: &'a [u8]) -> Self {
        Self {
            exact: true,
            ..Self::new(data)
        }
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = start_code(self.rest);
            let unit = &self.rest[..end.unwrap_or(self.rest.len())];
            self.rest = end.map_or(&[][..], |at| &self.rest[at + 3..]);
            // Zeros before a start code belong to neither.
            let last = unit.iter().rposition(|b| *b != 0 || self.exact);
            let len = last.map_or(0, |at| at + 1);
            if len > 0 {
                return Some(&unit[..len]);
            }
        }
        None
    }
}

/// Where the next 00 00 01 is.
fn start_code(data: &[u8]) -> Option<usize> {
    let mut at = 2;
    while let Some(byte) = data.get(at) {
        match byte {
            0 => at += 1,
            1 if data[at - 2..at] == [0, 0] => return Some(at - 2),
            // Neither this byte nor those before it begin one.
            _ => at += 3,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_between_start_codes() {
        let data = [
            9, 9, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 0, 1, 0x65, 0, 0, 3, 1,
        ];
        let units: Vec<_> = Units::new(&data).collect();
        assert_eq!(units, [&[0x67, 1][..], &[0x68, 2], &[0x65, 0, 0, 3, 1]]);
        assert_eq!(Units::new(&[0, 0, 1]).count(), 0);
        assert_eq!(Units::new(&[1, 2, 3]).count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_start_code_is_found(data in prop::collection::vec(0_u8..3, 0..60)) {
            let slow = data.windows(3).position(|w| w == [0, 0, 1]);
            prop_assert_eq!(start_code(&data), slow);
        }
    }
}
