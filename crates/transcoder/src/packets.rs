//! Encoders' configurations and access units in the words of `media`.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use ladder::{AudioCodec, VideoCodec};
use media::CodecConfig;
use media::codec::{AacConfig, Av1Config, H264Config, H265Config, OpusConfig};

use crate::annexb;

/// The configuration that a video encoder told.
pub(crate) fn video_config(codec: VideoCodec, extradata: &[u8]) -> Result<CodecConfig> {
    let sets: Vec<&[u8]> = annexb::units(extradata).collect();
    Ok(match codec {
        VideoCodec::H264 => CodecConfig::H264(H264Config::from_sets(&sets)?),
        VideoCodec::H265 => CodecConfig::H265(H265Config::from_sets(&sets)?),
        VideoCodec::Av1 => CodecConfig::Av1(Av1Config::from_obus(extradata)?),
        VideoCodec::Copy => None.context("nothing is encoded")?,
    })
}

/// The configuration that an audio encoder told.
pub(crate) fn audio_config(codec: AudioCodec, extradata: &[u8]) -> Result<CodecConfig> {
    Ok(match codec {
        AudioCodec::Aac => CodecConfig::Aac(AacConfig::parse(Bytes::copy_from_slice(extradata))?),
        AudioCodec::Opus => CodecConfig::Opus(OpusConfig::parse(extradata)?),
        AudioCodec::Copy => None.context("nothing is encoded")?,
    })
}

/// An access unit in the shape of `media::Frame`.
pub(crate) fn payload(codec: VideoCodec, data: &[u8]) -> Bytes {
    match codec {
        VideoCodec::H264 => annexb::lengths(data, false),
        VideoCodec::H265 => annexb::lengths(data, true),
        VideoCodec::Av1 | VideoCodec::Copy => annexb::without_delimiter(data),
    }
}
