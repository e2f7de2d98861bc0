//! MPEG audio layer III: the frame header (ISO/IEC 11172-3 2.4.1.3, 13818-3).

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
        let audio = read(frame).ok_or_else(|| CodecError::new("MP3", "no frame header"))?;
        Ok(Self { audio })
    }

    /// Rate and channels; frames are of 1152 samples, or 576 at the lower rates.
    #[must_use]
    pub const fn audio(&self) -> AudioInfo {
        self.audio
    }
}

fn read(frame: &[u8]) -> Option<AudioInfo> {
    let [0xff, b1, b2, b3, ..] = *frame else {
        return None;
    };
    let layer_iii = b1 & 0xe6 == 0xe2;
    let base = [44_100, 48_000, 32_000].get(usize::from(b2 >> 2 & 3))?;
    // Version: 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5.
    let (divisor, samples) = match b1 >> 3 & 3 {
        3 => (1, 1152),
        2 => (2, 576),
        0 => (4, 576),
        _ => return None,
    };
    layer_iii.then_some(AudioInfo {
        sample_rate: base / divisor,
        channels: if b3 >> 6 == 3 { 1 } else { 2 },
        samples_per_frame: Some(samples),
    })
}
