//! One rendition: its playlist is followed, its segments are fetched and read.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use container::ingest::{Item, Stats, kind_of};
use media::{Span, Timestamp, TrackKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

use super::follow::{Follow, Piece, Region, Reload};
use super::playlist::{Key, Map, Media, Playlist, Resource};
use super::reader::Reader;
use super::taken::Taken;
use super::{Start, crypt, load};
use crate::pull::client::{Answer, Ask, Client};
use crate::pull::error::{Error, Place};
use crate::pull::merge::Batch;
use crate::pull::play::{Pace, since};
use crate::pull::source::Source;

/// So many segments in a row that cannot be had end a pull.
const FAILURES: u32 = 3;
/// Playlists that are refused so often in a row are refused for good.
const REFUSALS: u32 = 3;
/// Between two attempts at a segment, at first.
const PAUSE: Duration = Duration::from_millis(200);
/// Keys that are kept.
const KEYS: usize = 16;
const PARTS: i64 = 3;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Loaded = (Timestamp, Result<(Url, Media), Error>);

/// What a multivariant playlist says of a sound that is apart.
#[derive(Debug, Clone)]
pub(super) struct Sound {
    pub(super) name: String,
    pub(super) language: Option<String>,
}

/// What all renditions of a pull share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Arc<Client>,
    pub(super) source: Arc<Source>,
    pub(super) stats: Arc<Stats>,
    pub(super) origin: Instant,
}

/// Bytes on their way; a hint is asked for before the playlist has them.
struct Fetch {
    at: Resource,
    piece: Option<Piece>,
    answer: Boxed<Result<Answer, Error>>,
    /// What came, of a hint that the playlist does not have yet.
    done: Option<Result<Answer, Error>>,
}

/// One rendition.
pub(super) struct Lane<'a> {
    shared: Shared,
    sender: mpsc::Sender<Batch>,
    /// What is asked for, and where it was found.
    url: Url,
    base: Url,
    follow: Follow,
    reader: Reader,
    sound: Option<Sound>,
    /// Of a rendition with another beside it: pictures alone, or sound alone.
    only: Option<TrackKind>,
    /// How long media waits before it leaves: how long what is missing is worth trying for.
    buffer: Span,
    map: Option<Arc<Map>>,
    region: Option<Region>,
    keys: HashMap<Url, [u8; 16]>,
    items: Vec<Item>,
    /// From which segment on a track that did not come back after a discontinuity has ended.
    settled: u64,
    /// What was taken last, by a pull before this one at first.
    taken: &'a mut Option<Taken>,
    /// A hint that came to nothing.
    stale_hint: Option<Resource>,
    /// Whether anything could be read so far: what cannot later on is damaged, not unknown.
    known: bool,
    failures: u32,
    refusals: u32,
    /// When a playlist was last had.
    heard: Timestamp,
}

impl<'a> Lane<'a> {
    /// Begins with its first playlist, `back` segments before the newest, or behind what is taken.
    pub(super) fn new(
        shared: Shared,
        sender: mpsc::Sender<Batch>,
        start: Start,
        low_latency: bool,
        only: Option<TrackKind>,
        taken: &'a mut Option<Taken>,
    ) -> Self {
        let back = u64::from(only == Some(TrackKind::Audio));
        let mut follow = Follow::new(low_latency, back);
        let asked = Timestamp::ZERO + Span::from(start.asked - shared.origin);
        follow.playlist(start.media, asked);
        if let Some(taken) = taken {
            follow.resume(taken);
        }
        Self {
            shared,
            sender,
            url: start.url,
            base: start.base,
            follow,
            reader: Reader::default(),
            sound: start.sound,
            only,
            buffer: Span::ZERO,
            map: None,
            region: None,
            keys: HashMap::new(),
            items: Vec::new(),
            settled: u64::MAX,
            taken,
            stale_hint: None,
            known: false,
            failures: 0,
            refusals: 0,
            heard: asked,
        }
    }

    /// How what it brings is to be paced.
    pub(super) fn pace(&self) -> Pace {
        let follow = &self.follow;
        match follow.part_target() {
            _ if follow.is_vod() => Pace::File,
            Some(part) if follow.is_low_latency() => Pace::Parts(part.times(PARTS)),
            _ => Pace::Segments(follow.unevenness()),
        }
    }

    pub(super) fn target(&self) -> Span {
        self.follow.target()
    }

    pub(super) const fn set_buffer(&mut self, buffer: Span) {
        self.buffer = buffer;
    }

    /// Brings media until the playlist has ended, or nobody wants more.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let followed = self.followed().await;
        self.reader.flush(&mut self.items);
        let region = self.region.unwrap_or_default();
        self.send(region, None).await;
        followed
    }

    async fn followed(&mut self) -> Result<(), Error> {
        let mut reload: Option<Boxed<Loaded>> = None;
        let mut fetch: Option<Fetch> = None;
        while !self.follow.is_done() && !self.sender.is_closed() {
            if reload.is_none() {
                reload = self.follow.reload().map(|r| self.reload(r));
            }
            fetch = self.fetch(fetch);
            if let Some(f) = &mut fetch
                && f.done.is_some()
                && let Some(piece) = f.piece.take()
            {
                let answer = f.done.take();
                fetch = None;
                if let Some(answer) = answer {
                    Box::pin(self.fetched(piece, answer)).await?;
                }
                continue;
            }
            let moving = fetch.as_mut().filter(|f| f.done.is_none());
            tokio::select! {
                (asked, loaded) = arrive(&mut reload) => {
                    reload = None;
                    self.loaded(asked, loaded)?;
                }
                answer = async {
                    match moving {
                        Some(f) => (&mut f.answer).await,
                        None => pending().await,
                    }
                } => {
                    if let Some(f) = &mut fetch {
                        f.done = Some(answer);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is to be on its way now: what comes next, or what is hinted to.
    fn fetch(&mut self, current: Option<Fetch>) -> Option<Fetch> {
        let Some(piece) = self.follow.next() else {
            if current.is_some() {
                return current;
            }
            let at = self.follow.hint()?;
            if self.stale_hint.as_ref() == Some(at) {
                return None;
            }
            let at = at.clone();
            let extra = self.follow.target().times(3).to_duration();
            return Some(self.ask(at, None, extra));
        };
        match current {
            Some(mut f) if f.at == piece.at => {
                // A hint that failed is tried again, now that the playlist has it.
                if f.piece.is_none() && matches!(f.done, Some(Err(_))) {
                    let at = piece.at.clone();
                    return Some(self.ask(at, Some(piece), Duration::ZERO));
                }
                f.piece = Some(piece);
                Some(f)
            }
            _ => {
                let at = piece.at.clone();
                Some(self.ask(at, Some(piece), Duration::ZERO))
            }
        }
    }

    fn ask(&mut self, at: Resource, piece: Option<Piece>, extra: Duration) -> Fetch {
        let target = self.follow.target();
        let gap = piece.as_ref().is_some_and(|p| p.gap);
        let hint = piece.is_none();
        if hint {
            self.stale_hint = Some(at.clone());
        }
        let worth = piece.as_ref().map_or(Span::ZERO, |p| p.duration) + self.buffer;
        let whole = target.times(3).to_duration().max(Duration::from_secs(10)) + extra;
        let limit = self.shared.source.limits.segment;
        let asked = resolve(&self.base, &at).map(|url| Ask {
            url,
            range: at.range.clone(),
            limit,
            extra,
            whole: Some(whole),
            gzip: false,
        });
        let client = Arc::clone(&self.shared.client);
        let patience = if hint {
            Duration::ZERO
        } else {
            worth.to_duration()
        };
        let nothing = Answer {
            url: self.base.clone(),
            body: Bytes::new(),
        };
        let answer = async move {
            if gap {
                return Ok(nothing);
            }
            persist(&client, asked?, patience).await
        };
        Fetch {
            at,
            piece,
            answer: Box::pin(answer),
            done: None,
        }
    }

    fn reload(&self, reload: Reload) -> Boxed<Loaded> {
        let mut url = self.url.clone();
        let mut extra = Duration::ZERO;
        if let Some((number, part)) = reload.block {
            let mut query = url.query_pairs_mut();
            query.append_pair("_HLS_msn", &number.to_string());
            if let Some(part) = part {
                query.append_pair("_HLS_part", &part.to_string());
            }
            drop(query);
            extra = self.follow.target().times(3).to_duration();
        }
        let shared = self.shared.clone();
        Box::pin(async move {
            sleep_until(shared.origin + (reload.at - Timestamp::ZERO).to_duration()).await;
            let asked = since(shared.origin);
            let loaded = load(&shared.client, &shared.source, url, extra).await;
            let media = match loaded {
                Ok((base, Playlist::Media(media))) => Ok((base, media)),
                Ok((base, Playlist::Multivariant(_))) => Err(Error::Playlist {
                    place: Place::of(&base),
                    what: "a media playlist became a multivariant one",
                }),
                Err(error) => Err(error),
            };
            (asked, media)
        })
    }

    fn loaded(
        &mut self,
        asked: Timestamp,
        loaded: Result<(Url, Media), Error>,
    ) -> Result<(), Error> {
        let target = self.follow.target().times(3);
        let most = target.max(Span::from(self.shared.source.timeouts.silence));
        let now = since(self.shared.origin);
        self.shared.stats.add("playlists", 1);
        match loaded {
            Ok((base, media)) => {
                (self.base, self.heard, self.refusals) = (base, now, 0);
                self.follow.playlist(media, asked);
                self.stale_hint = None;
                let missed = self.follow.take_missed();
                if missed > 0 {
                    self.shared.stats.add("segments_missed", missed);
                    self.items.push(Item::Lost);
                }
            }
            Err(error) => {
                self.shared.stats.add("playlists_failed", 1);
                self.follow.failed(asked);
                // A playlist that is gone for a moment is one that is written anew.
                let gone = matches!(error, Error::Status { status: 404, .. });
                self.refusals = if error.is_refusal() && !gone {
                    self.refusals + 1
                } else {
                    0
                };
                if self.refusals >= REFUSALS || now - self.heard > most {
                    return Err(error);
                }
                tracing::debug!(%error, "playlist not reloaded");
            }
        }
        let quiet = now - self.follow.news();
        if quiet > most && self.follow.next().is_none() && self.follow.reload().is_some() {
            return Err(Error::Stale {
                place: Place::of(&self.base),
                seconds: quiet.to_duration().as_secs(),
            });
        }
        Ok(())
    }

    /// Reads what came for a piece, or does without.
    async fn fetched(&mut self, piece: Piece, answer: Result<Answer, Error>) -> Result<(), Error> {
        if self.region.is_some_and(|r| r != piece.region) {
            self.shared.stats.add("discontinuities", 1);
            self.reader.reset(&mut self.items);
            let region = self.region.unwrap_or_default();
            self.send(region, None).await;
            self.map = None;
            // What the first segment still holds of a track is told once the second is read.
            self.settled = piece.number.saturating_add(1);
        }
        self.region = Some(piece.region);
        let read = match answer {
            Ok(_) if piece.gap => Ok(()),
            Ok(answer) => Box::pin(self.read(&piece, answer)).await,
            Err(error) => Err(error),
        };
        if read.is_ok() {
            *self.taken = Some(Taken::of(&piece));
        }
        self.follow.advance();
        let whole = piece.part.is_none();
        match read {
            Ok(()) if piece.gap => {
                self.shared.stats.add("segments_gap", 1);
                self.reader.flush(&mut self.items);
            }
            Ok(()) => {
                self.failures = 0;
                let counter = if whole { "segments" } else { "parts" };
                self.shared.stats.add(counter, 1);
            }
            Err(error @ Error::Unsupported { .. }) => return Err(error),
            Err(error) => {
                self.failures += 1;
                self.shared.stats.add("segments_skipped", 1);
                tracing::warn!(%error, number = piece.number, "segment skipped");
                self.reader.flush(&mut self.items);
                self.items.push(Item::Lost);
                if self.failures >= if whole { FAILURES } else { 2 * FAILURES } {
                    return Err(Error::Segments {
                        failed: self.failures,
                        last: Box::new(error),
                    });
                }
            }
        }
        self.send(piece.region, piece.utc).await;
        Ok(())
    }

    async fn read(&mut self, piece: &Piece, answer: Answer) -> Result<(), Error> {
        let place = Place::of(&answer.url);
        self.shared.stats.read(answer.body.len());
        if piece.map != self.map {
            let map = piece.map.clone();
            if let Some(map) = &map {
                let bytes = self.init(map).await?;
                self.shared.stats.read(bytes.len());
                let read = self.reader.init(bytes, &mut self.items);
                self.readable(read, &place)?;
            }
            self.map = map;
        }
        let bytes = match &piece.key {
            Some(key) => {
                let iv = crypt::numbered(piece.number);
                self.decrypt(key, iv, answer.body, &place).await?
            }
            None => answer.body,
        };
        let read = self.reader.segment(bytes, &mut self.items);
        self.readable(read, &place)?;
        self.known = true;
        if piece.number >= self.settled {
            self.settled = u64::MAX;
            self.reader.settle(&mut self.items);
        }
        Ok(())
    }

    fn readable(&mut self, read: Result<(), String>, place: &Place) -> Result<(), Error> {
        let place = place.clone();
        let Err(what) = read else { return Ok(()) };
        if !self.known {
            return Err(Error::Unsupported { place, what });
        }
        tracing::debug!(%place, what, "media that cannot be read");
        self.reader.reset(&mut self.items);
        self.map = None;
        Err(Error::Body {
            place,
            what: "media that cannot be read",
        })
    }

    async fn init(&mut self, map: &Map) -> Result<Bytes, Error> {
        let answer = self
            .whole(&map.at, self.shared.source.limits.segment)
            .await?;
        match &map.key {
            Some(key) => {
                let place = Place::of(&answer.url);
                self.decrypt(key, [0; 16], answer.body, &place).await
            }
            None => Ok(answer.body),
        }
    }

    async fn whole(&self, at: &Resource, limit: usize) -> Result<Answer, Error> {
        let ask = Ask {
            url: resolve(&self.base, at)?,
            range: at.range.clone(),
            limit,
            extra: Duration::ZERO,
            whole: Some(Duration::from_secs(10)),
            gzip: false,
        };
        persist(&self.shared.client, ask, self.buffer.to_duration()).await
    }

    async fn decrypt(
        &mut self,
        key: &Key,
        numbered: [u8; 16],
        bytes: Bytes,
        place: &Place,
    ) -> Result<Bytes, Error> {
        let Key::Aes128 { uri, iv } = key else {
            let Key::Other(what) = key else {
                return Ok(bytes);
            };
            return Err(Error::Unsupported {
                place: place.clone(),
                what: format!("encrypted by {what}"),
            });
        };
        let key = self.key(uri).await?;
        let plain = crypt::decrypt(key, iv.unwrap_or(numbered), &bytes);
        plain.ok_or_else(|| Error::Body {
            place: place.clone(),
            what: "does not decrypt",
        })
    }

    async fn key(&mut self, uri: &str) -> Result<[u8; 16], Error> {
        let at = Resource {
            uri: uri.to_owned(),
            range: None,
        };
        let url = resolve(&self.base, &at)?;
        if let Some(key) = self.keys.get(&url) {
            return Ok(*key);
        }
        let answer = self.whole(&at, 16).await?;
        let key = <[u8; 16]>::try_from(&answer.body[..]).map_err(|_| Error::Body {
            place: Place::of(&answer.url),
            what: "a key of another length than 16 bytes",
        })?;
        if self.keys.len() >= KEYS {
            self.keys.clear();
        }
        self.keys.insert(url, key);
        Ok(key)
    }

    /// Hands on what was read; waits where enough waits already.
    async fn send(&mut self, region: Region, utc: Option<Timestamp>) {
        if let Some(counters) = self.reader.counters() {
            counters.tell(&self.shared.stats);
        }
        let mut items = std::mem::take(&mut self.items);
        items.retain_mut(|item| self.wants(item));
        let batch = Batch {
            items,
            region,
            arrived: since(self.shared.origin),
            utc: utc.filter(|_| self.only != Some(TrackKind::Audio)),
            edge: self.follow.next().is_none(),
        };
        // Nobody there: `run` sees it next.
        let _ = self.sender.send(batch).await;
    }

    /// Beside another rendition each brings its own kind alone; what the playlist says of a sound
    /// is told where the media does not.
    fn wants(&self, item: &mut Item) -> bool {
        let track = match item {
            Item::Track(track) => track.id,
            Item::Frame(frame) => frame.track,
            Item::End(track) => *track,
            _ => return true,
        };
        let kind = match kind_of(track) {
            // It comes with the pictures.
            TrackKind::Data => TrackKind::Video,
            kind => kind,
        };
        if let (Item::Track(track), Some(sound)) = (&mut *item, &self.sound) {
            track.language = sound.language.clone().or_else(|| track.language.take());
            track.label = Some(sound.name.clone());
        }
        self.only.is_none_or(|only| only == kind)
    }
}

async fn arrive(reload: &mut Option<Boxed<Loaded>>) -> Loaded {
    match reload {
        Some(reload) => reload.await,
        None => pending().await,
    }
}

fn resolve(base: &Url, at: &Resource) -> Result<Url, Error> {
    let url = base.join(&at.uri).ok().filter(crate::pull::source::fit);
    url.ok_or_else(|| Error::Playlist {
        place: Place::of(base),
        what: "an address that is none, or not http",
    })
}

/// Tries again while that is worth it.
async fn persist(client: &Client, ask: Ask, patience: Duration) -> Result<Answer, Error> {
    let until = Instant::now() + patience;
    let mut pause = PAUSE;
    loop {
        match client.get(ask.clone()).await {
            Err(error)
                if Instant::now() + pause < until && !matches!(error, Error::Egress { .. }) =>
            {
                tracing::debug!(%error, "tried again");
                sleep(pause).await;
                pause *= 2;
            }
            done => return done,
        }
    }
}
