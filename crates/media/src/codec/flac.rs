//! FLAC: the `STREAMINFO` block (RFC 9639 8.2).

use bytes::Bytes;

use super::{AudioInfo, CodecError};
use crate::bits::Bits;

/// FLAC decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlacConfig {
    stream_info: Bytes,
    audio: AudioInfo,
    bits_per_sample: u16,
}

const STREAM_INFO: usize = 34;

impl FlacConfig {
    /// Reads the marker `fLaC` with a `STREAMINFO` block behind it, or the contents of one alone.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(record: &Bytes) -> Result<Self, CodecError> {
        let from = if record.starts_with(b"fLaC") { 8 } else { 0 };
        let error = || CodecError::new("FLAC", "no STREAMINFO");
        if record.len() < from + STREAM_INFO {
            return Err(error());
        }
        let stream_info = record.slice(from..from + STREAM_INFO);
        let (audio, bits_per_sample) = read(&stream_info).ok_or_else(error)?;
        Ok(Self {
            stream_info,
            audio,
            bits_per_sample,
        })
    }

    /// The contents of the `STREAMINFO` block.
    #[must_use]
    pub const fn stream_info(&self) -> &Bytes {
        &self.stream_info
    }

    /// The marker and the block, which is the last one.
    #[must_use]
    pub fn head(&self) -> Bytes {
        [&b"fLaC\x80\x00\x00\x22"[..], &self.stream_info]
            .concat()
            .into()
    }

    /// Rate, channels, and the size of blocks where it is constant.
    #[must_use]
    pub const fn audio(&self) -> AudioInfo {
        self.audio
    }

    /// Bits of a sample before compression.
    #[must_use]
    pub const fn bits_per_sample(&self) -> u16 {
        self.bits_per_sample
    }
}

fn read(block: &[u8]) -> Option<(AudioInfo, u16)> {
    let mut bits = Bits::new(block);
    let (least, most) = (bits.bits(16)?, bits.bits(16)?);
    bits.skip(24)?;
    bits.skip(24)?;
    let sample_rate = bits.bits(20)?;
    let channels = u16::try_from(bits.bits(3)? + 1).ok()?;
    let depth = u16::try_from(bits.bits(5)? + 1).ok()?;
    let audio = AudioInfo {
        sample_rate,
        channels,
        samples_per_frame: (least == most && least > 0).then_some(least),
    };
    (sample_rate > 0).then_some((audio, depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_info() {
        let mut block = vec![0x12, 0x00, 0x12, 0x00, 0, 0, 0, 0, 0, 0];
        // 48,000 Hz, two channels, 16 bits.
        block.extend([0x0b, 0xb8, 0x02, 0xf0]);
        block.resize(STREAM_INFO, 0);
        let alone = FlacConfig::parse(&Bytes::from(block)).unwrap();
        let audio = alone.audio();
        assert_eq!((audio.sample_rate, audio.channels), (48_000, 2));
        assert_eq!(
            (audio.samples_per_frame, alone.bits_per_sample()),
            (Some(4608), 16)
        );
        assert_eq!(FlacConfig::parse(&alone.head()).unwrap(), alone);
        assert!(FlacConfig::parse(&alone.head().slice(..30)).is_err());
    }
}
