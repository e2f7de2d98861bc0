//! Readers in number: each follows a playlist by blocking reloads over a connection of its own,
//! fetches the newest part, and counts how long that took.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use media::Timestamp;
use serde_json::{Value, json};

use super::Config;
use super::dial::Dial;
use super::http::{Ask, Clock, Http};
use crate::lint::{Directives, Playlist, Quantiles};

/// Who failed asks again after this.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Readers {
    readers: Vec<(Http, String)>,
    counts: Mutex<Counts>,
}

/// Milliseconds and events of all readers.
#[derive(Default)]
struct Counts {
    /// When anybody first saw a part listed, by playlist and part.
    first: HashMap<(String, String), Timestamp>,
    /// From there to its last byte, at each reader.
    published: Vec<i64>,
    /// From the reader's own playlist to the part's last byte.
    part: Vec<i64>,
    /// From programme time to the last byte.
    edge: Vec<i64>,
    reloads: u64,
    refused: u64,
    bytes: u64,
}

impl Readers {
    pub(super) fn new(config: &Config, dial: &Dial, playlists: &[String], clock: Clock) -> Self {
        let one = |p: &String| (Http::new(&config.url, dial, clock), p.clone());
        Self {
            readers: playlists
                .iter()
                .cycle()
                .take(config.readers)
                .map(one)
                .collect(),
            counts: Mutex::default(),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn run(&self) {
        let mut all: FuturesUnordered<_> = self
            .readers
            .iter()
            .map(|(http, playlist)| self.read(http, playlist))
            .collect();
        while all.next().await.is_some() {}
        std::future::pending().await
    }

    async fn read(&self, http: &Http, playlist: &str) {
        let mut known = None;
        loop {
            let asked = known.map_or_else(Directives::default, |(msn, part)| {
                Directives::part(msn, part)
            });
            let query = asked.query();
            let answer = http
                .get(
                    playlist,
                    Ask {
                        query: &query,
                        gzip: true,
                        ..Ask::default()
                    },
                )
                .await;
            self.counts().reloads += 1;
            let Some(list) = answer.text().map(Playlist::read) else {
                self.counts().refused += 1;
                known = None;
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let next = list.next();
            if next == known {
                tokio::time::sleep(PAUSE).await;
            } else if let Some(uri) = list.newest_part() {
                self.fetch(http, (playlist, uri), &list, answer.last).await;
            }
            known = next;
        }
    }

    async fn fetch(
        &self,
        http: &Http,
        (playlist, uri): (&str, &str),
        list: &Playlist,
        seen: Timestamp,
    ) {
        let first = {
            let mut counts = self.counts();
            let key = (playlist.to_owned(), uri.to_owned());
            *counts.first.entry(key).or_insert(seen)
        };
        let part = http.get(uri, Ask::default()).await;
        let mut counts = self.counts();
        if part.status != Some(200) {
            counts.refused += 1;
            return;
        }
        counts.bytes += part.body.len() as u64;
        counts.published.push((part.last - first).as_millis());
        counts.part.push((part.last - seen).as_millis());
        if let Some(end) = list.end_time() {
            counts
                .edge
                .push((http.clock().utc(part.last) - end).as_millis());
        }
    }

    /// What was measured; null without readers.
    pub(super) fn json(&self) -> Value {
        if self.readers.is_empty() {
            return Value::Null;
        }
        let c = self.counts();
        json!({
            "readers": self.readers.len(),
            "reloads": c.reloads,
            "refused": c.refused,
            "bytes": c.bytes,
            "part_downloaded_after_first_listing_ms": Quantiles::of(&c.published).json(),
            "part_downloaded_after_own_listing_ms": Quantiles::of(&c.part).json(),
            "part_downloaded_after_its_programme_time_ms": Quantiles::of(&c.edge).json(),
        })
    }
}
