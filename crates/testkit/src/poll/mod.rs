//! Fetches for the linters. For that of HLS: one follower per media playlist, what they list, probes, and readers
//! that only measure. All of it is one future; dropping it ends the run.

pub mod dash;
mod dial;
mod follow;
mod http;
mod probes;
mod readers;
mod source;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use media::{Span, Timestamp};
use tokio::sync::mpsc;

use self::http::{Ask, Http};
use crate::lint::{Limits, Linter, Report, Wanted};

use self::dial::Dial;
pub use self::dial::Trust;
pub use self::http::Clock;
pub use self::source::Source;

/// A run of the linter.
#[derive(Debug, Clone)]
pub struct Config {
    /// The multivariant playlist.
    pub url: String,
    /// How long to watch.
    pub duration: Duration,
    /// Concurrent readers that follow the playlists by blocking reloads and fetch the newest part.
    pub readers: usize,
    /// HTTP/2 alone: as ALPN says over TLS, without asking where there is none.
    pub h2: bool,
    /// Whose certificates to take.
    pub trust: Trust,
    /// How long to wait for the stream to be live.
    pub wait: Duration,
    /// Between two rounds of probes.
    pub probe_every: Duration,
    /// What is allowed beyond the letter of the rules.
    pub limits: Limits,
}

impl Config {
    /// Ten minutes without readers.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            duration: Duration::from_secs(600),
            readers: 0,
            h2: false,
            trust: Trust::default(),
            wait: Duration::from_secs(30),
            probe_every: Duration::from_secs(5),
            limits: Limits::default(),
        }
    }

    fn index(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }
}

/// What the followers share.
struct Run {
    http: Http,
    linter: Mutex<Linter>,
    fetch: mpsc::UnboundedSender<Wanted>,
}

impl Run {
    fn linter(&self) -> MutexGuard<'_, Linter> {
        self.linter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.http.clock().now()
    }

    fn want(&self, all: Vec<Wanted>) {
        for wanted in all {
            // Nobody fetches any more: the run is over.
            let _ = self.fetch.send(wanted);
        }
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
    let (fetch, wanted) = mpsc::unbounded_channel();
    let run = Run {
        http: Http::new(&config.url, &dial, clock),
        linter: Mutex::new(Linter::new(config.limits)),
        fetch,
    };
    let playlists = live(&run, config).await?;
    let readers = readers::Readers::new(config, &dial, &playlists, clock);
    let mut followers: FuturesUnordered<_> =
        playlists.iter().map(|p| follow::follow(&run, p)).collect();
    tokio::select! {
        () = tokio::time::sleep(config.duration) => {}
        () = async { while followers.next().await.is_some() {} } => {}
        () = fetch_all(&run, wanted) => {}
        () = fetch_again(&run) => {}
        () = probes::run(&run, &playlists, config) => {}
        () = readers.run() => {}
        () = watch_machine(clock, |at, late| run.linter().stalled(at, late)) => {}
        () = source.run(&dial, clock, |state| run.linter().state(clock.now(), state)) => {}
    }
    drop(followers);
    let now = run.now();
    let linter = run
        .linter
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let mut report = linter.finish(now);
    report.readers = readers.json();
    Ok(report)
}

async fn live(run: &Run, config: &Config) -> anyhow::Result<Vec<String>> {
    let asking = async {
        loop {
            let answer = run.http.get(config.index(), Ask::default()).await;
            if answer.status == Some(200) {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let answer = tokio::time::timeout(config.wait, asking).await;
    let answer = answer.with_context(|| format!("{} is not live", config.url))?;
    let playlists = run.linter().multivariant(config.index(), &answer);
    if playlists.is_empty() {
        bail!("{} names no media playlist", config.url);
    }
    Ok(playlists)
}

async fn fetch_all(run: &Run, mut wanted: mpsc::UnboundedReceiver<Wanted>) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(wanted) = wanted.recv() => running.push(fetch_one(run, wanted)),
            Some(()) = running.next() => {}
            else => return,
        }
    }
}

async fn fetch_one(run: &Run, wanted: Wanted) {
    let answer = run.http.get(&wanted.uri, Ask::default()).await;
    run.linter().body(&wanted, &answer);
}

async fn fetch_again(run: &Run) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let due = run.linter().due(run.now());
        run.want(due);
    }
}

/// A ticker that should run every two milliseconds tells when nothing ran.
async fn watch_machine(clock: Clock, tell: impl Fn(Timestamp, Span)) {
    let tick = Span::from_millis(2);
    loop {
        let due = clock.now() + tick;
        tokio::time::sleep(tick.to_duration()).await;
        // The timer wheel itself is a millisecond coarse.
        let late = clock.now() - due - Span::from_millis(1);
        if late > Span::ZERO {
            tell(due, late);
        }
    }
}
