//! Answers DASH clients: the MPD, and segments as they grow. Who asks for a number that comes soon
//! waits, for one that will never be gets a segment without media: players die of a 404.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use container::fmp4::EMPTY_SEGMENT;
use futures_util::{TryStreamExt as _, stream};
use http::{HeaderValue, header};
use media::Timestamp;
use packager::{Dash, Segment};
use tokio::time::{sleep, timeout};

use crate::error::Refusal;
use crate::headers;
use crate::lanes::{Growing, Lane};
use crate::live::Output;
use crate::outputs::Outputs;
use crate::serve::{Asked, bytes_response, describe, parts_response, rendered_response};

/// Who joins while media is away waits for it as long as a proxy or a player does.
const JOINS: Duration = Duration::from_secs(60);
/// So many segments may be asked for before they begin: players look one beyond the next one, and
/// while media is away the last one that is known is behind.
const AHEAD: u64 = 3;
/// What is given up is given up so much later.
const LATE: Duration = Duration::from_secs(1);

/// What there is of a number.
enum Found {
    Whole(Arc<Segment>),
    Growing(Arc<Growing>),
    /// It will never have media.
    Never,
    Soon,
}

impl Outputs {
    pub(crate) async fn manifest(
        &self,
        output: &Output,
        stream: &str,
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let low_latency = !asked.says("ll=0");
        // Who refreshes comes by `Location`, and is answered at once: dash.js gives up otherwise.
        let refreshes = asked.says("r=1");
        let ready = |dash: &Dash, now| match refreshes {
            true => (!dash.is_empty()).then_some(now),
            false => dash.joinable_at(low_latency, now),
        };
        self.ready(output, ready).await?;
        let depth = stream.split('/').count();
        let time = format!("{}time", "../".repeat(depth));
        let now = (self.clock)();
        let rendered = output.manifest(low_latency, now, &time);
        let rendered = rendered.ok_or(Refusal::NotLive)?;
        let age = HeaderValue::from_static("public, max-age=1");
        let kind = HeaderValue::from_static(headers::MPD);
        Ok(rendered_response(&rendered, (kind, age), asked))
    }

    /// Waits until the moment that `ready` tells, which may change with what there is.
    async fn ready(
        &self,
        output: &Output,
        ready: impl Fn(&Dash, Timestamp) -> Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let mut dash = output.dash();
        let now = (self.clock)();
        match ready(&dash.borrow_and_update(), now) {
            Some(at) if at <= now => return Ok(()),
            None if !output.is_awaited() => return Err(Refusal::NotLive),
            _ => {}
        }
        let _places = self.places(output)?;
        let wait = async {
            loop {
                let now = (self.clock)();
                let at = ready(&dash.borrow_and_update(), now);
                let over = async {
                    match at {
                        Some(at) => sleep((at - now).to_duration()).await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    () = over => return Ok(()),
                    changed = dash.changed() => changed.map_err(|_| Refusal::Stalled)?,
                }
            }
        };
        tokio::select! {
            waited = timeout(JOINS, wait) => waited.unwrap_or(Err(Refusal::Stalled)),
            () = self.left() => Err(Refusal::Stalled),
        }
    }

    /// A segment by the number and the initialisation section that an MPD told of.
    pub(crate) async fn dash_segment(
        &self,
        output: &Arc<Output>,
        (id, number): (&str, u64),
        init: &str,
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        match self.awaited(output, id, number).await? {
            Found::Whole(segment) if segment.init.hash == init => {
                let parts = segment.parts.clone();
                parts_response(output, parts, id, &number.to_string(), asked)
            }
            Found::Whole(segment) if output.suits(id, init, &segment.init) => {
                let media = segment.parts.iter().flat_map(|p| &p.buffers);
                let all = [&segment.init.bytes].into_iter().chain(media);
                let all: Vec<_> = all.cloned().map(Ok::<_, Infallible>).collect();
                let delivered = Arc::clone(&output.bytes);
                let all = stream::iter(all).inspect_ok(move |bytes| {
                    delivered.fetch_add(bytes.len() as u64, Relaxed);
                });
                let body = asked.stream(|| Body::from_stream(all));
                Ok(passing(Response::new(body), id))
            }
            Found::Growing(growing) if growing.init.hash == init => {
                let body = asked.stream(|| growing.body(None, &output.bytes));
                let mut response = Response::new(body);
                describe(&mut response, id, &number.to_string());
                response.headers_mut().remove(header::ACCEPT_RANGES);
                Ok(response)
            }
            Found::Growing(growing) if output.suits(id, init, &growing.init) => {
                let before = Some(growing.init.bytes.clone());
                let body = asked.stream(|| growing.body(before, &output.bytes));
                Ok(passing(Response::new(body), id))
            }
            _ => Ok(empty(id, asked)),
        }
    }

    /// Waits for what comes soon; where nothing comes in time, nothing will: numbers follow the clock.
    async fn awaited(&self, output: &Output, id: &str, number: u64) -> Result<Found, Refusal> {
        let mut dash = output.dash();
        if !output.is_known(&dash.borrow(), id) {
            return Err(Refusal::NotFound);
        }
        let (mut lane, mut newest) = (None, output.lanes.newest());
        let mut look = async |wait: bool| loop {
            let over = (dash.borrow_and_update().closed, *newest.borrow_and_update());
            // One that an earlier process had may come yet.
            lane = lane.take().or_else(|| output.lanes.watch(id));
            let found = match &mut lane {
                Some(lane) => find(output, (id, number), &lane.borrow_and_update(), over),
                None => find(output, (id, number), &Lane::default(), over),
            };
            match found? {
                Found::Soon if wait => {}
                found => return Ok(found),
            }
            let news = async {
                match &mut lane {
                    Some(lane) => lane.changed().await,
                    None => pending().await,
                }
            };
            let gone = tokio::select! {
                changed = dash.changed() => changed.is_err(),
                changed = newest.changed() => changed.is_err(),
                changed = news => changed.is_err(),
            };
            if gone {
                return Ok(Found::Never);
            }
        };
        match look(false).await? {
            Found::Soon => {}
            found => return Ok(found),
        }
        let _places = self.places(output)?;
        let patience = patience(output);
        tokio::select! {
            waited = timeout(patience, look(true)) => waited.unwrap_or(Ok(Found::Never)),
            () = self.left() => Err(Refusal::Stalled),
        }
    }
}

/// Until the last number that may be asked for has begun, or was given up.
fn patience(output: &Output) -> Duration {
    let longest = output.dash().borrow().longest.to_duration();
    let longest = longest.max(output.target_duration());
    longest * (u32::try_from(AHEAD).unwrap_or(0) + 1) + LATE
}

fn find(
    output: &Output,
    (id, number): (&str, u64),
    lane: &Lane,
    (closed, newest): (Option<u64>, Option<u64>),
) -> Result<Found, Refusal> {
    let state = output.state();
    let held = state.snapshot.segment(id, number);
    if let Some(whole) = held.filter(|s| s.complete) {
        return Ok(Found::Whole(Arc::clone(whole)));
    }
    if let Some(growing) = lane.segment(number) {
        return Ok(Found::Growing(Arc::clone(growing)));
    }
    // Of a track that is gone nothing begins where others do.
    let begun = if lane.gone { newest } else { lane.last };
    if Some(number) <= begun.max(closed) {
        return Ok(Found::Never);
    }
    match lane.last.max(closed).max(newest) {
        Some(begun) if number.saturating_sub(begun) > AHEAD => Err(Refusal::NotYet),
        _ => Ok(Found::Soon),
    }
}

fn empty(id: &str, asked: &Asked<'_>) -> Response {
    let bytes = Bytes::from_static(EMPTY_SEGMENT);
    passing(bytes_response(&bytes, asked), id)
}

/// What this name is answered with today alone: no media, or media behind another initialisation
/// section than the client thinks.
fn passing(mut response: Response, id: &str) -> Response {
    describe(&mut response, id, "");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(header::ETAG);
    headers.remove(header::ACCEPT_RANGES);
    response
}
