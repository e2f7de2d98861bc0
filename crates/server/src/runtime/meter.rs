//! The figures of one connection, whatever protocol it speaks.

use std::sync::Arc;
use std::time::Duration;

use container::ingest::{self, Figures};

/// Where a connection counts.
#[derive(Debug, Clone)]
pub(crate) enum Meter {
    Rtmp(Arc<rtmp::Stats>),
    Other(Arc<ingest::Stats>),
}

impl Meter {
    pub(crate) fn figures(&self) -> Figures {
        match self {
            Self::Rtmp(stats) => {
                let figures = stats.figures();
                Figures {
                    bytes: figures.bytes,
                    video_frames: figures.video_frames,
                    audio_frames: figures.audio_frames,
                    keyframes: figures.keyframes,
                    keyframe_interval_ms: figures.keyframe_interval_ms,
                    fixes: figures.fixes,
                    ignored: figures.ignored,
                    counters: Vec::new(),
                    tracks: figures.tracks,
                }
            }
            Self::Other(stats) => stats.figures(),
        }
    }

    pub(crate) fn uptime(&self) -> Duration {
        match self {
            Self::Rtmp(stats) => stats.uptime(),
            Self::Other(stats) => stats.uptime(),
        }
    }
}
