//! What a worker is told, beside the media.

use bytes::Bytes;
use media::{Timestamp, TrackKind};
use serde::{Deserialize, Serialize};

use crate::{Decision, Ladder, Unreadable};

/// One control message to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// What is to be made: the first message of all, and again when it changes. Rungs that stay
    /// as they are go on undisturbed.
    Job(Box<Job>),
    /// No media came: the picture is held and silence is filled in up to this programme time, in
    /// nanoseconds.
    Hold {
        /// Pictures.
        video: Option<i64>,
        /// Sound.
        audio: Option<i64>,
    },
}

/// What is to be made, and what of it is there already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What is wanted.
    pub ladder: Ladder,
    /// What was made of it by a worker before this one: its encoders were open, so that of this
    /// one are the same.
    pub decision: Option<Decision>,
    /// Programme time up to which pictures are there already, in nanoseconds: those up to here are
    /// decoded only.
    pub video_until: Option<i64>,
    /// The same for sound.
    pub audio_until: Option<i64>,
}

impl Order {
    /// The hold of one kind.
    #[must_use]
    pub const fn hold(kind: TrackKind, until: Timestamp) -> Self {
        let until = Some(until.as_nanos());
        match kind {
            TrackKind::Video => Self::Hold {
                video: until,
                audio: None,
            },
            _ => Self::Hold {
                video: None,
                audio: until,
            },
        }
    }

    /// As a control message.
    #[must_use]
    pub fn to_control(&self) -> Bytes {
        serde_json::to_vec(self).map_or_else(|_| Bytes::new(), Bytes::from)
    }

    /// From a control message.
    ///
    /// # Errors
    /// Anything that is none.
    pub fn of_control(text: &[u8]) -> Result<Self, Unreadable> {
        Ok(serde_json::from_slice(text)?)
    }
}
