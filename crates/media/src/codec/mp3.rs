//! MPEG audio layers II and III: the frame header (ISO/IEC 11172-3 2.4.1.3, 13818-3).

use super::{AudioInfo, CodecError};

/// MP3 decoder configuration: what the first frame's header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mp3Config {
    audio: AudioInfo,
}

impl Mp3Config {
    /// Reads a frame header.
    ///
    /// # Errors
    /// Anything that is no layer III frame header.
    pub fn parse(frame: &[u8]) -> Result<Self, CodecError> {
        let audio =
            read(frame, LAYER_III).ok_or_else(|| CodecError::new("MP3", "no frame header"))?;
        Ok(Self { audio })
    }

    /// As a header with these figures would have told.
    #[must_use]
    pub const fn new(audio: AudioInfo) -> Self {
        Self { audio }
    }

    /// Rate and channels; frames are of 1152 samples, or 576 at the lower rates.
    #[must_use]
    pub const fn audio(&self) -> AudioInfo {
        self.audio
    }
}

/// MP2 decoder configuration: what the first frame's header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mp2Config {
    audio: AudioInfo,
}

impl Mp2Config {
    /// Reads a frame header.
    ///
    /// # Errors
    /// Anything that is no layer II frame header.
    pub fn parse(frame: &[u8]) -> Result<Self, CodecError> {
        let audio =
            read(frame, LAYER_II).ok_or_else(|| CodecError::new("MP2", "no frame header"))?;
        Ok(Self { audio })
    }

    /// As a header with these figures would have told.
    #[must_use]
    pub const fn new(audio: AudioInfo) -> Self {
        Self { audio }
    }

    /// Rate and channels; frames are of 1152 samples.
    #[must_use]
    pub const fn audio(&self) -> AudioInfo {
        self.audio
    }
}

const LAYER_II: u8 = 2;
const LAYER_III: u8 = 1;

fn read(frame: &[u8], layer: u8) -> Option<AudioInfo> {
    let [0xff, b1, b2, b3, ..] = *frame else {
        return None;
    };
    let base = [44_100, 48_000, 32_000].get(usize::from(b2 >> 2 & 3))?;
    // Version: 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5.
    let divisor = match b1 >> 3 & 3 {
        3 => 1,
        2 => 2,
        0 => 4,
        _ => return None,
    };
    let is_whole = layer == LAYER_II || divisor == 1;
    (b1 >> 5 == 7 && b1 >> 1 & 3 == layer).then_some(AudioInfo {
        sample_rate: base / divisor,
        channels: if b3 >> 6 == 3 { 1 } else { 2 },
        samples_per_frame: Some(if is_whole { 1152 } else { 576 }),
    })
}
