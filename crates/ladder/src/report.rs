//! What a worker tells, beside the media.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Decision;

/// A control message that is none.
#[derive(Debug, thiserror::Error)]
#[error("a control message cannot be read: {0}")]
pub struct Unreadable(#[from] serde_json::Error);

/// One control message of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It waits for its job.
    Ready,
    /// What it makes of the ladder, now that it knows the source.
    Decided(Decision),
    /// How it does: four times a second, whatever else happens.
    Health(Health),
    /// Something is wrong that it goes on with; for the log.
    Warning(String),
    /// It cannot do its job, and ends.
    Failed(String),
}

/// Counters since the start, and what waits now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Access units that came in.
    pub received: u64,
    /// Pictures that were decoded.
    pub decoded: u64,
    /// Access units that could not be.
    pub undecodable: u64,
    /// Times that a decoder was made anew for another source.
    pub switches: u64,
    /// Access units that wait to be decoded.
    pub queue: u64,
    /// By output's number.
    pub outputs: Vec<OutputHealth>,
}

/// Of one output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutputHealth {
    /// `Output::number`.
    pub output: u16,
    /// Access units that were sent.
    pub sent: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Pictures or samples that were held or filled in for want of media.
    pub held: u64,
    /// Pictures that wait to be encoded.
    pub queue: u64,
}

impl Report {
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
