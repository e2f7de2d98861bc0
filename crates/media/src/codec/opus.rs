//! Opus: the identification header (RFC 7845 5.1) or `dOps` box contents.

use bytes::Bytes;

use super::{AudioInfo, CodecError};

/// Opus decoder configuration. The decoder's output is always at 48 kHz.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpusConfig {
    channels: u8,
    pre_skip: u16,
    input_rate: u32,
    gain: i16,
}

impl OpusConfig {
    /// A configuration for mono or stereo without a header.
    #[must_use]
    pub const fn new(channels: u8) -> Self {
        Self {
            channels,
            pre_skip: 312,
            input_rate: 48_000,
            gain: 0,
        }
    }

    /// Reads an `OpusHead` packet of mapping family 0.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(head: &[u8]) -> Result<Self, CodecError> {
        let error = |reason: &str| CodecError::new("Opus", reason);
        let body = head.strip_prefix(b"OpusHead");
        let body = body.ok_or_else(|| error("no OpusHead"))?;
        let [_, channels, p0, p1, r0, r1, r2, r3, g0, g1, family, ..] = *body else {
            return Err(error("cut short"));
        };
        if family != 0 || !(1..=2).contains(&channels) {
            return Err(error("only mono and stereo are supported"));
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([p0, p1]),
            input_rate: u32::from_le_bytes([r0, r1, r2, r3]),
            gain: i16::from_le_bytes([g0, g1]),
        })
    }

    /// The `OpusHead` packet.
    #[must_use]
    pub fn head(&self) -> Bytes {
        let mut out = b"OpusHead\x01".to_vec();
        out.push(self.channels);
        out.extend(self.pre_skip.to_le_bytes());
        out.extend(self.input_rate.to_le_bytes());
        out.extend(self.gain.to_le_bytes());
        out.push(0);
        out.into()
    }

    /// Samples at 48 kHz to drop from the decoder's first output.
    #[must_use]
    pub const fn pre_skip(&self) -> u16 {
        self.pre_skip
    }

    /// The sampling rate before encoding, in Hz; for display alone.
    #[must_use]
    pub const fn input_rate(&self) -> u32 {
        self.input_rate
    }

    /// Gain to apply to the output, in dB as Q7.8.
    #[must_use]
    pub const fn gain(&self) -> i16 {
        self.gain
    }

    /// 48 kHz; frames are of 20 ms where encoders do not say otherwise.
    #[must_use]
    pub const fn audio(&self) -> AudioInfo {
        AudioInfo {
            sample_rate: 48_000,
            channels: self.channels as u16,
            samples_per_frame: Some(960),
        }
    }
}
