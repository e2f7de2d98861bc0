//! HLS viewers of one media playlist: classic ones that poll, and low-latency ones that wait.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::crowd::{Crowd, Viewer, add};
use crate::http::{Connection, split};
use crate::playlist::{List, newer};
use crate::stamp;

/// After a reload that brought nothing.
const UNCHANGED: Duration = Duration::from_millis(100);

/// One viewer and where it is.
struct Watching {
    crowd: Arc<Crowd>,
    viewer: Arc<Viewer>,
    connection: Connection,
    playlist: String,
    began: Instant,
    last: Option<String>,
}

impl Watching {
    async fn new(crowd: Arc<Crowd>, viewer: Arc<Viewer>) -> anyhow::Result<Self> {
        let began = Instant::now();
        let (address, path) = split(&crowd.options.url)?;
        let (connection, playlist) = (Connection::open(address).await?, path.to_owned());
        Ok(Self {
            crowd,
            viewer,
            connection,
            playlist,
            began,
            last: None,
        })
    }

    async fn list(&mut self, directives: &str) -> anyhow::Result<String> {
        let joint = match (directives.is_empty(), self.playlist.contains('?')) {
            (true, _) => "",
            (_, true) => "&",
            (_, false) => "?",
        };
        let path = format!("{}{joint}{directives}", self.playlist);
        let body = self.connection.get(&path).await?;
        self.asked(body.len(), false);
        Ok(String::from_utf8(body)?)
    }

    fn asked(&self, bytes: usize, media: bool) {
        self.crowd.requests.fetch_add(1, Relaxed);
        self.crowd.got(&self.viewer, bytes, media);
    }

    /// One segment or part, beside the playlist.
    async fn media(&mut self, uri: &str) -> anyhow::Result<()> {
        let folder = self.playlist.split('?').next().unwrap_or_default();
        let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = format!("{folder}/{uri}");
        let asked = Instant::now();
        let bytes = if self.viewer.samples {
            let body = self.connection.get(&path).await?;
            self.measure(&body, asked);
            body.len()
        } else {
            self.connection.count(&path).await?
        };
        self.asked(bytes, true);
        self.last = Some(uri.to_owned());
        Ok(())
    }

    fn measure(&self, body: &[u8], asked: Instant) {
        let now = stamp::now();
        if self.last.is_none() {
            add(&self.crowd.first_frame, self.began.elapsed());
        }
        self.crowd.sample(&self.crowd.fetch, asked.elapsed());
        if let Some(sent) = stamp::last(body) {
            let age = Duration::from_nanos(now.saturating_sub(sent));
            self.crowd.sample(&self.crowd.latency, age);
        }
    }
}

/// Polls as RFC 8216 6.3.4 wants it: a target duration after a change, half of one otherwise.
pub(crate) async fn classic(crowd: Arc<Crowd>, viewer: Arc<Viewer>) -> anyhow::Result<()> {
    let mut watching = Watching::new(crowd, viewer).await?;
    loop {
        let asked = Instant::now();
        let text = watching.list("").await?;
        let list = List::parse(&text);
        let new = newer(&list.segments, watching.last.as_deref());
        for uri in new {
            watching.media(uri).await?;
        }
        let target = Duration::from_secs(list.target.max(1));
        let wait = if new.is_empty() { target / 2 } else { target };
        sleep(wait.saturating_sub(asked.elapsed())).await;
    }
}

/// Asks for the playlist that lists the next part, then for the part.
pub(crate) async fn low_latency(crowd: Arc<Crowd>, viewer: Arc<Viewer>) -> anyhow::Result<()> {
    let mut watching = Watching::new(crowd, viewer).await?;
    let mut directives = String::new();
    loop {
        let text = watching.list(&directives).await?;
        let list = List::parse(&text);
        let new = newer(&list.parts, watching.last.as_deref());
        if new.is_empty() {
            // A stream that is held answers at once.
            sleep(UNCHANGED).await;
        }
        for uri in new {
            watching.media(uri).await?;
        }
        let (segment, part) = list.next;
        directives = format!("_HLS_msn={segment}&_HLS_part={part}&_HLS_skip=YES");
    }
}
