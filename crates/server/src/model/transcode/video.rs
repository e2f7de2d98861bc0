//! Renditions of the pictures.

use ladder::{Fit, Rate, RateControl, VideoCodec};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use super::numbers::Fps;
use super::words::{FitWord, VideoCodecWord};

/// One rendition of the pictures, never larger than the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VideoRung {
    /// Unique among those of the pictures; what addresses call it.
    #[schema(example = "720p", max_length = 64, pattern = "^[A-Za-z0-9-]+$")]
    pub(super) name: String,
    /// Default `h264`. `copy` passes the pictures on as they are, and takes nothing else; the
    /// keyframes of all others then are the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<VideoCodecWord>)]
    pub(super) codec: Option<VideoCodec>,
    /// 64..=8192; follows the height where it is absent. Rounded up to even.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 64, maximum = 8192)]
    pub(super) width: Option<u32>,
    /// 64..=8192; follows the width, and where neither is there it is the source's. Rounded up to
    /// even.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 64, maximum = 8192)]
    pub(super) height: Option<u32>,
    /// How a source of another aspect ratio becomes width and height; default `fit`: as large as
    /// goes into both. The others make it exactly as large: with bars, cut off, or distorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FitWord>)]
    pub(super) fit: Option<Fit>,
    /// Default `source`. 23.976, 29.97, 59.94 and 119.88 mean the rates of 1001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fps: Option<Fps>,
    /// The mean; 30..=60000. Where neither this nor `crf` is there, what is usual for the height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 30, maximum = 60000)]
    pub(super) bitrate_kbps: Option<u32>,
    /// The most, over what the buffer holds; up to 100000 and to ten times the mean, default 1.5
    /// times the mean. AV1 needs more than the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 30, maximum = 100000)]
    pub(super) max_bitrate_kbps: Option<u32>,
    /// What a decoder holds: from 20 ms of the most to 10 s of the mean; default twice the mean, or
    /// with `crf` twice the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000000)]
    pub(super) buffer_kbits: Option<u32>,
    /// A constant quality instead of a mean, the lower the better: 1..=51, of AV1 a whole number,
    /// 1..=63. `max_bitrate_kbps` caps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 1, maximum = 63)]
    pub(super) crf: Option<Number>,
    /// Speed against size, in the encoder's words: `ultrafast` to `veryslow`, of AV1 `13` to `4`;
    /// default `veryfast`, of AV1 `10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "veryfast", max_length = 16, pattern = "^[a-z0-9]+$")]
    pub(super) preset: Option<String>,
    /// What the encoder is tuned for, in its words: `zerolatency`, `film`, … Not of AV1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "zerolatency", max_length = 16, pattern = "^[a-z]+$")]
    pub(super) tune: Option<String>,
    /// Of H.264 `baseline`, `main` or `high`, of others `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "high", max_length = 16, pattern = "^[a-z]+$")]
    pub(super) profile: Option<String>,
    /// Of H.264 alone: `1.0` to `6.2`. Others find it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "4.1", max_length = 3, pattern = "^[1-6]\\.[0-3]$")]
    pub(super) level: Option<String>,
    /// The most pictures in a row that refer to later ones: of H.264 0..=16, of H.265 0..=4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 16)]
    pub(super) b_frames: Option<u8>,
    /// The most pictures that one refers to: of H.264 1..=16, of H.265 1..=6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16)]
    pub(super) refs: Option<u8>,
}

/// What is usual for H.264 up to a height at up to 30 pictures a second.
const USUAL: [(u32, u32); 8] = [
    (180, 250),
    (270, 400),
    (360, 700),
    (480, 1_200),
    (540, 1_600),
    (720, 2_500),
    (1_080, 4_500),
    (1_440, 9_000),
];
/// Above all of them.
const MOST_USUAL: u32 = 16_000;

impl VideoRung {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn copy(name: &str) -> Self {
        Self {
            codec: Some(VideoCodec::Copy),
            ..Self::new(name)
        }
    }

    pub(super) fn codec(&self) -> VideoCodec {
        self.codec.unwrap_or(VideoCodec::H264)
    }

    pub(super) fn copies(&self) -> bool {
        self.codec() == VideoCodec::Copy
    }

    pub(super) fn crf(&self) -> Option<f64> {
        self.crf.as_ref().and_then(Number::as_f64)
    }

    /// What it has without a word, every default written out that is no matter of the source.
    pub(super) fn effective(&self) -> Self {
        if self.copies() {
            return self.clone();
        }
        let mean = self.mean();
        let max = self
            .max_bitrate_kbps
            .or_else(|| mean.map(|mean| mean.saturating_mul(3) / 2));
        let usual = mean.or(max).map(|kbps| kbps.saturating_mul(2));
        Self {
            codec: Some(self.codec()),
            fit: Some(self.fit.unwrap_or(Fit::Fit)),
            fps: Some(self.fps.clone().unwrap_or(Fps::Source)),
            bitrate_kbps: mean,
            max_bitrate_kbps: max,
            buffer_kbits: self.buffer_kbits.or(usual),
            preset: Some(self.preset().to_owned()),
            ..self.clone()
        }
    }

    fn mean(&self) -> Option<u32> {
        let usual = self.crf.is_none().then(|| self.usual_kbps());
        self.bitrate_kbps.or(usual)
    }

    /// By the shorter side of what it may be large: people film upright too.
    fn usual_kbps(&self) -> u32 {
        let size = match (self.width, self.height) {
            (Some(width), Some(height)) => width.min(height),
            (None, Some(height)) => height,
            (Some(width), None) => width.saturating_mul(9) / 16,
            (None, None) => 1_080,
        };
        let usual = USUAL.iter().find(|(height, _)| size <= *height);
        let h264 = usual.map_or(MOST_USUAL, |(_, kbps)| *kbps);
        let percent = match self.codec() {
            VideoCodec::Copy | VideoCodec::H264 => 100,
            VideoCodec::H265 => 70,
            VideoCodec::Av1 => 60,
        };
        h264 * percent / 100
    }

    fn preset(&self) -> &str {
        let usual = match self.codec() {
            VideoCodec::Av1 => "10",
            _ => "veryfast",
        };
        self.preset.as_deref().unwrap_or(usual)
    }

    /// Of one that is effective, and was checked.
    pub(super) fn resolved(&self) -> ladder::VideoRung {
        if self.copies() {
            return ladder::VideoRung::copy(self.name.clone());
        }
        ladder::VideoRung {
            name: self.name.clone(),
            number: 0,
            codec: self.codec(),
            width: self.width,
            height: self.height,
            fit: self.fit.unwrap_or(Fit::Fit),
            rate: self.rate(),
            control: self.control(),
            preset: self.preset().to_owned(),
            tune: self.tune.clone(),
            profile: self.profile.clone(),
            level: self.level.clone(),
            b_frames: self.b_frames,
            refs: self.refs,
        }
    }

    fn rate(&self) -> Rate {
        let rate = self.fps.as_ref().and_then(Fps::rate);
        rate.unwrap_or(Rate::Source)
    }

    fn control(&self) -> RateControl {
        let (max, buffer) = (self.max_bitrate_kbps, self.buffer_kbits);
        if let Some(crf) = self.crf() {
            return RateControl::Crf {
                crf: crf as f32,
                max: max.zip(buffer),
            };
        }
        RateControl::Bitrate {
            kbps: self.bitrate_kbps.unwrap_or_default(),
            max_kbps: max.unwrap_or_default(),
            buffer_kbits: buffer.unwrap_or_default(),
        }
    }
}
