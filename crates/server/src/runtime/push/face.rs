//! What carries a broadcast away: one arm for each protocol, all of the same face.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub::Broadcast;
use media::Track;
use rtmp::{DialError, PushStats, Pushing};
use srt::Playing;

use crate::model::{Destination, Push};
use crate::runtime::lock;
use crate::runtime::players::MAX_LATENCY;
use crate::runtime::pull::{Failure, Means, failure, rtmps};
use crate::runtime::remuxing::Remuxing;

/// A far end of SRT that takes nothing for so long is left, as one of RTMP is.
const PATIENCE: Duration = Duration::from_secs(10);

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
    srt: hub::Sent,
    /// Of connections over SRT.
    link: Arc<srt::Stats>,
    /// Tracks that MPEG-TS has no place for.
    unpacked: Mutex<Arc<[Track]>>,
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
    /// What the protocol counts.
    pub(crate) counters: BTreeMap<&'static str, u64>,
}

impl Sent {
    pub(super) fn figures(&self) -> SentFigures {
        // A place may have changed its protocol.
        let (rtmp, srt) = (&self.rtmp.sent, &self.srt);
        SentFigures {
            bytes: rtmp.bytes.load(Relaxed) + srt.bytes.load(Relaxed),
            skips: rtmp.skips.load(Relaxed) + srt.skips.load(Relaxed),
            skipped_frames: rtmp.skipped_frames.load(Relaxed) + srt.skipped_frames.load(Relaxed),
            left_out: self.left_out(),
            counters: self.counters(),
        }
    }

    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let used = self.link.sent.load(Relaxed) > 0;
        used.then(|| self.link.sent())
            .into_iter()
            .flatten()
            .collect()
    }

    fn left_out(&self) -> Arc<[Track]> {
        let unpacked = Arc::clone(&lock(&self.unpacked));
        if unpacked.is_empty() {
            return self.rtmp.left_out();
        }
        unpacked
    }
}

/// A connection to a far end that takes media.
#[derive(Debug)]
pub(super) enum Link {
    Rtmp(Box<Pushing>),
    /// With what makes MPEG-TS.
    Srt(Box<Playing>, Remuxing),
}

impl Link {
    /// Calls the far end; returns once it takes media.
    pub(super) async fn open(
        push: &Push,
        means: &Means,
        (remuxing, sent): (&Remuxing, &Sent),
    ) -> Result<Self, Failure> {
        match push.destination() {
            Some(Destination::Rtmp(url)) => Self::rtmp(push, url, means).await,
            Some(Destination::Srt(url)) => {
                let playing = Self::srt(push, &url, means, sent).await?;
                Ok(Self::Srt(Box::new(playing), remuxing.clone()))
            }
            None => Err(refused("it is no address")),
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

    async fn srt(
        push: &Push,
        url: &srt::Url,
        means: &Means,
        sent: &Sent,
    ) -> Result<Playing, Failure> {
        let allowed = means.egress.check().into();
        let config = srt::Config {
            connect_timeout: push.connect_timeout(),
            ..means.srt
        };
        let called = srt::dial(url, &allowed, config, Arc::clone(&sent.link)).await;
        let session = called.map_err(|e| failure(e.is_refusal(), &e))?;
        Ok(Playing::new(session, PATIENCE))
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
                let gone = gone.map_err(DialError::from);
                let gone = gone.map_err(|e| failure(e.is_refusal(), &e))?;
                Ok(match gone {
                    rtmp::Gone::Over => Ended::Over,
                    rtmp::Gone::Left => Ended::Left,
                })
            }
            Self::Srt(playing, remuxing) => {
                note_unpacked(broadcast, sent)?;
                let packets = remuxing.of(broadcast);
                let gone = playing.run(&packets, MAX_LATENCY, &sent.srt).await;
                let gone = gone.map_err(|e| failure(e.kind.is_refusal(), &e))?;
                Ok(match gone {
                    srt::Gone::Over => Ended::Over,
                    srt::Gone::Left => Ended::Left,
                })
            }
        }
    }

    /// Says goodbye, for a moment at most.
    pub(super) async fn close(self) {
        match self {
            Self::Rtmp(pushing) => pushing.close().await,
            Self::Srt(playing, _) => playing.close().await,
        }
    }
}

/// What MPEG-TS has no place for is left out; where that is all, there is nothing to push.
fn note_unpacked(broadcast: &Broadcast, sent: &Sent) -> Result<(), Failure> {
    let tracks = broadcast.tracks();
    let unpacked = container::ts::Mux::new().tracks(&tracks);
    let unpacked = tracks.iter().filter(|track| unpacked.contains(&track.id));
    *lock(&sent.unpacked) = unpacked.cloned().collect();
    if remux::carries(&tracks) {
        return Ok(());
    }
    Err(refused("MPEG-TS has no place for any of its tracks"))
}

fn refused(why: &str) -> Failure {
    Failure {
        message: why.to_owned(),
        refusal: true,
    }
}
