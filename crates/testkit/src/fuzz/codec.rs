//! Decoder configurations as encoders send them.

use bytes::Bytes;
use container::fmp4::init_segment;
use media::codec::{
    AacConfig, Ac3Config, Av1Config, FlacConfig, H264Config, H265Config, Mp3Config, OpusConfig,
    Vp9Config,
};
use media::{CodecConfig, Track, TrackId};

/// `AVCDecoderConfigurationRecord`.
pub fn avc(data: &[u8]) {
    let Ok(config) = H264Config::parse(Bytes::copy_from_slice(data)) else {
        return;
    };
    let sets = config.parameter_sets();
    let of = |kind: u8| {
        sets.iter()
            .find(|s| s.first().map(|b| b & 0x1f) == Some(kind))
    };
    if let (Some(sps), Some(pps)) = (of(7), of(8))
        && let Ok(made) = H264Config::from_parameter_sets(sps, pps)
    {
        assert_eq!(H264Config::parse(made.record().clone()).as_ref(), Ok(&made));
        assert_eq!(made.parameter_sets(), [*sps, *pps]);
    }
    examine(&CodecConfig::H264(config));
}

/// `HEVCDecoderConfigurationRecord`.
pub fn hevc(data: &[u8]) {
    let Ok(config) = H265Config::parse(Bytes::copy_from_slice(data)) else {
        return;
    };
    let sets = config.parameter_sets();
    let kind = |set: &[u8]| set.first().map_or(0, |b| b >> 1 & 0x3f);
    let sets: Vec<(u8, &[u8])> = sets.iter().map(|s| (kind(s), *s)).collect();
    if let Ok(made) = config.with_parameter_sets(&sets) {
        assert_eq!(H265Config::parse(made.record().clone()).as_ref(), Ok(&made));
        // A byte of the record counts them.
        if sets.len() < 256 {
            let same: Vec<&[u8]> = sets.iter().map(|(_, s)| *s).collect();
            assert_eq!(made.parameter_sets(), same);
        }
    }
    examine(&CodecConfig::H265(config));
}

/// `AV1CodecConfigurationRecord`.
pub fn av1(data: &[u8]) {
    if let Ok(config) = Av1Config::parse(Bytes::copy_from_slice(data)) {
        examine(&CodecConfig::Av1(config));
    }
}

/// `VPCodecConfigurationRecord` of twelve bytes, and a keyframe.
pub fn vp9(data: &[u8]) {
    let (record, frame) = data.split_at(data.len().min(12));
    if let Ok(config) = Vp9Config::parse(Bytes::copy_from_slice(record), frame) {
        examine(&CodecConfig::Vp9(config));
    }
}

/// `AudioSpecificConfig`.
pub fn aac(data: &[u8]) {
    if let Ok(config) = AacConfig::parse(Bytes::copy_from_slice(data)) {
        examine(&CodecConfig::Aac(config));
    }
}

/// `STREAMINFO`, and the frames that tell their codec's configuration themselves.
pub fn other_audio(data: &[u8]) {
    if let Ok(config) = FlacConfig::parse(&Bytes::copy_from_slice(data)) {
        examine(&CodecConfig::Flac(config));
    }
    if let Ok(config) = Ac3Config::parse(data) {
        examine(&CodecConfig::Ac3(config));
    }
    if let Ok(config) = Mp3Config::parse(data) {
        examine(&CodecConfig::Mp3(config));
    }
}

/// `OpusHead`.
pub fn opus(data: &[u8]) {
    if let Ok(config) = OpusConfig::parse(data) {
        examine(&CodecConfig::Opus(config));
    }
}

/// What must hold for every configuration that was read.
pub(super) fn examine(config: &CodecConfig) {
    assert_eq!(parse_again(config).as_ref(), Some(config));
    for size in [1, 2, 4] {
        let other = config.with_nal_length_size(size);
        if matches!(config, CodecConfig::H264(_) | CodecConfig::H265(_)) {
            assert_eq!(other.nal_length_size(), size);
        }
        assert_eq!(parse_again(&other), Some(other));
    }
    // It stands between quotes in a playlist, among others.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let named = config.rfc6381();
    assert!(named.is_none_or(|name| !name.is_empty() && name.chars().all(plain)));
    if let Some(audio) = config.audio() {
        assert!(audio.sample_rate > 0 && audio.samples_per_frame != Some(0));
    }
    if let Some((num, den)) = config.video().and_then(|v| v.frame_rate) {
        assert!(num > 0 && den > 0);
    }
    let _ = init_segment(&Track::new(TrackId(0), config.clone()));
}

fn parse_again(config: &CodecConfig) -> Option<CodecConfig> {
    Some(match config {
        CodecConfig::H264(c) => CodecConfig::H264(H264Config::parse(c.record().clone()).ok()?),
        CodecConfig::H265(c) => CodecConfig::H265(H265Config::parse(c.record().clone()).ok()?),
        CodecConfig::Av1(c) => CodecConfig::Av1(Av1Config::parse(c.record().clone()).ok()?),
        CodecConfig::Aac(c) => CodecConfig::Aac(AacConfig::parse(c.record().clone()).ok()?),
        CodecConfig::Opus(c) => CodecConfig::Opus(OpusConfig::parse(&c.head()).ok()?),
        CodecConfig::Flac(c) => CodecConfig::Flac(FlacConfig::parse(&c.head()).ok()?),
        other => other.clone(),
    })
}
