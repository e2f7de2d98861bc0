//! VP9: the `VPCodecConfigurationRecord` (VP Codec ISO Media File Format Binding 1.0) and the
//! uncompressed header of a keyframe (VP9 bitstream specification 6.2).

use bytes::Bytes;

use super::{CodecError, VideoInfo};
use crate::bits::Bits;

/// VP9 decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vp9Config {
    record: Bytes,
    video: VideoInfo,
}

/// Version and flags, then eight bytes up to the size of the initialisation data, which is zero.
const RECORD: usize = 12;
const SYNC: u32 = 0x49_83_42;
/// Colour spaces of the header; RGB has no subsampling of its own.
const RGB: u32 = 7;

impl Vp9Config {
    /// From a `VPCodecConfigurationRecord` with version and flags, and the first keyframe: the
    /// record does not tell the size of the pictures.
    ///
    /// # Errors
    /// A record that is cut short, or a frame that is no keyframe.
    pub fn parse(record: Bytes, keyframe: &[u8]) -> Result<Self, CodecError> {
        let size = size(keyframe).ok_or_else(|| CodecError::new("VP9", "no keyframe"))?;
        Self::with_size(record, size)
    }

    /// From a `VPCodecConfigurationRecord` with version and flags, and the width and height of the
    /// pictures.
    ///
    /// # Errors
    /// A record that is cut short.
    pub fn with_size(record: Bytes, (width, height): (u32, u32)) -> Result<Self, CodecError> {
        if record.len() < RECORD {
            return Err(CodecError::new("VP9", "no configuration record"));
        }
        let video = VideoInfo {
            width,
            height,
            frame_rate: None,
        };
        Ok(Self { record, video })
    }

    /// The `VPCodecConfigurationRecord`, with version and flags.
    #[must_use]
    pub const fn record(&self) -> &Bytes {
        &self.record
    }

    /// Size from the first keyframe.
    #[must_use]
    pub const fn video(&self) -> VideoInfo {
        self.video
    }

    /// `vp09.PP.LL.DD`.
    #[must_use]
    pub fn rfc6381(&self) -> String {
        let byte = |i: usize| self.record.get(i).copied().unwrap_or(0);
        // Level 0 is "not known", which the string cannot say: 1 is the lowest.
        let level = byte(5).max(10);
        format!("vp09.{:02}.{level:02}.{:02}", byte(4), byte(6) >> 4)
    }
}

fn size(frame: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(frame);
    if bits.bits(2)? != 2 {
        return None;
    }
    let profile = bits.bits(1)? | bits.bits(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (existing, inter) = (bits.bit()?, bits.bit()?);
    if existing || inter {
        return None;
    }
    bits.skip(2)?;
    if bits.bits(24)? != SYNC {
        return None;
    }
    skip_colour(&mut bits, profile)?;
    Some((bits.bits(16)? + 1, bits.bits(16)? + 1))
}

fn skip_colour(bits: &mut Bits<'_>, profile: u32) -> Option<()> {
    if profile >= 2 {
        bits.skip(1)?;
    }
    let subsampled = profile == 1 || profile == 3;
    match (bits.bits(3)? == RGB, subsampled) {
        (true, true) => bits.skip(1),
        (true, false) => Some(()),
        (false, true) => bits.skip(4),
        (false, false) => bits.skip(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_and_a_keyframe_tell_all() {
        let record = Bytes::from_static(&[1, 0, 0, 0, 0, 11, 0x82, 2, 2, 2, 0, 0]);
        // libvpx, 320x180, profile 0.
        let keyframe = [0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0, 0x0b, 0x30];
        let config = Vp9Config::parse(record.clone(), &keyframe).unwrap();
        assert_eq!((config.video().width, config.video().height), (320, 180));
        assert_eq!(config.rfc6381(), "vp09.00.11.08");
        assert!(Vp9Config::parse(record.slice(..5), &keyframe).is_err());
        assert!(Vp9Config::parse(record, &keyframe[..6]).is_err());
    }
}
