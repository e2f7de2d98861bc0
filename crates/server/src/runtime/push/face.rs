//! What carries a broadcast away: one arm for each protocol, all of the same face.

use std::sync::Arc;

use hub::Broadcast;
use media::Track;
use rtmp::{DialError, Gone, PushStats, Pushing};

use crate::model::{Destination, Push};
use crate::runtime::players::MAX_LATENCY;
use crate::runtime::pull::{Failure, Means, failure, rtmps};

/// How a connection ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The broadcast is over.
    Over,
    /// The far end has left.
    Left,
}

/// What one place was sent, over all connections.
#[derive(Debug, Default)]
pub(super) struct Sent {
    rtmp: PushStats,
}

/// The same at one moment.
#[derive(Debug)]
pub(crate) struct SentFigures {
    pub(crate) bytes: u64,
    /// Times that the far end was too slow and was sent the newest group next.
    pub(crate) skips: u64,
    pub(crate) skipped_frames: u64,
    /// Tracks that the far end does not take.
    pub(crate) left_out: Arc<[Track]>,
}

impl Sent {
    pub(super) fn figures(&self) -> SentFigures {
        use std::sync::atomic::Ordering::Relaxed;
        let Self { rtmp } = self;
        SentFigures {
            bytes: rtmp.sent.bytes.load(Relaxed),
            skips: rtmp.sent.skips.load(Relaxed),
            skipped_frames: rtmp.sent.skipped_frames.load(Relaxed),
            left_out: rtmp.left_out(),
        }
    }
}

/// A connection to a far end that takes media.
#[derive(Debug)]
pub(super) enum Link {
    Rtmp(Box<Pushing>),
}

impl Link {
    /// Calls the far end; returns once it takes media.
    pub(super) async fn open(push: &Push, means: &Means) -> Result<Self, Failure> {
        match push.destination() {
            Some(Destination::Rtmp(url)) => Self::rtmp(push, url, means).await,
            Some(Destination::Srt(_)) => Err(unsupported("SRT is not pushed yet")),
            None => Err(unsupported("it is no address")),
        }
    }

    async fn rtmp(push: &Push, url: rtmp::Url, means: &Means) -> Result<Self, Failure> {
        let what = rtmp::Push {
            url,
            allowed: means.egress.check().into(),
            tls: rtmps(push.tls_verify.unwrap_or(true))?,
            connect_timeout: push.connect_timeout(),
            session: rtmp::Config::default(),
        };
        let opened = rtmp::push(what).await;
        let pushing = opened.map_err(|e| failure(e.is_refusal(), &e))?;
        Ok(Self::Rtmp(Box::new(pushing)))
    }

    /// Sends the broadcast from its newest keyframe on, until either side is done.
    pub(super) async fn run(
        &mut self,
        broadcast: &Broadcast,
        sent: &Sent,
    ) -> Result<Ended, Failure> {
        match self {
            Self::Rtmp(pushing) => {
                let gone = pushing.run(broadcast, MAX_LATENCY, &sent.rtmp).await;
                match gone.map_err(DialError::from) {
                    Ok(Gone::Over) => Ok(Ended::Over),
                    Ok(Gone::Left) => Ok(Ended::Left),
                    Err(e) => Err(failure(e.is_refusal(), &e)),
                }
            }
        }
    }

    /// Says goodbye, for a moment at most.
    pub(super) async fn close(self) {
        match self {
            Self::Rtmp(pushing) => pushing.close().await,
        }
    }
}

fn unsupported(why: &str) -> Failure {
    Failure {
        message: why.to_owned(),
        refusal: true,
    }
}
