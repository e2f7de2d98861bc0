//! `/api/v1/events`: what happens, as it happens, and what happened.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response, sse};
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::EventQuery;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::ToSchema;

use super::extract::{Asked, bad_query, page_limit};
use super::{Api, Problem};
use crate::events::{Committed, Events, any_fits};

/// Between comments that keep a quiet connection open.
const QUIET: Duration = Duration::from_secs(15);
/// Events that are read at a time.
const PAGE: usize = 500;
/// Events that one request for history looks at: beyond them the client asks again.
const LOOKED_AT: usize = 20_000;
const PATTERNS: usize = 16;
const PATTERN: usize = 128;
/// What a client that lost its connection waits before the next.
const RETRY: Duration = Duration::from_secs(1);

/// Which events.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Types, separated by commas; `*` is any run of characters. Default: all.
    #[serde(default, rename = "type")]
    kinds: String,
    /// Streams, separated by commas; `*` is any run of characters without a slash, `**` any run at
    /// all. Default: all, and what is about the server.
    #[serde(default)]
    stream: String,
    /// Only those after the one of this number. `Last-Event-ID` says the same, and more loudly.
    after: Option<i64>,
}

/// Which events of the past.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Sought {
    /// Types, separated by commas; `*` is any run of characters. Default: all.
    #[serde(default, rename = "type")]
    kinds: String,
    /// Streams, separated by commas; `*` is any run of characters without a slash, `**` any run at
    /// all. Default: all, and what is about the server.
    #[serde(default)]
    stream: String,
    /// Not before this time, Unix milliseconds.
    since_ms: Option<i64>,
    /// Before this time, Unix milliseconds.
    until_ms: Option<i64>,
    /// `newest` first, which is the default, or `oldest`.
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// At most so many, 1..=1000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<i64>,
}

/// Which comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    #[default]
    Newest,
    Oldest,
}

/// Events of the past.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventPage {
    items: Vec<Committed>,
    /// Pass it as `cursor` for the next page, which may have none of those that are sought; null at
    /// the end.
    next: Option<i64>,
}

/// More than these take longer to compare than is good for others.
fn patterns(text: &str) -> Result<Vec<String>, Problem> {
    let parts = text.split(',').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    let patterns: Vec<_> = parts.map(str::to_owned).collect();
    if patterns.len() > PATTERNS || patterns.iter().any(|p| p.chars().count() > PATTERN) {
        return Err(bad_query("at most 16 patterns of at most 128 characters"));
    }
    Ok(patterns)
}

#[derive(Debug, Clone)]
struct Filter {
    kinds: Vec<String>,
    streams: Vec<String>,
}

impl Filter {
    fn new(kinds: &str, streams: &str) -> Result<Self, Problem> {
        Ok(Self {
            kinds: patterns(kinds)?,
            streams: patterns(streams)?,
        })
    }

    fn admits(&self, event: &Committed) -> bool {
        let stream = event.stream.as_deref().unwrap_or_default();
        any_fits(&self.kinds, event.kind()) && any_fits(&self.streams, stream)
    }

    /// The one stream that is meant, where it is one.
    fn stream(&self) -> Option<String> {
        match self.streams.as_slice() {
            [one] if !one.contains('*') => Some(one.clone()),
            _ => None,
        }
    }
}

/// What happens, as it happens (server-sent events).
///
/// Each `data` is one event as in the history, its `id` the event's. Who comes back with
/// `Last-Event-ID` gets all that it missed; where some of that is no longer kept, an event named
/// `gap` says so first: `{"after": …, "oldest": …}`.
#[utoipa::path(get, path = "/events", operation_id = "follow_events", tag = "events",
    params(Wanted, ("Last-Event-ID" = Option<i64>, Header, description = "The last event that was seen.")),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn follow(
    State(api): State<Api>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let events = &api.manager.events;
    let Some(seat) = events.seat() else {
        let why = "there are as many subscribers as there may be";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "too_many_subscribers", why));
    };
    let last = headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let known = *events.last().borrow();
    let after = last.or(wanted.after).unwrap_or(known).clamp(0, known);
    let follower = Follower {
        filter: Filter::new(&wanted.kinds, &wanted.stream)?,
        ready: VecDeque::new(),
        last: events.last(),
        after,
        events: events.clone(),
        _seat: seat,
    };
    let sent = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let quiet = KeepAlive::new().interval(QUIET);
    Ok(Sse::new(sent).keep_alive(quiet).into_response())
}

/// What is said where some of what was missed is no longer kept.
fn gap(after: i64, oldest: i64) -> sse::Event {
    let data = json!({"after": after, "oldest": oldest});
    sse::Event::default().event("gap").data(data.to_string())
}

/// One that follows along, as fast as it reads.
struct Follower {
    events: Events,
    filter: Filter,
    after: i64,
    last: watch::Receiver<i64>,
    ready: VecDeque<sse::Event>,
    _seat: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let events = self.events.clone();
            let grown = self.last.wait_for(|last| *last > self.after);
            tokio::select! {
                grown = grown => drop(grown.ok()?),
                () = events.ended() => return None,
            }
            match self.events.after(self.after, PAGE).await {
                Ok(more) => self.take(&more),
                // It comes back with the last one that it saw.
                Err(_) => return None,
            }
        }
    }

    fn take(&mut self, more: &[Arc<Committed>]) {
        // Numbers have no holes: what is missed was kept no longer.
        if let Some(first) = more.first().filter(|first| first.id > self.after + 1) {
            self.ready.push_back(gap(self.after, first.id));
        }
        self.after = more
            .last()
            .map_or_else(|| *self.last.borrow(), |event| event.id);
        let wanted = more.iter().filter(|event| self.filter.admits(event));
        self.ready.extend(wanted.map(|event| {
            sse::Event::default()
                .id(event.id.to_string())
                .retry(RETRY)
                .data(json!(**event).to_string())
        }));
    }
}

/// What happened, for as long as it is kept.
#[utoipa::path(get, path = "/events/history", operation_id = "list_events", tag = "events", params(Sought),
    responses((status = 200, body = EventPage)))]
pub(super) async fn history(
    State(api): State<Api>,
    Asked(sought): Asked<Sought>,
) -> Result<Json<EventPage>, Problem> {
    let limit = page_limit(sought.limit)?;
    let filter = Filter::new(&sought.kinds, &sought.stream)?;
    let newest_first = sought.order == Order::Newest;
    let (mut items, mut at, mut looked_at) = (Vec::new(), sought.cursor, 0);
    loop {
        let query = EventQuery {
            after: at.filter(|_| !newest_first),
            before: at.filter(|_| newest_first),
            since_ms: sought.since_ms,
            until_ms: sought.until_ms,
            stream: filter.stream(),
            newest_first,
            limit: PAGE as u32,
        };
        let records = api.manager.store.events(&query).await?;
        tokio::task::yield_now().await;
        let complete = records.len() < PAGE;
        looked_at += records.len();
        for event in records.into_iter().map(Committed::from) {
            let id = event.id;
            if filter.admits(&event) {
                // There is one more: this page ends before it.
                if items.len() == limit {
                    return Ok(Json(EventPage { items, next: at }));
                }
                items.push(event);
            }
            at = Some(id);
        }
        if complete || looked_at >= LOOKED_AT {
            let next = at.filter(|_| !complete);
            return Ok(Json(EventPage { items, next }));
        }
    }
}
