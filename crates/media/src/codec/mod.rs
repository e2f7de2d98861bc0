//! Decoder configurations, and what can be read from them.
//!
//! A `CodecConfig` alone yields the RFC 6381 string, and everything that a sample entry or an SDP
//! line needs.

mod aac;
mod ac3;
mod av1;
pub mod data;
mod flac;
mod h264;
mod h265;
mod h265_sps;
mod mp3;
mod opus;
mod sets;
mod vp9;

use bytes::Bytes;

pub use aac::AacConfig;
pub use ac3::Ac3Config;
pub use av1::Av1Config;
pub use flac::FlacConfig;
pub use h264::H264Config;
pub use h265::H265Config;
pub use mp3::{Mp2Config, Mp3Config};
pub use opus::OpusConfig;
pub use vp9::Vp9Config;

use crate::TrackKind;

/// Decoder configuration of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecConfig {
    /// H.264 / AVC.
    H264(H264Config),
    /// H.265 / HEVC.
    H265(H265Config),
    /// AV1.
    Av1(Av1Config),
    /// VP9.
    Vp9(Vp9Config),
    /// AAC in any of its object types.
    Aac(AacConfig),
    /// Opus.
    Opus(OpusConfig),
    /// MPEG-1/2 audio layer II.
    Mp2(Mp2Config),
    /// MPEG-1/2 audio layer III.
    Mp3(Mp3Config),
    /// AC-3 and E-AC-3.
    Ac3(Ac3Config),
    /// FLAC.
    Flac(FlacConfig),
    /// A codec that Weir carries without reading it.
    Opaque(OpaqueConfig),
}

/// Pictures, as the codec headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoInfo {
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// Frames per second as numerator and denominator, where the headers tell it.
    pub frame_rate: Option<(u32, u32)>,
}

/// Sound, as the codec headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioInfo {
    /// Samples per second that come out of the decoder.
    pub sample_rate: u32,
    /// Channels that come out of the decoder.
    pub channels: u16,
    /// Samples per channel in one frame at `sample_rate`, where it is constant.
    pub samples_per_frame: Option<u32>,
}

/// A decoder configuration that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{codec} configuration: {reason}")]
pub struct CodecError {
    codec: &'static str,
    reason: String,
}

impl CodecError {
    pub(crate) fn new(codec: &'static str, reason: impl Into<String>) -> Self {
        Self {
            codec,
            reason: reason.into(),
        }
    }
}

/// A codec that Weir carries without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueConfig {
    /// What it carries.
    pub kind: TrackKind,
    /// The sample entry code or FourCC it came under.
    pub fourcc: [u8; 4],
    /// The decoder configuration as it came.
    pub data: Bytes,
}

impl CodecConfig {
    /// What a track of this codec carries.
    #[must_use]
    pub const fn kind(&self) -> TrackKind {
        match self {
            Self::H264(_) | Self::H265(_) | Self::Av1(_) | Self::Vp9(_) => TrackKind::Video,
            Self::Aac(_)
            | Self::Opus(_)
            | Self::Mp2(_)
            | Self::Mp3(_)
            | Self::Ac3(_)
            | Self::Flac(_) => TrackKind::Audio,
            Self::Opaque(o) => o.kind,
        }
    }

    /// The same with another size of NAL unit lengths, where there are any.
    #[must_use]
    pub fn with_nal_length_size(&self, size: usize) -> Self {
        match self {
            Self::H264(c) => Self::H264(c.with_nal_length_size(size)),
            Self::H265(c) => Self::H265(c.with_nal_length_size(size)),
            other => other.clone(),
        }
    }

    /// Bytes in a NAL unit's length field; 4 where there are no NAL units.
    #[must_use]
    pub fn nal_length_size(&self) -> usize {
        match self {
            Self::H264(c) => c.nal_length_size(),
            Self::H265(c) => c.nal_length_size(),
            _ => 4,
        }
    }

    /// The codec's short name, as used in the API, in logs and in metric labels.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::H264(_) => "h264",
            Self::H265(_) => "h265",
            Self::Av1(_) => "av1",
            Self::Vp9(_) => "vp9",
            Self::Aac(_) => "aac",
            Self::Opus(_) => "opus",
            Self::Mp2(_) => "mp2",
            Self::Mp3(_) => "mp3",
            Self::Ac3(c) if c.enhanced => "eac3",
            Self::Ac3(_) => "ac3",
            Self::Flac(_) => "flac",
            Self::Opaque(c) => match data::name(c.fourcc) {
                Some(name) => name,
                None => "opaque",
            },
        }
    }

    /// Size and rate of the pictures; `None` for other kinds and opaque codecs.
    #[must_use]
    pub const fn video(&self) -> Option<VideoInfo> {
        match self {
            Self::H264(c) => Some(c.video()),
            Self::H265(c) => Some(c.video()),
            Self::Av1(c) => Some(c.video()),
            Self::Vp9(c) => Some(c.video()),
            _ => None,
        }
    }

    /// Rate and channels of the sound; `None` for other kinds and opaque codecs.
    #[must_use]
    pub const fn audio(&self) -> Option<AudioInfo> {
        match self {
            Self::Aac(c) => Some(c.audio()),
            Self::Opus(c) => Some(c.audio()),
            Self::Mp2(c) => Some(c.audio()),
            Self::Mp3(c) => Some(c.audio()),
            Self::Ac3(c) => Some(c.audio()),
            Self::Flac(c) => Some(c.audio()),
            _ => None,
        }
    }

    /// The `codecs` parameter of RFC 6381, e.g. `avc1.64001f`, `hvc1.1.6.L93.B0`, `mp4a.40.2`,
    /// `opus`. `None` for an opaque codec.
    #[must_use]
    pub fn rfc6381(&self) -> Option<String> {
        match self {
            Self::H264(c) => Some(c.rfc6381()),
            Self::H265(c) => Some(c.rfc6381()),
            Self::Av1(c) => Some(c.rfc6381()),
            Self::Aac(c) => Some(c.rfc6381()),
            Self::Opus(_) => Some("opus".to_owned()),
            Self::Mp2(_) => Some("mp4a.40.33".to_owned()),
            Self::Mp3(_) => Some("mp4a.40.34".to_owned()),
            Self::Vp9(c) => Some(c.rfc6381()),
            Self::Ac3(c) => Some(if c.enhanced { "ec-3" } else { "ac-3" }.to_owned()),
            Self::Flac(_) => Some("fLaC".to_owned()),
            Self::Opaque(_) => None,
        }
    }
}

/// A record's byte that tells the size of lengths (less one) in its lowest two bits.
fn length_size(byte: u8, size: usize) -> u8 {
    byte & !3 | u8::try_from(size.clamp(1, 4) - 1).unwrap_or(3)
}

/// A rate in lowest terms; `None` where either part is zero.
fn reduce(num: u32, den: u32) -> Option<(u32, u32)> {
    let (mut a, mut b) = (num, den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (num > 0 && den > 0).then(|| (num / a, den / a))
}

#[cfg(test)]
mod tests;
