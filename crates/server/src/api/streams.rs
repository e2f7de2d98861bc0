//! `/api/v1/streams`.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use store::StreamRecord;

use super::view::{self, Page};
use super::{Api, Problem};
use crate::model::{self, StreamConfig};
use crate::runtime::{Status, config_of, utc_ms};

/// What a list may be asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    /// Names that begin with this.
    #[serde(default)]
    prefix: String,
    /// `name=value` of a label.
    label: Option<String>,
    /// `live`, `waiting`, `hold` or `disabled`.
    status: Option<String>,
    /// At most so many, 1..=1000; default 100.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// How one stream may be shown.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    /// Whether keys are shown.
    #[serde(default)]
    reveal: bool,
}

pub(super) type Body = Result<Json<Value>, axum::extract::rejection::JsonRejection>;

/// All streams, by name.
#[utoipa::path(get, path = "/streams", tag = "streams", params(Listed), responses(
    (status = 200, body = Page), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    query: Result<Query<Listed>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Page>, Problem> {
    let Query(asked) = query.map_err(|e| bad_query(&e.body_text()))?;
    let limit = asked.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(bad_query("limit is 1..=1000"));
    }
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let mut after = asked.cursor.clone();
    // Filters that the store cannot answer are applied to batches of it.
    loop {
        let records = api
            .manager
            .store
            .list(after.as_deref(), &asked.prefix, 200)
            .await?;
        let Some(last) = records.last() else {
            return Ok(Json(page));
        };
        after = Some(last.name.clone());
        for record in &records {
            let config = read_config(record)?;
            if !wanted(&api, &asked, &config) {
                continue;
            }
            if page.items.len() == limit as usize {
                return Ok(Json(page));
            }
            page.next = Some(record.name.clone());
            let shown = view::stream(&api.manager, record, &config, (false, &headers));
            page.items.push(shown);
        }
        if records.len() < 200 {
            page.next = None;
            return Ok(Json(page));
        }
    }
}

fn wanted(api: &Api, asked: &Listed, config: &StreamConfig) -> bool {
    let label = asked.label.as_deref().is_none_or(|label| {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        let labels = config.labels.as_ref();
        labels.and_then(|l| l.get(name)).is_some_and(|v| v == value)
    });
    let status = asked.status.as_deref().is_none_or(|wanted| {
        let now = api.manager.get(&config.name);
        let now = now.map_or(Status::Disabled, |s| s.status());
        serde_json::to_value(now).is_ok_and(|now| now == wanted)
    });
    label && status
}

/// Makes a stream.
#[utoipa::path(post, path = "/streams", tag = "streams", params(Shown), request_body = StreamConfig, responses(
    (status = 201, body = StreamConfig), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    query: Result<Query<Shown>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Query(shown) = query.map_err(|e| bad_query(&e.body_text()))?;
    let config = model::accept(json(body)?, None)?;
    let _change = api.manager.changes.lock().await;
    let text = to_text(&config)?;
    let record = api
        .manager
        .store
        .create(&config.name, &text, utc_ms())
        .await?;
    api.manager.apply(config.clone()).await?;
    tracing::info!(stream = config.name, "created");
    let mut response = respond(&api, &record, &config, (shown.reveal, &headers));
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("/api/v1/streams/{}", config.name.replace('/', "%2F"));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// One stream, with what holds (`effective`) and what it is doing (`runtime`).
#[utoipa::path(get, path = "/streams/{name}", tag = "streams", params(("name" = String, Path, description = "with %2F for /"), Shown), responses(
    (status = 200, body = StreamConfig), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(api): State<Api>,
    Path(name): Path<String>,
    query: Result<Query<Shown>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(shown) = query.map_err(|e| bad_query(&e.body_text()))?;
    let (record, config) = find(&api, &name).await?;
    let tag = view::etag(&record);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok());
    // `runtime` changes without the tag; only who asks for the configuration sends the tag.
    if known == Some(tag.as_str()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    Ok(respond(&api, &record, &config, (shown.reveal, &headers)))
}

/// Replaces a stream's configuration.
#[utoipa::path(put, path = "/streams/{name}", tag = "streams", params(("name" = String, Path)), request_body = StreamConfig, responses(
    (status = 200, body = StreamConfig), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = json(body)?;
    change(&api, &name, &headers, |_| Ok(body)).await
}

/// Changes some of a stream's configuration (RFC 7396 merge patch).
#[utoipa::path(patch, path = "/streams/{name}", tag = "streams", params(("name" = String, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"), responses(
    (status = 200, body = StreamConfig), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> Result<Response, Problem> {
    let patch = parse(&body)?;
    change(&api, &name, &headers, |mut shown| {
        model::merge(&mut shown, &patch);
        Ok(shown)
    })
    .await
}

/// Removes a stream. Its players are told that it has ended.
#[utoipa::path(delete, path = "/streams/{name}", tag = "streams", params(("name" = String, Path)), responses(
    (status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let _change = api.manager.changes.lock().await;
    let (record, _) = find(&api, &name).await?;
    check_match(&headers, &record)?;
    api.manager
        .store
        .delete(&name, Some(record.version))
        .await?;
    api.manager.stop(&name).await;
    tracing::info!(stream = name, "removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Lets the publisher go; it may come back at once.
#[utoipa::path(post, path = "/streams/{name}/restart", tag = "streams", params(("name" = String, Path)), responses(
    (status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn restart(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    find(&api, &name).await?;
    let Some(stream) = api.manager.get(&name) else {
        let why = "the stream is disabled";
        return Err(Problem::new(StatusCode::CONFLICT, "stream_disabled", why));
    };
    stream.kick();
    Ok(StatusCode::NO_CONTENT)
}

/// Reads, edits, checks, saves and applies. What is refused changes nothing; what changes nothing
/// keeps its tag.
pub(super) async fn change(
    api: &Api,
    name: &str,
    headers: &HeaderMap,
    edit: impl FnOnce(Value) -> Result<Value, Problem>,
) -> Result<Response, Problem> {
    let _change = api.manager.changes.lock().await;
    let (record, current) = find(api, name).await?;
    check_match(headers, &record)?;
    let edited = edit(model::shown(&current, false))?;
    let config = model::accept(edited, Some(&current))?;
    if config.name != name {
        let why = "a stream keeps its name";
        return Err(Problem::invalid("name_fixed", "name", why));
    }
    if config == current {
        return Ok(respond(api, &record, &config, (false, headers)));
    }
    let text = to_text(&config)?;
    let store = &api.manager.store;
    let record = store
        .update(name, &text, Some(record.version), utc_ms())
        .await?;
    api.manager.apply(config.clone()).await?;
    tracing::info!(stream = name, "changed");
    Ok(respond(api, &record, &config, (false, headers)))
}

pub(super) async fn find(api: &Api, name: &str) -> Result<(StreamRecord, StreamConfig), Problem> {
    let record = api.manager.store.get(name).await?;
    let record = record.ok_or_else(|| Problem::not_found("stream"))?;
    let config = read_config(&record)?;
    Ok((record, config))
}

fn read_config(record: &StreamRecord) -> Result<StreamConfig, Problem> {
    config_of(record).map_err(|error| {
        tracing::error!(stream = record.name, %error, "unreadable in the database");
        let why = "the stored configuration is unreadable";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", why)
    })
}

fn check_match(headers: &HeaderMap, record: &StreamRecord) -> Result<(), Problem> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Ok(());
    };
    let tag = view::etag(record);
    let wanted = wanted.to_str().unwrap_or_default();
    let any = wanted
        .split(',')
        .any(|t| matches!(t.trim(), "*") || t.trim() == tag);
    if any { Ok(()) } else { Err(Problem::stale()) }
}

fn respond(
    api: &Api,
    record: &StreamRecord,
    config: &StreamConfig,
    (reveal, headers): (bool, &HeaderMap),
) -> Response {
    let mut response = Json(view::stream(
        &api.manager,
        record,
        config,
        (reveal, headers),
    ))
    .into_response();
    if let Ok(tag) = HeaderValue::try_from(view::etag(record)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn to_text(config: &StreamConfig) -> Result<String, Problem> {
    serde_json::to_string(config).map_err(|e| Problem::invalid("invalid_field", "", &e.to_string()))
}

pub(super) fn json(body: Body) -> Result<Value, Problem> {
    let Json(value) = body.map_err(|e| Problem::new(e.status(), "bad_json", &e.body_text()))?;
    Ok(value)
}

/// A merge patch has a media type of its own; both are taken.
pub(super) fn parse(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(body)
        .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, "bad_json", &e.to_string()))
}

fn bad_query(why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", why)
}
