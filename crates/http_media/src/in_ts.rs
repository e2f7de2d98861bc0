//! HLS in MPEG-TS: segments are made when they are first asked for, once, and kept as long as those
//! of which they are made, as far as there is room for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use packager::ts::{self, Found};
use packager::{Segment, Snapshot};
use tokio::sync::OnceCell;

use crate::error::Refusal;
use crate::headers;
use crate::live::{Output, State};
use crate::outputs::Outputs;
use crate::serve::{Asked, not_modified, playlist_response, ranged};

/// So many times the bytes that a stream holds may be made of them. All that is listed is far less:
/// every picture once for each codec of the sound, with that beside it.
const TIMES: usize = 4;
/// Beyond that: of small frames most of a packet is stuffing.
const BESIDE: usize = 16 << 20;

/// What was made and is still served.
#[derive(Debug, Default)]
pub(crate) struct InTs {
    table: Mutex<Table>,
    made: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    segments: HashMap<Key, Made>,
    /// Counts up whenever one is asked for.
    asked: u64,
}

/// By where the segments lie of which it is made. Nothing else comes to lie there as long as it is
/// pointed at from here.
type Key = (usize, usize);

#[derive(Debug)]
struct Made {
    of: [Weak<Segment>; 2],
    bytes: Arc<OnceCell<Bytes>>,
    /// When it was asked for last.
    asked: u64,
}

impl Table {
    /// Lets go of what was not asked for the longest, until at most so many bytes are kept.
    fn trim(&mut self, most: usize) {
        let made = self.segments.iter();
        let made = made.filter_map(|(key, m)| Some((m.asked, *key, m.bytes.get()?.len())));
        let mut kept: Vec<_> = made.collect();
        let mut sum: usize = kept.iter().map(|(.., len)| len).sum();
        kept.sort_unstable();
        for (_, key, len) in kept {
            if sum <= most {
                return;
            }
            self.segments.remove(&key);
            sum -= len;
        }
    }
}

/// So many bytes at most are kept beside what there is.
fn room(snapshot: &Snapshot) -> usize {
    let held: usize = snapshot.media.iter().map(|m| m.bytes()).sum();
    held * TIMES + BESIDE
}

impl InTs {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of what is made of segments that are gone.
    pub(crate) fn forget(&self) {
        let is_there = |made: &Made| made.of[0].strong_count() > 0;
        self.lock().segments.retain(|_, made| is_there(made));
    }

    pub(crate) fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }

    fn cell(&self, lead: &Arc<Segment>, sound: Option<&Arc<Segment>>) -> Arc<OnceCell<Bytes>> {
        let of = [
            Arc::downgrade(lead),
            sound.map(Arc::downgrade).unwrap_or_default(),
        ];
        let key = (of[0].as_ptr().addr(), of[1].as_ptr().addr());
        let mut table = self.lock();
        table.asked += 1;
        let asked = table.asked;
        let made = table.segments.entry(key).or_insert_with(|| Made {
            of,
            bytes: Arc::default(),
            asked,
        });
        made.asked = asked;
        Arc::clone(&made.bytes)
    }

    /// Of many who ask at once, one makes it and the others wait. At most so many bytes are kept.
    async fn segment(
        &self,
        (lead, sound): (Arc<Segment>, Option<Arc<Segment>>),
        most: impl Fn() -> usize,
    ) -> Result<Bytes, Refusal> {
        let cell = self.cell(&lead, sound.as_ref());
        let mut news = false;
        let made = cell.get_or_try_init(|| async {
            let made = make(&lead, sound.as_deref());
            self.made.fetch_add(u64::from(made.is_ok()), Relaxed);
            news = true;
            made
        });
        let made = made.await.cloned();
        if news {
            self.lock().trim(most());
        }
        made
    }
}

impl Outputs {
    /// Answers what is there in MPEG-TS alone; `media` names what a playlist lists.
    pub(crate) async fn ts_multivariant(
        &self,
        output: &Output,
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let found = |state: &State| {
            let live = state.snapshot.is_live();
            match live && !state.snapshot.fits_ts() {
                true => Err(Refusal::NotCarried),
                false => Ok(state.ts_multivariant()),
            }
        };
        let rendered = match output.is_on_demand() {
            true => self.when(output, found).await.map(Some),
            false => found(&output.state()),
        };
        let rendered = rendered?.ok_or(Refusal::NotLive)?;
        Ok(playlist_response(&rendered, output, false, asked))
    }

    /// The segments' classic playlist as it is now: there is nothing to wait for in it.
    pub(crate) fn ts_playlist(
        &self,
        output: &Output,
        media: &str,
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let state = output.state();
        if state.snapshot.media.is_empty() {
            return Err(Refusal::NotLive);
        }
        let rendered = state.ts_playlist(media).ok_or(Refusal::NotFound)?;
        Ok(playlist_response(&rendered, output, false, asked))
    }

    /// One that is not whole yet is answered once it is.
    pub(crate) async fn ts_segment(
        &self,
        output: &Arc<Output>,
        (media, number): (&str, u64),
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let found = |state: &State| match state.snapshot.in_ts(media, number) {
            Some(Found::Whole(lead, sound)) => Ok(Some((lead, sound))),
            Some(Found::Waits) => Ok(None),
            None if state.snapshot.media.is_empty() => Err(Refusal::NotLive),
            None => Err(Refusal::NotFound),
        };
        let (lead, sound) = self.when(output, found).await?;
        let name = number.to_string();
        if let Some(unchanged) = not_modified((media, &name), headers::MPEGTS, asked) {
            return Ok(unchanged);
        }
        let most = || room(&output.snapshot());
        let bytes = output.in_ts.segment((lead, sound), most).await?;
        let of = |(start, end)| asked.body(|| delivered(bytes.slice(start..end), output));
        let described = (media, name.as_str(), headers::MPEGTS);
        ranged(bytes.len(), described, asked, of)
    }
}

/// Counted as it is handed on.
fn delivered(bytes: Bytes, output: &Output) -> Body {
    output.bytes.fetch_add(bytes.len() as u64, Relaxed);
    Body::from(bytes)
}

fn make(lead: &Segment, sound: Option<&Segment>) -> Result<Bytes, Refusal> {
    let made = ts::segment(lead, sound);
    made.map_err(|error| {
        tracing::error!(%error, number = lead.number, "a segment of ours cannot be read");
        Refusal::NotFound
    })
}

#[cfg(test)]
mod tests {
    use media::codec::AacConfig;
    use media::{CodecConfig, Span, Timestamp, Track, TrackId};
    use packager::Init;

    use super::*;

    /// Without samples: in MPEG-TS it is tables alone.
    fn empty(number: u64) -> Arc<Segment> {
        let aac = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
        let init = Init {
            hash: String::new(),
            bytes: Bytes::new(),
            codec: "aac",
            track: Track::new(TrackId(1), CodecConfig::Aac(aac)),
        };
        Arc::new(Segment {
            number,
            start: Timestamp::ZERO,
            duration: Span::ZERO,
            independent: true,
            discontinuity: false,
            init: Arc::new(init),
            parts: Vec::new(),
            len: 0,
            complete: true,
            cues: None,
        })
    }

    #[tokio::test]
    async fn what_was_not_asked_for_the_longest_goes_first() {
        let kept = InTs::default();
        let all: Vec<_> = (0..4).map(empty).collect();
        let ask = async |number: usize, most: usize| {
            let of = (Arc::clone(&all[number]), None);
            let made = kept.segment(of, || most).await.unwrap();
            (made.len(), kept.made())
        };
        let (len, _) = ask(0, usize::MAX).await;
        assert_eq!(ask(1, 3 * len).await.1, 2);
        assert_eq!(ask(2, 3 * len).await.1, 3, "all three have room");
        assert_eq!(ask(0, 3 * len).await.1, 3, "is kept");
        assert_eq!(ask(3, 3 * len).await.1, 4);
        assert_eq!(kept.lock().segments.len(), 3);
        for number in [0, 2, 3] {
            assert_eq!(ask(number, 3 * len).await.1, 4, "{number}");
        }
        assert_eq!(ask(1, 3 * len).await.1, 5, "was let go and is made again");
        // Where there is no room for one it is answered all the same.
        assert_eq!(ask(0, 0).await, (len, 6));
        assert!(kept.lock().segments.is_empty());
    }
}
