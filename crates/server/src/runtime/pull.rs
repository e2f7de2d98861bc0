//! Inputs that we fetch: connected while wanted, and again for ever when they fail.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use container::ingest::Stats;
use failover::InputId;
use futures_util::FutureExt as _;
use http_media::pull::{Error, Source, hls, tls, ts};
use hub::{Broadcast, EndReason, Hub, Limits, Presentation, Publisher};
use rtmp::DialError;
use srt::Publishing;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::ClientConfig;
use tokio_util::sync::CancellationToken;

use super::input::Line;
use super::programme::Programme;
use super::{clock, millis};
use crate::egress::Egress;
use crate::events::{Event, Events};
use crate::model::{Input, Scheme, Variant};

/// A failure is followed by a pause that doubles, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// What was refused will be refused again for a while.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// A connection that held for so long begins anew with the first pause.
const STEADY: Duration = Duration::from_secs(30);
/// Between two events of the same failure.
const SAME_AGAIN: Duration = Duration::from_secs(60);

/// What all pulls share.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) egress: Arc<Egress>,
    /// Files are played from below here.
    pub(crate) files: PathBuf,
    /// Bounds of SRT sessions that we call for.
    pub(crate) srt: srt::Config,
    /// The program that encodes ladders.
    pub(crate) transcoder: PathBuf,
}

/// One input that is fetched, for as long as its configuration holds.
pub(super) struct Pull {
    pub(super) stream: String,
    pub(super) input: Input,
    pub(super) line: Arc<Line>,
    pub(super) programme: Programme,
    pub(super) hub: Hub,
    pub(super) means: Means,
    pub(super) events: Events,
    /// What connections before this one played of a playlist.
    pub(super) played: hls::Played,
}

/// Why a connection ended before what it carries did.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) refusal: bool,
}

impl Pull {
    /// Runs until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.keep() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep(&self) {
        let mut wanted = self.programme.wanted();
        let mut pause = FIRST_PAUSE;
        let mut told = None;
        loop {
            self.until_wanted(&mut wanted, true).await;
            let began = Instant::now();
            let ended = tokio::select! {
                ended = self.attempt() => Some(ended),
                () = self.until_idle(&mut wanted) => None,
            };
            if began.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            let failed = match ended {
                Some(Ok(EndReason::Finished)) if self.plays_once() => {
                    self.until_wanted(&mut wanted, false).await;
                    None
                }
                Some(ended) => Some(self.judge(ended, pause, &mut told)),
                None => {
                    self.programme.lose(&self.input.id).await;
                    None
                }
            };
            sleep(jittered(failed.unwrap_or(FIRST_PAUSE))).await;
            // What was let go, or is over, has not failed.
            pause = failed.map_or(FIRST_PAUSE, |_| (pause * 2).min(LONGEST_PAUSE));
        }
    }

    /// The same again is told once a minute.
    fn tell_retry(&self, error: String, pause: Duration, told: &mut Option<(String, Instant)>) {
        let same = |(last, at): &(String, Instant)| *last == error && at.elapsed() < SAME_AGAIN;
        if told.as_ref().is_some_and(same) {
            return;
        }
        *told = Some((error.clone(), Instant::now()));
        let event = Event::InputReconnecting {
            input: self.input.id.clone(),
            error,
            retry_in_ms: millis(pause),
        };
        self.events.tell(&self.stream, &event);
    }

    /// How long to wait before the next try.
    fn judge(
        &self,
        ended: Result<EndReason, Failure>,
        pause: Duration,
        told: &mut Option<(String, Instant)>,
    ) -> Duration {
        let (stream, input) = (&self.stream, &self.input.id);
        match ended {
            Ok(reason) => {
                tracing::info!(stream, input, ?reason, "pull ended");
                self.tell_retry(format!("ended: {reason:?}").to_lowercase(), pause, told);
                pause
            }
            Err(Failure { message, refusal }) => {
                tracing::warn!(stream, input, error = message, "pull failed");
                let pause = if refusal { REFUSED_PAUSE } else { pause };
                self.tell_retry(message.clone(), pause, told);
                self.line.note_error(message);
                pause
            }
        }
    }

    /// Until it has not been wanted for a while, where it comes on demand.
    async fn until_idle(&self, wanted: &mut watch::Receiver<Arc<[InputId]>>) {
        self.until_wanted(wanted, false).await;
        while self.input.is_on_demand() {
            tokio::select! {
                () = sleep(self.input.idle_timeout()) => return,
                () = self.until_wanted(wanted, true) => {}
            }
            self.until_wanted(wanted, false).await;
        }
    }

    async fn until_wanted(&self, wanted: &mut watch::Receiver<Arc<[InputId]>>, yes: bool) {
        let is = |all: &Arc<[InputId]>| all.iter().any(|id| **id == *self.input.id) == yes;
        if wanted.wait_for(is).await.is_err() {
            std::future::pending().await
        }
    }

    /// A file that is not repeated is over when it is, until it is wanted anew.
    fn plays_once(&self) -> bool {
        self.input.scheme() == Some(Scheme::File) && self.input.repeat != Some(true)
    }

    /// A parser's panic costs this connection alone.
    async fn attempt(&self) -> Result<EndReason, Failure> {
        let connection = AssertUnwindSafe(self.connect()).catch_unwind();
        connection.await.unwrap_or_else(|_| {
            Err(Failure {
                message: "a defect of ours".to_owned(),
                refusal: false,
            })
        })
    }

    /// One connection, from its beginning to its end.
    async fn connect(&self) -> Result<EndReason, Failure> {
        match self.input.scheme() {
            Some(Scheme::Rtmp) => self.rtmp().await,
            Some(Scheme::Srt) => self.srt().await,
            Some(Scheme::Hls) => self.hls().await,
            Some(Scheme::Ts) => self.ts().await,
            Some(Scheme::File) => self.file().await,
            Some(Scheme::Stream(name)) => Ok(self.relay(&name).await),
            Some(Scheme::Publish) | None => std::future::pending().await,
        }
    }

    async fn rtmp(&self) -> Result<EndReason, Failure> {
        let url: rtmp::Url = self.input.url.parse().map_err(refused)?;
        let defaults = rtmp::Config::default();
        let pull = rtmp::Pull {
            allowed: self.means.egress.check().into(),
            tls: rtmps(self.input.tls_verify.unwrap_or(true))?,
            connect_timeout: self.input.connect_timeout(),
            session: rtmp::Config {
                read_timeout: self.input.silence_timeout(),
                ..defaults
            },
            url,
        };
        let run = |publisher, stats| rtmp::pull(pull, publisher, stats);
        self.carry(run, DialError::is_refusal).await
    }

    async fn srt(&self) -> Result<EndReason, Failure> {
        let url: srt::Url = self.input.url.parse().map_err(refused)?;
        let allowed = self.means.egress.check().into();
        let config = srt::Config {
            connect_timeout: self.input.connect_timeout(),
            ..self.means.srt
        };
        let session = srt::dial(&url, &allowed, config, Arc::default()).await;
        let session = session.map_err(|e| failure(e.is_refusal(), &e))?;
        let pull = Publishing::new(session, self.input.silence_timeout());
        let pull = pull.of_programme(self.input.program);
        let run = |publisher, stats| pull.run(publisher, stats);
        self.carry(run, |e: &srt::Error| e.kind.is_refusal()).await
    }

    async fn hls(&self) -> Result<EndReason, Failure> {
        let mut pull = hls::Pull::new(self.source()?);
        pull.played = self.played.clone();
        pull.choice = match self.input.variant {
            None | Some(Variant::Highest) => hls::Choice::Highest,
            Some(Variant::Lowest) => hls::Choice::Lowest,
            Some(Variant::MaxKbps(most)) => hls::Choice::MaxKbps(most),
        };
        let run = |publisher, stats| hls::pull(pull, publisher, stats);
        self.carry(run, Error::is_refusal).await
    }

    async fn ts(&self) -> Result<EndReason, Failure> {
        let mut pull = ts::Pull::new(self.source()?);
        pull.programme = self.input.program;
        let run = |publisher, stats| ts::pull(pull, publisher, stats);
        self.carry(run, Error::is_refusal).await
    }

    async fn file(&self) -> Result<EndReason, Failure> {
        let play = file::Play {
            root: self.means.files.clone(),
            path: self.input.url.clone(),
            repeat: self.input.repeat.unwrap_or(false),
            programme: self.input.program,
        };
        let run = |publisher, stats| file::play(play, publisher, stats);
        self.carry(run, file::Error::is_refusal).await
    }

    /// A connection into a broadcast of its own, of which the programme is told.
    async fn carry<F, E>(
        &self,
        run: impl FnOnce(Publisher, Arc<Stats>) -> F,
        is_refusal: fn(&E) -> bool,
    ) -> Result<EndReason, Failure>
    where
        F: Future<Output = Result<EndReason, E>>,
        E: std::error::Error,
    {
        let (presentation, publisher) = self.enter().await?;
        let stats = Arc::new(Stats::new(clock::monotonic));
        let place = self.line.fetch(Arc::clone(&stats));
        self.programme
            .feed(&self.input.id, publisher.broadcast())
            .await;
        let ended = run(publisher, stats).await;
        drop(place);
        drop(presentation);
        ended.map_err(|e| failure(is_refusal(&e), &e))
    }

    async fn enter(&self) -> Result<(Presentation, Publisher), Failure> {
        let name = format!("{}#{}", self.stream, self.input.id);
        // What fed the input before was told to go, and has the name until it did.
        while let Some(listing) = self.hub.get(&name) {
            listing.closed().await;
        }
        let presentation = self.hub.announce(&name).map_err(retried)?;
        let (publisher, relay) = presentation
            .add("source", Limits::default())
            .map_err(retried)?;
        tokio::spawn(relay.run());
        Ok((presentation, publisher))
    }

    /// Another stream's programme, as it is.
    async fn relay(&self, name: &str) -> EndReason {
        let mut listing = self.hub.wait(name).await;
        let mut fed: Option<Broadcast> = None;
        loop {
            // Of a ladder it is the best rung, until an edit takes that away.
            let renditions = listing.renditions();
            let is_there = |fed: &Broadcast| renditions.iter().any(|r| r.broadcast.is(fed));
            if !fed.as_ref().is_some_and(is_there)
                && let Some(first) = renditions.first()
            {
                let broadcast = first.broadcast.clone();
                self.programme.feed(&self.input.id, broadcast.clone()).await;
                fed = Some(broadcast);
            }
            let given_up = listing.clone();
            tokio::select! {
                () = listing.changed() => {}
                () = given_up.closed() => return EndReason::Dropped,
            }
        }
    }

    fn source(&self) -> Result<Source, Failure> {
        let check = self.means.egress.check();
        let mut source = Source::new(&self.input.url, check).map_err(refused)?;
        for (name, value) in self.input.headers.iter().flatten() {
            let name = http::HeaderName::try_from(name).map_err(refused)?;
            let value = http::HeaderValue::try_from(value).map_err(refused)?;
            source.headers.insert(name, value);
        }
        source.tls_verify = self.input.tls_verify.unwrap_or(true);
        source.timeouts.connect = self.input.connect_timeout();
        source.timeouts.silence = self.input.silence_timeout();
        Ok(source)
    }
}

/// Whom `rtmps://` trusts.
pub(super) fn rtmps(verify: bool) -> Result<Arc<ClientConfig>, Failure> {
    let shared = tls(verify).map_err(refused)?;
    // RTMP speaks no ALPN.
    let mut own = ClientConfig::clone(&shared);
    own.alpn_protocols.clear();
    Ok(Arc::new(own))
}

pub(super) fn failure(refusal: bool, error: &dyn std::error::Error) -> Failure {
    Failure {
        message: error.to_string(),
        refusal,
    }
}

fn refused(error: impl std::error::Error) -> Failure {
    failure(true, &error)
}

/// Somebody was quicker, and may be gone the next time.
fn retried(error: impl std::error::Error) -> Failure {
    failure(false, &error)
}

/// Between half of it and all of it, so that many do not come at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
