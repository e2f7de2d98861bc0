//! AC-3 and E-AC-3: what the header of a frame tells (ETSI TS 102 366, 4.3 and annex E 1.3).

use super::{AudioInfo, CodecError};
use crate::bits::Bits;

/// AC-3 or E-AC-3 decoder configuration: the fields that `dac3` and `dec3` take from a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ac3Config {
    /// E-AC-3 (`ec-3`).
    pub enhanced: bool,
    /// Sampling rate code.
    pub fscod: u8,
    /// Bit stream identification.
    pub bsid: u8,
    /// Bit stream mode.
    pub bsmod: u8,
    /// Audio coding mode: which channels there are.
    pub acmod: u8,
    /// Whether there is a low-frequency channel.
    pub lfeon: bool,
    /// AC-3: half of `frmsizecod`. E-AC-3: kilobits per second.
    pub rate: u16,
    /// Rate and channels, as the codes above say.
    pub audio: AudioInfo,
}

const SYNC: u32 = 0x0b77;
const RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Channels by `acmod`.
const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
/// Audio blocks by `numblkscod`; a block is 256 samples.
const BLOCKS: [u32; 4] = [1, 2, 3, 6];

impl Ac3Config {
    /// Reads the header of a frame; E-AC-3 of one independent substream.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(frame: &[u8]) -> Result<Self, CodecError> {
        read(frame).ok_or_else(|| CodecError::new("AC-3", "no frame header"))
    }

    /// Rate and channels; AC-3 frames are of 1536 samples, those of E-AC-3 may be shorter.
    #[must_use]
    pub const fn audio(&self) -> AudioInfo {
        self.audio
    }
}

fn read(frame: &[u8]) -> Option<Ac3Config> {
    // The version lies at one place in both.
    let bsid = frame.get(5)? >> 3;
    let mut bits = Bits::new(frame);
    if bits.bits(16)? != SYNC {
        return None;
    }
    match bsid {
        0..=10 => plain(bits, bsid),
        11..=16 => enhanced(bits, bsid),
        _ => None,
    }
}

fn plain(mut bits: Bits<'_>, bsid: u8) -> Option<Ac3Config> {
    bits.skip(16)?;
    let fscod = small(bits.bits(2)?);
    let rate = bits.bits(6)? >> 1;
    bits.skip(5)?;
    let bsmod = small(bits.bits(3)?);
    let acmod = small(bits.bits(3)?);
    // Mix levels, where there is something to mix.
    if acmod & 1 == 1 && acmod != 1 {
        bits.skip(2)?;
    }
    if acmod & 4 == 4 {
        bits.skip(2)?;
    }
    if acmod == 2 {
        bits.skip(2)?;
    }
    let lfeon = bits.bit()?;
    let config = Ac3Config {
        enhanced: false,
        fscod,
        bsid,
        bsmod,
        acmod,
        lfeon,
        rate: u16::try_from(rate).ok()?,
        audio: audio(*RATES.get(usize::from(fscod))?, acmod, lfeon, 6),
    };
    Some(config)
}

fn enhanced(mut bits: Bits<'_>, bsid: u8) -> Option<Ac3Config> {
    let independent = bits.bits(2)? != 1;
    bits.skip(3)?;
    let words = bits.bits(11)? + 1;
    let fscod = small(bits.bits(2)?);
    let second = usize::try_from(bits.bits(2)?).ok()?;
    let (sample_rate, blocks) = match fscod {
        3 => (RATES.get(second)? / 2, 6),
        _ => (RATES[usize::from(fscod)], BLOCKS[second]),
    };
    let acmod = small(bits.bits(3)?);
    let lfeon = bits.bit()?;
    let kbps = words * 16 * sample_rate / (blocks * 256) / 1000;
    independent.then(|| Ac3Config {
        enhanced: true,
        fscod,
        bsid,
        bsmod: 0,
        acmod,
        lfeon,
        rate: u16::try_from(kbps).unwrap_or(u16::MAX),
        audio: audio(sample_rate, acmod, lfeon, blocks),
    })
}

fn audio(sample_rate: u32, acmod: u8, lfeon: bool, blocks: u32) -> AudioInfo {
    AudioInfo {
        sample_rate,
        channels: CHANNELS[usize::from(acmod & 7)] + u16::from(lfeon),
        samples_per_frame: Some(blocks * 256),
    }
}

fn small(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_both() {
        // ffmpeg, 48 kHz, 192 kb/s, stereo.
        let plain = [0x0b, 0x77, 0x2f, 0x5d, 0x14, 0x40, 0x43, 0xe1];
        let config = Ac3Config::parse(&plain).unwrap();
        let audio = config.audio();
        assert_eq!((audio.sample_rate, audio.channels), (48_000, 2));
        assert_eq!((config.enhanced, config.bsid, config.rate), (false, 8, 10));
        // ffmpeg, 48 kHz, 192 kb/s, 5.1.
        let enhanced = [0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x86, 0xff, 0xe1];
        let config = Ac3Config::parse(&enhanced).unwrap();
        let audio = config.audio();
        assert_eq!((audio.channels, audio.samples_per_frame), (6, Some(1536)));
        assert_eq!((config.enhanced, config.bsid, config.rate), (true, 16, 192));
        assert!(Ac3Config::parse(&plain[..5]).is_err());
        assert!(Ac3Config::parse(&[0xff; 8]).is_err());
    }
}
