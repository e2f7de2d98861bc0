//! Renditions of the sound.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::numbers::Tracks;
use super::words::AudioCodecWord;

/// One rendition of each sound track that it is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AudioRung {
    /// Unique among those of the sound.
    #[schema(example = "audio", max_length = 64, pattern = "^[A-Za-z0-9-]+$")]
    pub(super) name: String,
    /// Default `aac`. `copy` passes the sound on as it is, and takes `from` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AudioCodecWord>)]
    pub(super) codec: Option<ladder::AudioCodec>,
    /// The tracks of the source that it is made from; default `*`: each one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Tracks>,
    /// Of AAC 16..=512, default 128; of Opus 6..=256, with `channels` 2 up to 510, default 96.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 6, maximum = 512)]
    pub(super) bitrate_kbps: Option<u32>,
    /// Samples per second, 8000..=96000 as AAC has them, 48000 of Opus; default: the source's at
    /// the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 8000, maximum = 96000)]
    pub(super) sample_rate: Option<u32>,
    /// 1 or 2; default: the source's at the start, at most 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2)]
    pub(super) channels: Option<u16>,
}

impl AudioRung {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn codec(&self) -> ladder::AudioCodec {
        self.codec.unwrap_or(ladder::AudioCodec::Aac)
    }

    pub(super) fn copies(&self) -> bool {
        self.codec() == ladder::AudioCodec::Copy
    }

    fn from(&self) -> ladder::From {
        let from = self.from.as_ref();
        from.map_or(ladder::From::All, |from| from.0.clone())
    }

    fn kbps(&self) -> Option<u32> {
        let usual = match self.codec() {
            ladder::AudioCodec::Copy => return None,
            ladder::AudioCodec::Aac => 128,
            ladder::AudioCodec::Opus => 96,
        };
        Some(self.bitrate_kbps.unwrap_or(usual))
    }

    /// Every default written out that is no matter of the source.
    pub(super) fn effective(&self) -> Self {
        Self {
            codec: Some(self.codec()),
            from: Some(Tracks(self.from())),
            bitrate_kbps: self.kbps(),
            ..self.clone()
        }
    }

    pub(super) fn resolved(&self) -> ladder::AudioRung {
        ladder::AudioRung {
            name: self.name.clone(),
            number: 0,
            codec: self.codec(),
            from: self.from(),
            kbps: self.kbps().unwrap_or_default(),
            sample_rate: self.sample_rate,
            channels: self.channels,
        }
    }
}
