//! Renditions of the sound.

use serde::{Deserialize, Serialize};

/// One rendition of each sound track that it is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRung {
    /// What it is called in figures; unique in its ladder.
    pub name: String,
    /// Its number among the outputs ([`crate::Ladder::numbered`]).
    pub number: u8,
    /// What it is encoded with.
    pub codec: AudioCodec,
    /// The tracks that it is made from.
    pub from: From,
    /// Kilobits per second.
    pub kbps: u32,
    /// Samples per second; the source's at the start where it is not told.
    pub sample_rate: Option<u32>,
    /// Channels, 1 or 2; the source's at the start, at most 2, where it is not told.
    pub channels: Option<u16>,
}

/// What sound is encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioCodec {
    /// It is passed on as it came.
    Copy,
    /// AAC-LC, by libavcodec's own encoder.
    Aac,
    /// Opus, by libopus.
    Opus,
}

/// Which sound tracks of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// Each one.
    All,
    /// The one of this number, from 0.
    Track(u16),
    /// Those of this BCP 47 language, or of a language of the same primary subtag.
    Language(String),
}

impl AudioCodec {
    /// As [`crate::Capabilities`] call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Aac => "aac",
            Self::Opus => "opus",
        }
    }

    /// The encoder in libavcodec; `None` where nothing is encoded.
    #[must_use]
    pub const fn encoder(self) -> Option<&'static str> {
        match self {
            Self::Copy => None,
            Self::Aac => Some("aac"),
            Self::Opus => Some("libopus"),
        }
    }

    /// The sampling rates that it takes.
    #[must_use]
    pub const fn sample_rates(self) -> &'static [u32] {
        match self {
            Self::Copy => &[],
            Self::Aac => &[
                96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000,
                11_025, 8_000,
            ],
            Self::Opus => &[48_000],
        }
    }

    /// Samples in a packet, per channel.
    #[must_use]
    pub const fn frame_size(self) -> u32 {
        match self {
            Self::Opus => 960,
            Self::Copy | Self::Aac => 1_024,
        }
    }
}

impl From {
    /// Whether the track of this number and language is one of them.
    #[must_use]
    pub fn takes(&self, number: u16, language: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Track(wanted) => *wanted == number,
            Self::Language(wanted) => language.is_some_and(|l| primary(l) == primary(wanted)),
        }
    }
}

/// `pt` of `pt-BR`, whatever its case (RFC 5646 2.1.1).
fn primary(language: &str) -> String {
    let tag = media::language::tag(language).unwrap_or_default();
    tag.split('-').next().unwrap_or_default().to_owned()
}
