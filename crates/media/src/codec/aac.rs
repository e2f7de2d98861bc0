//! AAC: the `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1).

use bytes::Bytes;

use super::{AudioInfo, CodecError};
use crate::bits::Bits;

const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

const SBR: u8 = 5;
const PS: u8 = 29;

/// AAC decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacConfig {
    record: Bytes,
    object_type: u8,
    audio: AudioInfo,
}

impl AacConfig {
    /// Reads an `AudioSpecificConfig`, with SBR and PS where they are signalled explicitly.
    ///
    /// # Errors
    /// A configuration that is cut short, or has no sampling rate.
    pub fn parse(record: Bytes) -> Result<Self, CodecError> {
        let read = read(&record).ok_or_else(|| CodecError::new("AAC", "cut short"))?;
        let (object_type, audio) = read;
        if audio.sample_rate == 0 {
            return Err(CodecError::new("AAC", "no sampling rate"));
        }
        Ok(Self {
            record,
            object_type,
            audio,
        })
    }

    /// The `AudioSpecificConfig`.
    #[must_use]
    pub const fn record(&self) -> &Bytes {
        &self.record
    }

    /// The audio object type: 2 is AAC-LC, 5 HE-AAC, 29 HE-AAC v2.
    #[must_use]
    pub const fn object_type(&self) -> u8 {
        self.object_type
    }

    /// Rate and channels of the decoder's output; frames are of 1024 samples, or 2048 with SBR.
    #[must_use]
    pub const fn audio(&self) -> AudioInfo {
        self.audio
    }

    /// The ADTS header of a frame whose payload has so many bytes (ISO/IEC 13818-7 6.2). `None`
    /// for what ADTS cannot tell: other object types than 1 to 4, channels in band, other rates,
    /// frames of 960 samples or over 8 KiB.
    #[must_use]
    pub fn adts(&self, payload: usize) -> Option<[u8; 7]> {
        let core = core(&self.record)?;
        let len = u16::try_from(payload + 7).ok().filter(|n| *n < 1 << 13)?;
        let told = [
            core.object_type.checked_sub(1)?,
            core.rate_index,
            core.channels,
        ];
        let [profile @ 0..=3, rate @ 0..=12, channels @ 1..=7] = told else {
            return None;
        };
        let [len_high, len_low] = (len << 5).to_be_bytes();
        let top = u8::try_from(len >> 11).ok()?;
        (!core.short).then_some([
            0xff,
            0xf1,
            profile << 6 | rate << 2 | channels >> 2,
            channels << 6 | top,
            len_high,
            len_low | 0x1f,
            0xfc,
        ])
    }

    /// `mp4a.40.` with the audio object type.
    #[must_use]
    pub fn rfc6381(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }
}

/// What the decoder's core works on, below SBR and PS.
struct Core {
    object_type: u8,
    rate_index: u8,
    channels: u8,
    short: bool,
}

fn core(record: &[u8]) -> Option<Core> {
    let mut bits = Bits::new(record);
    let mut core = object_type(&mut bits)?;
    let rate_index = u8::try_from(bits.bits(4)?).ok()?;
    if rate_index == 15 {
        bits.skip(24)?;
    }
    let channels = u8::try_from(bits.bits(4)?).ok()?;
    if core == SBR || core == PS {
        rate(&mut bits)?;
        core = object_type(&mut bits)?;
    }
    let short = bits.bit().unwrap_or(false);
    Some(Core {
        object_type: core,
        rate_index,
        channels,
        short,
    })
}

fn read(record: &[u8]) -> Option<(u8, AudioInfo)> {
    let mut bits = Bits::new(record);
    let first = object_type(&mut bits)?;
    let core_rate = rate(&mut bits)?;
    let channels = bits.bits(4)?;
    let (mut sample_rate, mut core) = (core_rate, first);
    if first == SBR || first == PS {
        sample_rate = rate(&mut bits)?;
        core = object_type(&mut bits)?;
    }
    let short = matches!(core, 1..=4 | 6 | 7) && bits.bit().unwrap_or(false);
    let samples = if short { 960 } else { 1024 };
    let factor = if first == SBR || first == PS { 2 } else { 1 };
    let channels = match channels {
        // Parametric stereo makes two of one.
        1 if first == PS => 2,
        7 => 8,
        n => u16::try_from(n).ok()?,
    };
    Some((
        first,
        AudioInfo {
            sample_rate,
            channels,
            samples_per_frame: Some(samples * factor),
        },
    ))
}

fn object_type(bits: &mut Bits<'_>) -> Option<u8> {
    let short = bits.bits(5)?;
    let long = if short == 31 {
        32 + bits.bits(6)?
    } else {
        short
    };
    u8::try_from(long).ok()
}

fn rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.bits(4)? {
        15 => bits.bits(24),
        index => RATES.get(usize::try_from(index).ok()?).copied(),
    }
}
