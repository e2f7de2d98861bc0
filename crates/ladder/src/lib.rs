//! What a transcoder worker is asked to make, and what it answers: the words between the server
//! and its workers. Pure.
//!
//! A [`Ladder`] is what is wanted whatever the source; [`Decision::of`] fits it to the first
//! picture that comes, once: sources change, encoders stay. [`Order`] and [`Report`] are what the
//! two ends say to each other in the control messages of `container::wire`.

#![warn(missing_docs)]

mod audio;
mod capabilities;
mod decision;
mod order;
mod output;
mod rate;
mod report;
mod video;

pub use audio::{AudioCodec, AudioRung, From};
pub use capabilities::{Capabilities, Device, Encoder};
pub use decision::{Decision, Rung, Source};
pub use order::{Job, Order};
pub use output::Output;
pub use rate::{FrameRate, Rate};
pub use report::{Health, OutputHealth, Report, Unreadable};
pub use video::{Deinterlace, Fit, RateControl, VideoCodec, VideoRung};

use serde::{Deserialize, Serialize};

/// What is made of one source: renditions of its pictures and of its sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// From one IDR to the next, in milliseconds, on a grid since the epoch; 1001/1000 of it at
    /// rates such as 30000/1001.
    pub gop_ms: u32,
    /// What becomes of interlaced pictures.
    pub deinterlace: Deinterlace,
    /// Best first; at most [`Ladder::MOST_RUNGS`].
    pub video: Vec<VideoRung>,
    /// In the order in which players shall prefer them; at most [`Ladder::MOST_RUNGS`].
    pub audio: Vec<AudioRung>,
}

impl Ladder {
    /// Rungs of a kind.
    pub const MOST_RUNGS: usize = 16;

    /// Whether a rung passes the pictures on as they are: then all others follow its keyframes.
    #[must_use]
    pub fn copies_video(&self) -> bool {
        self.video.iter().any(|rung| rung.codec == VideoCodec::Copy)
    }

    /// Whether an output is passed on as it came; `None` for one that the ladder does not have.
    #[must_use]
    pub fn copies(&self, output: Output) -> Option<bool> {
        match output {
            Output::Video(place) => {
                let rung = self.video.get(usize::from(place))?;
                Some(rung.codec == VideoCodec::Copy)
            }
            Output::Audio(rung, _) => {
                let rung = self.audio.get(usize::from(rung))?;
                Some(rung.codec == AudioCodec::Copy)
            }
        }
    }

    /// Whether there is anything for a worker to do.
    #[must_use]
    pub fn encodes(&self) -> bool {
        let video = self.video.iter().any(|rung| rung.codec != VideoCodec::Copy);
        let audio = self.audio.iter().any(|rung| rung.codec != AudioCodec::Copy);
        video || audio
    }
}
