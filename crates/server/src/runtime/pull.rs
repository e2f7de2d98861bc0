//! Inputs that we fetch: connected while wanted, and again for ever when they fail.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use container::ingest::Stats;
use failover::InputId;
use http_media::pull::{Error, Source, hls, tls, ts};
use hub::{EndReason, Hub, Limits, Presentation, Publisher};
use rtmp::DialError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::ClientConfig;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::input::{Feeder, Line};
use super::programme::Programme;
use crate::egress::Egress;
use crate::model::{Input, Scheme, Variant};

/// A failure is followed by a pause that doubles, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// What was refused will be refused again for a while.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// A connection that held for so long begins anew with the first pause.
const STEADY: Duration = Duration::from_secs(30);

/// What all pulls share.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) egress: Arc<Egress>,
    /// Files are played from below here.
    pub(crate) files: PathBuf,
}

/// One input that is fetched, for as long as its configuration holds.
pub(super) struct Pull {
    pub(super) stream: String,
    pub(super) input: Input,
    pub(super) line: Arc<Line>,
    pub(super) programme: Programme,
    pub(super) hub: Hub,
    pub(super) means: Means,
}

/// Why a connection ended before its source did.
struct Failure {
    message: String,
    refusal: bool,
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
        loop {
            self.until_wanted(&mut wanted, true).await;
            let began = Instant::now();
            let ended = tokio::select! {
                ended = self.connect() => ended,
                () = self.until_wanted(&mut wanted, false) => continue,
            };
            if began.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            let wait = self.judge(ended, pause);
            sleep(jittered(wait)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// How long to wait before the next try.
    fn judge(&self, ended: Result<EndReason, Failure>, pause: Duration) -> Duration {
        let (stream, input) = (&self.stream, &self.input.id);
        match ended {
            Ok(reason) => {
                tracing::info!(stream, input, ?reason, "pull ended");
                pause
            }
            Err(Failure { message, refusal }) => {
                tracing::warn!(stream, input, error = message, "pull failed");
                self.line.note_error(message);
                if refusal { REFUSED_PAUSE } else { pause }
            }
        }
    }

    async fn until_wanted(&self, wanted: &mut watch::Receiver<Arc<[InputId]>>, yes: bool) {
        let is = |all: &Arc<[InputId]>| all.iter().any(|id| **id == *self.input.id) == yes;
        if wanted.wait_for(is).await.is_err() {
            std::future::pending().await
        }
    }

    /// One connection, from its beginning to its end.
    async fn connect(&self) -> Result<EndReason, Failure> {
        match self.input.scheme() {
            Some(Scheme::Rtmp) => self.rtmp().await,
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
            tls: self.tls()?,
            connect_timeout: self.input.connect_timeout(),
            session: rtmp::Config {
                read_timeout: self.input.silence_timeout(),
                ..defaults
            },
            url,
        };
        let stats = Arc::new(Stats::new(clock::monotonic));
        let (publisher, presentation, _place) = self.enter(&stats).await?;
        let ended = rtmp::pull(pull, publisher, stats).await;
        drop(presentation);
        ended.map_err(|e: DialError| failure(e.is_refusal(), &e))
    }

    async fn hls(&self) -> Result<EndReason, Failure> {
        let mut pull = hls::Pull::new(self.source()?);
        pull.choice = match self.input.variant {
            None | Some(Variant::Highest) => hls::Choice::Highest,
            Some(Variant::Lowest) => hls::Choice::Lowest,
            Some(Variant::MaxKbps(most)) => hls::Choice::MaxKbps(most),
        };
        let stats = Arc::new(Stats::new(clock::monotonic));
        let (publisher, presentation, _place) = self.enter(&stats).await?;
        let ended = hls::pull(pull, publisher, stats).await;
        drop(presentation);
        ended.map_err(|e: Error| failure(e.is_refusal(), &e))
    }

    async fn ts(&self) -> Result<EndReason, Failure> {
        let pull = ts::Pull::new(self.source()?);
        let stats = Arc::new(Stats::new(clock::monotonic));
        let (publisher, presentation, _place) = self.enter(&stats).await?;
        let ended = ts::pull(pull, publisher, stats).await;
        drop(presentation);
        ended.map_err(|e: Error| failure(e.is_refusal(), &e))
    }

    async fn file(&self) -> Result<EndReason, Failure> {
        let play = file::Play {
            root: self.means.files.clone(),
            path: self.input.url.clone(),
            repeat: self.input.repeat.unwrap_or(false),
        };
        let stats = Arc::new(Stats::new(clock::monotonic));
        let (publisher, presentation, _place) = self.enter(&stats).await?;
        let ended = file::play(play, publisher, stats).await;
        drop(presentation);
        ended.map_err(|e| failure(e.is_refusal(), &e))
    }

    /// Another stream's programme, as it is.
    async fn relay(&self, name: &str) -> EndReason {
        let mut listing = self.hub.wait(name).await;
        let renditions = listing.renditions();
        if let Some(rendition) = renditions.first() {
            let broadcast = rendition.broadcast.clone();
            self.programme.feed(&self.input.id, broadcast).await;
        }
        listing.closed().await;
        EndReason::Dropped
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

    fn tls(&self) -> Result<Arc<ClientConfig>, Failure> {
        let shared = tls(self.input.tls_verify.unwrap_or(true)).map_err(refused)?;
        // RTMP speaks no ALPN.
        let mut own = ClientConfig::clone(&shared);
        own.alpn_protocols.clear();
        Ok(Arc::new(own))
    }

    /// A broadcast for the connection, and the programme told of it.
    async fn enter(
        &self,
        stats: &Arc<Stats>,
    ) -> Result<(Publisher, Presentation, Feeder<'_>), Failure> {
        let name = format!("{}#{}", self.stream, self.input.id);
        let presentation = self.hub.announce(&name).map_err(refused)?;
        let (publisher, relay) = presentation
            .add("source", Limits::default())
            .map_err(refused)?;
        tokio::spawn(relay.run());
        let place = self.line.fetch(Arc::clone(stats));
        self.programme
            .feed(&self.input.id, publisher.broadcast())
            .await;
        Ok((publisher, presentation, place))
    }
}

fn failure(refusal: bool, error: &dyn std::error::Error) -> Failure {
    Failure {
        message: error.to_string(),
        refusal,
    }
}

fn refused(error: impl std::error::Error) -> Failure {
    failure(true, &error)
}

/// Between half of it and all of it, so that many do not come at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
