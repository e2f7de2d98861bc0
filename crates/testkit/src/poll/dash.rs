//! Fetches what the DASH linter says is due. All of it is one future; dropping it ends the run.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use media::Timestamp;
use tokio::time::{sleep, timeout};

use super::dial::{Dial, Trust};
use super::http::{Ask, Clock, Http};
use super::source::Source;
use super::watch_machine;
use crate::lint::Report;
use crate::lint::dash::{Limits, Linter, Mode, Wanted, What};

/// How often is looked whether the stream is live.
const LOOK: Duration = Duration::from_millis(50);
/// Where nothing is due, something may be after this.
const IDLE: Duration = Duration::from_millis(200);

/// A run of the linter.
#[derive(Debug, Clone)]
pub struct Config {
    /// The MPD; with `ll=0` in its query what is looked at is the classic face.
    pub url: String,
    /// The MPD of the same stream on another server.
    pub peer: Option<String>,
    /// How long to watch.
    pub duration: Duration,
    /// HTTP/2 alone: as ALPN says over TLS, without asking where there is none.
    pub h2: bool,
    /// Whose certificates to take.
    pub trust: Trust,
    /// How long to wait for the stream to be live.
    pub wait: Duration,
    /// What is allowed beyond the letter of the rules.
    pub limits: Limits,
}

impl Config {
    /// Ten minutes.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            peer: None,
            duration: Duration::from_secs(600),
            h2: false,
            trust: Trust::default(),
            wait: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }

    fn linter(&self, clock: Clock) -> Linter {
        let address = self.url.rsplit('/').next().unwrap_or(&self.url);
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let classic = query.split('&').any(|pair| pair == "ll=0");
        let mode = if classic { Mode::Classic } else { Mode::Low };
        Linter::new(address, mode, self.limits, clock.utc(Timestamp::ZERO))
    }
}

struct Run {
    http: Http,
    peer: Option<Http>,
    linter: Mutex<Linter>,
}

impl Run {
    fn linter(&self) -> MutexGuard<'_, Linter> {
        self.linter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches a stream and tells what it breaks.
///
/// # Errors
/// A stream that is not live in time; authorities that cannot be read.
pub async fn run(config: &Config, source: Source) -> anyhow::Result<Report> {
    let clock = Clock::start();
    let dial = Dial {
        h2: config.h2,
        tls: config.trust.client()?,
    };
    let run = Run {
        http: Http::new(&config.url, &dial, clock),
        peer: config.peer.as_ref().map(|url| Http::new(url, &dial, clock)),
        linter: Mutex::new(config.linter(clock)),
    };
    tokio::select! {
        watched = watch(&run, config) => watched?,
        () = fetch(&run) => {}
        () = watch_machine(clock, |at, late| run.linter().stalled(at, late)) => {}
        () = source.run(&dial, clock, |state| run.linter().state(clock.now(), state)) => {}
    }
    let linter = run
        .linter
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(linter.finish())
}

/// As long as the run lasts.
async fn watch(run: &Run, config: &Config) -> anyhow::Result<()> {
    let live = async {
        while !run.linter().is_live() {
            sleep(LOOK).await;
        }
    };
    if timeout(config.wait, live).await.is_err() {
        bail!("{} is not live", config.url);
    }
    if run.http.get("index.m3u8", Ask::default()).await.is(200) {
        run.linter().beside_hls();
    }
    if run.peer.is_some() {
        run.linter().beside_peer();
    }
    sleep(config.duration).await;
    Ok(())
}

async fn fetch(run: &Run) {
    let mut running = FuturesUnordered::new();
    loop {
        let now = run.http.clock().now();
        let (due, next) = run.linter().due(now);
        running.extend(due.into_iter().map(|wanted| one(run, wanted)));
        let wait = next.map_or(IDLE, |at| (at - now).to_duration());
        tokio::select! {
            Some(()) = running.next() => {}
            () = sleep(wait) => {}
        }
    }
}

async fn one(run: &Run, wanted: Wanted) {
    let ask = Ask {
        gzip: matches!(wanted.what, What::Mpd | What::Join | What::Classic),
        ..Ask::default()
    };
    let peer = run.peer.as_ref().filter(|_| wanted.what == What::Peer);
    let answer = peer.unwrap_or(&run.http).get(&wanted.uri, ask).await;
    run.linter().take(&wanted, &answer);
}
