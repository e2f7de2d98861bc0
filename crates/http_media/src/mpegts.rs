//! HTTP-TS: the packets of a programme as they come, until it ends or the player has gone.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body::Frame;
use hub::{Broadcast, Event, Join, Options, Sent, Subscriber};
use media::Span;

use crate::error::Refusal;
use crate::headers;
use crate::live::Output;
use crate::resource;
use crate::serve::Asked;

/// What is kept of a batch that was longer once: a player's first group, or one that was slow.
const KEPT: usize = 8;

/// A player's place. Dropped when it has gone.
pub trait Seat: fmt::Debug + Send + 'static {
    /// The stream has ended; it leaves for that.
    fn over(&mut self);
}

/// One player's way from the hub to its connection. A slow one is a cursor that stays behind: it
/// goes on with the newest group, and holds up nobody.
#[derive(Debug)]
pub struct Packets {
    reader: Subscriber,
    batch: Vec<Event>,
    at: usize,
    over: bool,
    sent: Arc<Sent>,
    seat: Box<dyn Seat>,
}

impl Packets {
    /// A player of a broadcast of packets (`remux`), from its newest group on. One that is further
    /// behind than `max_latency` goes on with the newest.
    #[must_use]
    pub fn new(
        broadcast: &Broadcast,
        max_latency: Span,
        sent: Arc<Sent>,
        seat: Box<dyn Seat>,
    ) -> Self {
        let reader = broadcast.subscribe(Options {
            join: Join::Newest,
            max_latency,
            wanted: true,
        });
        Self {
            reader,
            batch: Vec::new(),
            at: 0,
            over: false,
            sent,
            seat,
        }
    }

    /// Waits until there is something to send. Cancelling it loses nothing.
    pub async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.at < self.batch.len() {
            return Poll::Ready(());
        }
        self.batch.clear();
        self.batch.shrink_to(KEPT);
        self.at = 0;
        self.reader.poll_next(cx, &mut self.batch)
    }

    /// What one event is to a player.
    fn take(&mut self) -> Option<Bytes> {
        let event = self.batch.get(self.at)?;
        self.at += 1;
        match event {
            Event::Frame(frame) => {
                self.sent.sent(frame.payload.len());
                return Some(frame.payload.clone());
            }
            Event::Skipped { frames, .. } => self.sent.skipped(*frames),
            Event::End(_) => {
                self.over = true;
                self.seat.over();
            }
            Event::Group { .. } => {}
        }
        None
    }
}

impl http_body::Body for Packets {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while !self.over {
            ready!(self.poll_ready(cx));
            if let Some(packets) = self.take() {
                return Poll::Ready(Some(Ok(Frame::data(packets))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }
}

/// The stream whose packets a decoded path, without its leading slash, names.
#[must_use]
pub fn stream_of(path: &str) -> Option<&str> {
    path.strip_suffix(resource::MPEGTS)
}

/// Answers a request for the packets of `output`'s stream, where there is one. `seat` finds the
/// player's place, once; who only looks (HEAD) needs none.
pub async fn answer<F>(
    output: Option<&Output>,
    method: &Method,
    seat: impl FnOnce(bool) -> F,
) -> Response
where
    F: Future<Output = Result<Option<Packets>, Refusal>>,
{
    let mut response = match *method {
        Method::OPTIONS => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            headers::preflight(response.headers_mut());
            return response;
        }
        Method::GET => seat(false).await.map(response),
        Method::HEAD => seat(true).await.map(response),
        _ => Err(Refusal::Method),
    }
    .unwrap_or_else(|refusal| {
        if let Some(output) = output {
            output.note_refused(refusal);
        }
        refusal.into_response()
    });
    let head = response.headers_mut();
    headers::allow_any_origin(head);
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn response(packets: Option<Packets>) -> Response {
    let mut response = Response::new(packets.map_or_else(Asked::nothing, Body::new));
    let head = response.headers_mut();
    head.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(headers::MPEGTS),
    );
    head.insert(headers::PRIORITY, headers::VIDEO);
    response
}
