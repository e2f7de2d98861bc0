//! Answers requests from snapshots.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use packager::{Media, Part, PartName};
use tokio::time::timeout;

use crate::body::Shared;
use crate::error::Refusal;
use crate::headers;
use crate::live::{Container, Output, Rendered, State};
use crate::outputs::Outputs;
use crate::playlist;
use crate::resource::{self, Directives, Resource};

/// What is needed of a request.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// The initialisation section that a DASH client has for a segment.
    fn init(&self) -> Option<&str> {
        self.query.split('&').find_map(resource::init_of)
    }

    /// Whether this pair stands in the query.
    pub(crate) fn says(&self, pair: &str) -> bool {
        self.query.split('&').any(|p| p == pair)
    }

    /// What goes out: nothing to HEAD.
    pub(crate) fn body(&self, make: impl FnOnce() -> Body) -> Body {
        match *self.method {
            Method::HEAD => Body::empty(),
            _ => make(),
        }
    }

    /// The same of what has no length yet: to HEAD, too, none is told.
    pub(crate) fn stream(&self, make: impl FnOnce() -> Body) -> Body {
        match *self.method {
            Method::HEAD => Self::nothing(),
            _ => make(),
        }
    }

    /// Nothing, in the place of who knows how much.
    pub(crate) fn nothing() -> Body {
        Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())
    }
}

impl Outputs {
    /// Answers a request for media. `path` is decoded and without its leading slash; `None` where
    /// it names nothing of ours.
    pub async fn handle(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        request: &HeaderMap,
        peer: IpAddr,
    ) -> Option<Response> {
        let (stream, resource) = Resource::parse(path)?;
        let asked = Asked {
            method,
            query,
            headers: request,
        };
        let mut response = self.answer(stream, resource, &asked, peer).await;
        headers::allow_any_origin(response.headers_mut());
        Some(response)
    }

    async fn answer(
        &self,
        stream: &str,
        resource: Resource,
        asked: &Asked<'_>,
        peer: IpAddr,
    ) -> Response {
        if *asked.method == Method::OPTIONS {
            let mut response = StatusCode::NO_CONTENT.into_response();
            headers::preflight(response.headers_mut());
            return response;
        }
        if !matches!(*asked.method, Method::GET | Method::HEAD) {
            return Refusal::Method.into_response();
        }
        let Some(output) = self.get(stream) else {
            let mut response = Refusal::UnknownStream.into_response();
            let age = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, age);
            return response;
        };
        let agent = asked.headers.get(header::USER_AGENT);
        output.note_viewer(peer, agent.map_or(&[], |v| v.as_bytes()));
        let result = self.serve(&output, (stream, resource), asked).await;
        result.unwrap_or_else(|refusal| {
            output.note_refused(refusal);
            let mut response = refusal.into_response();
            let age = headers::refusal_age(output.target_duration(), refusal);
            response.headers_mut().insert(header::CACHE_CONTROL, age);
            response
        })
    }

    async fn serve(
        &self,
        output: &Arc<Output>,
        (stream, resource): (&str, Resource),
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let counters = &output.requests;
        let container = output.container();
        if resource.is_ts() && container == Container::Cmaf {
            return Err(Refusal::NotFound);
        }
        match resource {
            Resource::Multivariant if container != Container::Ts => {
                counters.playlists.fetch_add(1, Relaxed);
                self.multivariant(output, asked).await
            }
            Resource::Multivariant | Resource::TsMultivariant => {
                counters.playlists.fetch_add(1, Relaxed);
                self.ts_multivariant(output, asked).await
            }
            Resource::TsPlaylist { media } => {
                counters.playlists.fetch_add(1, Relaxed);
                self.ts_playlist(output, &media, asked)
            }
            Resource::TsSegment { media, number } => {
                counters.segments.fetch_add(1, Relaxed);
                self.ts_segment(output, (&media, number), asked).await
            }
            Resource::Manifest => {
                counters.playlists.fetch_add(1, Relaxed);
                self.manifest(output, stream, asked).await
            }
            Resource::Playlist { media } => {
                counters.playlists.fetch_add(1, Relaxed);
                self.playlist(output, &media, asked).await
            }
            Resource::Init { media, hash } => init(output, &media, &hash, asked),
            Resource::Segment { media, number } => {
                counters.segments.fetch_add(1, Relaxed);
                match asked.init() {
                    Some(init) => {
                        let segment = (media.as_str(), number);
                        self.dash_segment(output, segment, init, asked).await
                    }
                    None => self.segment(output, &media, number, asked).await,
                }
            }
            Resource::Part { media, name } => {
                counters.parts.fetch_add(1, Relaxed);
                self.part(output, &media, name, asked).await
            }
        }
    }

    async fn multivariant(&self, output: &Output, asked: &Asked<'_>) -> Result<Response, Refusal> {
        let classic = asked.says("ll=0");
        let rendered = if output.is_on_demand() {
            let found = |state: &State| Ok(state.multivariant(!classic));
            self.when(output, found).await.ok()
        } else {
            output.state().multivariant(!classic)
        };
        let rendered = rendered.ok_or(Refusal::NotLive)?;
        Ok(playlist_response(&rendered, output, false, asked))
    }

    async fn playlist(
        &self,
        output: &Output,
        id: &str,
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let directives = Directives::parse(asked.query).ok_or(Refusal::Directive)?;
        if let Some(rendered) = after_loss(output, id, directives) {
            return Ok(playlist_response(&rendered, output, true, asked));
        }
        let found = |state: &State| -> Result<Option<Rendered>, Refusal> {
            let (index, media) = find(state, id)?;
            let ready = playlist::is_ready(media, directives)?;
            Ok(ready
                .then(|| state.playlist(index, directives.form))
                .flatten())
        };
        let rendered = self.when(output, found).await?;
        let blocking = directives.msn.is_some();
        Ok(playlist_response(&rendered, output, blocking, asked))
    }

    /// The open segment is answered once it is complete.
    async fn segment(
        &self,
        output: &Arc<Output>,
        id: &str,
        number: u64,
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let found = |state: &State| {
            let segment = state.snapshot.segment(id, number);
            let segment = segment.ok_or_else(|| match state.snapshot.media.is_empty() {
                true => Refusal::NotLive,
                false => Refusal::NotFound,
            })?;
            Ok(segment.complete.then(|| segment.parts.clone()))
        };
        let parts = self.when(output, found).await?;
        parts_response(output, parts, id, &number.to_string(), asked)
    }

    /// A part that is hinted at is awaited, whole (rule H19).
    async fn part(
        &self,
        output: &Arc<Output>,
        id: &str,
        name: PartName,
        asked: &Asked<'_>,
    ) -> Result<Response, Refusal> {
        let found = |state: &State| {
            let (_, media) = find(state, id)?;
            match media.part(name) {
                Some(part) => Ok(Some(Arc::clone(part))),
                None if media.is_hinted(name) => Ok(None),
                None => Err(Refusal::NotFound),
            }
        };
        let part = self.when(output, found).await?;
        parts_response(output, vec![part], id, &name.to_string(), asked)
    }

    /// Of who waits for something of a stream: one among those, and one of all.
    pub(crate) fn places<'a>(&'a self, output: &'a Output) -> Result<[Place<'a>; 2], Refusal> {
        let of_stream = Place::take(&output.blocked, self.limits.blocked_per_stream)?;
        let of_all = Place::take(&self.blocked, self.limits.blocked)?;
        Ok([of_stream, of_all])
    }

    /// Waits until `found` finds, at most three target durations (rule H13).
    pub(crate) async fn when<T>(
        &self,
        output: &Output,
        found: impl Fn(&State) -> Result<Option<T>, Refusal>,
    ) -> Result<T, Refusal> {
        if let Some(now) = found(&output.state())? {
            return Ok(now);
        }
        let _places = self.places(output)?;
        let mut watch = output.watch();
        let wait = async {
            loop {
                let state = Arc::clone(&watch.borrow_and_update());
                if let Some(result) = found(&state).transpose() {
                    return result;
                }
                drop(state);
                if watch.changed().await.is_err() {
                    return Err(Refusal::Stalled);
                }
            }
        };
        let patience = output.target_duration() * 3;
        timeout(patience, wait)
            .await
            .unwrap_or(Err(Refusal::Stalled))
    }
}

/// One of a bounded number of waiting requests.
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(counter: &'a AtomicUsize, most: usize) -> Result<Self, Refusal> {
        let place = Self(counter);
        if counter.fetch_add(1, Relaxed) >= most {
            return Err(Refusal::Crowded);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn find<'a>(state: &'a State, id: &str) -> Result<(usize, &'a Arc<Media>), Refusal> {
    let media = &state.snapshot.media;
    if media.is_empty() {
        return Err(Refusal::NotLive);
    }
    let mut numbered = media.iter().enumerate();
    numbered.find(|(_, m)| m.id == id).ok_or(Refusal::NotFound)
}

/// The answer to a reload that waits for what was lost with the process before this one.
fn after_loss(output: &Output, id: &str, directives: Directives) -> Option<Rendered> {
    let number = directives.msn.filter(|n| output.is_lost(*n))?;
    let state = output.state();
    let (_, media) = find(&state, id).ok()?;
    state.snapshot.after_loss(media, number).map(Rendered::new)
}

pub(crate) fn playlist_response(
    rendered: &Rendered,
    output: &Output,
    blocking: bool,
    asked: &Asked<'_>,
) -> Response {
    let frozen = output.snapshot().media.iter().any(|m| m.hold);
    let age = headers::playlist_age(output.target_duration(), blocking, frozen);
    let kind = HeaderValue::from_static(headers::PLAYLIST);
    rendered_response(rendered, (kind, age), asked)
}

/// A playlist or MPD, of this type and to be kept so long.
pub(crate) fn rendered_response(
    rendered: &Rendered,
    (kind, age): (HeaderValue, HeaderValue),
    asked: &Asked<'_>,
) -> Response {
    let gzip = headers::takes_gzip(asked.headers) && !rendered.gzip.is_empty();
    let bytes = if gzip {
        &rendered.gzip
    } else {
        &rendered.plain
    };
    let mut response = bytes_response(bytes, asked);
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, kind);
    head.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    head.insert(headers::PRIORITY, headers::URGENT);
    head.insert(header::CACHE_CONTROL, age);
    if gzip {
        head.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

pub(crate) fn bytes_response(bytes: &Bytes, asked: &Asked<'_>) -> Response {
    let body = asked.body(|| Body::from(bytes.clone()));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    response
}

fn init(output: &Output, id: &str, hash: &str, asked: &Asked<'_>) -> Result<Response, Refusal> {
    let init = output.init(id, hash).ok_or(Refusal::NotFound)?;
    if let Some(unchanged) = not_modified((id, hash), mp4(id), asked) {
        return Ok(unchanged);
    }
    let mut response = bytes_response(&init.bytes, asked);
    describe(&mut response, id, hash);
    Ok(response)
}

/// A name stands for its bytes, so it is its own entity tag.
fn etag(id: &str, name: &str) -> String {
    format!("\"{id}-{name}\"")
}

pub(crate) fn not_modified(
    (id, name): (&str, &str),
    kind: &'static str,
    asked: &Asked<'_>,
) -> Option<Response> {
    let known = asked.headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    let tag = etag(id, name);
    let same = known
        .split(',')
        .any(|t| matches!(t.trim(), "*") || t.trim() == tag);
    same.then(|| {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe_as(&mut response, (id, name), kind);
        response
    })
}

fn is_sound(id: &str) -> bool {
    id.starts_with('a')
}

fn mp4(id: &str) -> &'static str {
    match is_sound(id) {
        true => "audio/mp4",
        false => "video/mp4",
    }
}

pub(crate) fn describe(response: &mut Response, id: &str, name: &str) {
    describe_as(response, (id, name), mp4(id));
}

fn describe_as(response: &mut Response, (id, name): (&str, &str), kind: &'static str) {
    let urgency = match is_sound(id) {
        true => headers::AUDIO,
        false => headers::VIDEO,
    };
    let head = response.headers_mut();
    head.insert(headers::PRIORITY, urgency);
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    head.insert(header::CACHE_CONTROL, headers::IMMUTABLE);
    head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::try_from(etag(id, name)) {
        head.insert(header::ETAG, tag);
    }
}

pub(crate) fn parts_response(
    output: &Arc<Output>,
    parts: Vec<Arc<Part>>,
    id: &str,
    name: &str,
    asked: &Asked<'_>,
) -> Result<Response, Refusal> {
    if let Some(unchanged) = not_modified((id, name), mp4(id), asked) {
        return Ok(unchanged);
    }
    let whole: usize = parts.iter().map(|p| p.len).sum();
    let body = |(start, end)| asked.body(|| shared(parts, (start, end - start), &output.bytes));
    ranged(whole, (id, name, mp4(id)), asked, body)
}

/// Answers with the range that is asked for of what has `whole` bytes.
pub(crate) fn ranged(
    whole: usize,
    (id, name, kind): (&str, &str, &'static str),
    asked: &Asked<'_>,
    body: impl FnOnce((usize, usize)) -> Body,
) -> Result<Response, Refusal> {
    // A range means something to GET alone (RFC 9110 14.2).
    let range = match *asked.method {
        Method::GET => headers::range(asked.headers, whole).map_err(|()| Refusal::Range(whole))?,
        _ => None,
    };
    let (start, end) = range.unwrap_or((0, whole));
    let mut response = Response::new(body((start, end)));
    describe_as(&mut response, (id, name), kind);
    let head = response.headers_mut();
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    if range.is_some() {
        let text = format!("bytes {start}-{}/{whole}", end.saturating_sub(1));
        if let Ok(value) = HeaderValue::try_from(text) {
            head.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

fn shared(parts: Vec<Arc<Part>>, range: (usize, usize), delivered: &Arc<AtomicU64>) -> Body {
    Body::new(Shared::new(parts, range, Arc::clone(delivered)))
}
