//! Renditions of the pictures.

use serde::{Deserialize, Serialize};

use crate::Rate;

/// One rendition of the pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRung {
    /// What it is called in URLs and in figures; unique in its ladder.
    pub name: String,
    /// Its number among the outputs ([`crate::Ladder::numbered`]).
    pub number: u8,
    /// What it is encoded with.
    pub codec: VideoCodec,
    /// Width in pixels; follows the height and the source's aspect ratio where it is not told.
    pub width: Option<u32>,
    /// Height in pixels; the source's where neither is told. Never larger than the source.
    pub height: Option<u32>,
    /// How a source of another aspect ratio is fitted in.
    pub fit: Fit,
    /// How many pictures a second.
    pub rate: Rate,
    /// How many bits.
    pub control: RateControl,
    /// The encoder's trade of speed against size, by its own name.
    pub preset: String,
    /// What the encoder is tuned for, by its own name.
    pub tune: Option<String>,
    /// Codec profile, by the encoder's name.
    pub profile: Option<String>,
    /// Codec level, such as `4.1`.
    pub level: Option<String>,
    /// The most pictures in a row that refer to later ones; the encoder's own default where it is
    /// not told.
    pub b_frames: Option<u8>,
    /// The most pictures that one may refer to.
    pub refs: Option<u8>,
}

/// What pictures are encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// They are passed on as they came.
    Copy,
    /// H.264, by x264.
    H264,
    /// H.265, by x265.
    H265,
    /// AV1, by SVT-AV1.
    Av1,
}

/// How pictures of another aspect ratio become those of the rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The rung is as large as fits into its width and height; later sources of another aspect
    /// ratio get bars.
    Fit,
    /// The rung has exactly its width and height; what is over is black.
    Pad,
    /// The rung has exactly its width and height; what is over is cut off.
    Crop,
    /// The rung has exactly its width and height, whatever that does to circles.
    Stretch,
}

/// How many bits a rung takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateControl {
    /// So many on average.
    Bitrate {
        /// Kilobits per second.
        kbps: u32,
        /// The most, over what the buffer holds.
        max_kbps: u32,
        /// The decoder's buffer, in kilobits.
        buffer_kbits: u32,
    },
    /// As many as this quality takes.
    Crf {
        /// The lower the better, by the encoder's scale.
        crf: f32,
        /// The most, and the decoder's buffer that it holds over, in kilobits.
        max: Option<(u32, u32)>,
    },
}

/// What becomes of interlaced pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deinterlace {
    /// Those that say that they are.
    Auto,
    /// None is.
    Never,
    /// Every one.
    Always,
}

impl VideoRung {
    /// One that passes the pictures on as they came.
    #[must_use]
    pub const fn copy(name: String) -> Self {
        Self {
            name,
            number: 0,
            codec: VideoCodec::Copy,
            width: None,
            height: None,
            fit: Fit::Fit,
            rate: Rate::Source,
            control: RateControl::Crf {
                crf: 0.0,
                max: None,
            },
            preset: String::new(),
            tune: None,
            profile: None,
            level: None,
            b_frames: None,
            refs: None,
        }
    }
}

impl VideoCodec {
    /// As [`crate::Capabilities`] call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Av1 => "av1",
        }
    }

    /// The encoder in libavcodec; `None` where nothing is encoded.
    #[must_use]
    pub const fn encoder(self) -> Option<&'static str> {
        match self {
            Self::Copy => None,
            Self::H264 => Some("libx264"),
            Self::H265 => Some("libx265"),
            Self::Av1 => Some("libsvtav1"),
        }
    }

    /// Whether its encoder makes an IDR where it is told to. One that does not counts pictures from
    /// one to the next, so it begins on the grid and cannot follow a source.
    #[must_use]
    pub const fn takes_orders(self) -> bool {
        !matches!(self, Self::Av1)
    }

    /// The presets that its encoder knows, fastest first.
    #[must_use]
    pub const fn presets(self) -> &'static [&'static str] {
        match self {
            Self::Copy => &[],
            Self::H264 | Self::H265 => &[
                "ultrafast",
                "superfast",
                "veryfast",
                "faster",
                "fast",
                "medium",
                "slow",
                "slower",
                "veryslow",
            ],
            Self::Av1 => &["13", "12", "11", "10", "9", "8", "7", "6", "5", "4"],
        }
    }

    /// What its encoder can be tuned for.
    #[must_use]
    pub const fn tunes(self) -> &'static [&'static str] {
        match self {
            Self::Copy | Self::Av1 => &[],
            Self::H264 => &[
                "zerolatency",
                "film",
                "animation",
                "grain",
                "stillimage",
                "fastdecode",
                "psnr",
                "ssim",
            ],
            Self::H265 => &[
                "zerolatency",
                "animation",
                "grain",
                "fastdecode",
                "psnr",
                "ssim",
            ],
        }
    }

    /// The profiles of 8-bit 4:2:0, which is what is encoded.
    #[must_use]
    pub const fn profiles(self) -> &'static [&'static str] {
        match self {
            Self::Copy => &[],
            Self::H264 => &["baseline", "main", "high"],
            Self::H265 | Self::Av1 => &["main"],
        }
    }

    /// The levels that it can be told. x265 does not open where size or rate is beyond the level,
    /// and SVT-AV1 is not told: both find it themselves.
    #[must_use]
    pub const fn levels(self) -> &'static [&'static str] {
        match self {
            Self::Copy | Self::H265 | Self::Av1 => &[],
            Self::H264 => &[
                "1.0", "1.1", "1.2", "1.3", "2.0", "2.1", "2.2", "3.0", "3.1", "3.2", "4.0", "4.1",
                "4.2", "5.0", "5.1", "5.2", "6.0", "6.1", "6.2",
            ],
        }
    }

    /// The highest number that stands for a quality; the best one is 1.
    #[must_use]
    pub const fn most_crf(self) -> u32 {
        match self {
            Self::Copy => 0,
            Self::H264 | Self::H265 => 51,
            Self::Av1 => 63,
        }
    }

    /// The most B-frames in a row that its encoder takes with every preset; `None` where it is not
    /// told how many. x265 looks ahead by five pictures at its fastest, and needs one more than
    /// that.
    #[must_use]
    pub const fn most_b_frames(self) -> Option<u8> {
        match self {
            Self::Copy | Self::Av1 => None,
            Self::H264 => Some(16),
            Self::H265 => Some(4),
        }
    }

    /// The most pictures that one may refer to; `None` where its encoder is not told how many.
    /// Beyond six x265 does not open where there are B-frames.
    #[must_use]
    pub const fn most_refs(self) -> Option<u8> {
        match self {
            Self::Copy | Self::Av1 => None,
            Self::H264 => Some(16),
            Self::H265 => Some(6),
        }
    }
}
