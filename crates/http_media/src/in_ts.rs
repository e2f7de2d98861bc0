//! HLS in MPEG-TS: segments are made when they are first asked for, once, and kept as long as those
//! of which they are made.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use packager::Segment;
use packager::ts::{self, Found};
use tokio::sync::OnceCell;

use crate::error::Refusal;
use crate::headers;
use crate::live::{Output, State};
use crate::outputs::Outputs;
use crate::serve::{Asked, not_modified, playlist_response, ranged};

/// What was made and is still served.
#[derive(Debug, Default)]
pub(crate) struct InTs {
    table: Mutex<HashMap<Key, Made>>,
    made: AtomicU64,
}

/// By where the segments lie of which it is made. Nothing else comes to lie there as long as it is
/// pointed at from here.
type Key = (usize, usize);

#[derive(Debug)]
struct Made {
    of: [Weak<Segment>; 2],
    bytes: Arc<OnceCell<Bytes>>,
}

impl InTs {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Made>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of what is made of segments that are gone.
    pub(crate) fn forget(&self) {
        self.lock().retain(|_, made| made.of[0].strong_count() > 0);
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
        let made = table.entry(key).or_insert_with(|| Made {
            of,
            bytes: Arc::default(),
        });
        Arc::clone(&made.bytes)
    }

    /// Of many who ask at once, one makes it and the others wait.
    async fn segment(
        &self,
        lead: Arc<Segment>,
        sound: Option<Arc<Segment>>,
    ) -> Result<Bytes, Refusal> {
        let cell = self.cell(&lead, sound.as_ref());
        let made = cell.get_or_try_init(|| async {
            let made = make(&lead, sound.as_deref());
            self.made.fetch_add(u64::from(made.is_ok()), Relaxed);
            made
        });
        made.await.cloned()
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
        let bytes = output.in_ts.segment(lead, sound).await?;
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
