//! `/api/v1/streams/{name}`: streams one by one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use store::Record;

use super::change::{self, Stored, change, find, merging, replacing};
use super::document::{StreamPatch, StreamUpdate};
use super::extract::{Asked, Named, Sent};
use super::view::{Authority, Resource, Viewer, etag};
use super::{Api, Problem};
use crate::model::StreamConfig;

/// Which stream.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct StreamPath {
    /// `%2F` stands for its slashes.
    #[param(pattern = "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length = 128)]
    pub(super) name: String,
}

/// How a stream is shown.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Shown {
    /// Whether keys are shown.
    #[serde(default)]
    pub(super) reveal: bool,
}

/// Makes a stream.
#[utoipa::path(post, path = "/streams", operation_id = "create_stream", tag = "streams", params(Shown), request_body = StreamConfig, responses(
    (status = 201, body = Resource, headers(("Location" = String))), (status = 409, response = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    Asked(shown): Asked<Shown>,
    authority: Authority,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    let stored = change::create(api.clone(), body).await?;
    let response = respond(&api, &stored, authority, &shown);
    let path = format!("streams/{}", stored.0.name.replace('/', "%2F"));
    Ok(created(response, &path))
}

/// One stream, with what holds (`effective`) and what it is doing (`runtime`).
///
/// `If-None-Match` answers 304 while the configuration is the same, whatever the stream does.
#[utoipa::path(get, path = "/streams/{name}", operation_id = "read_stream", tag = "streams",
    params(StreamPath, Shown),
    responses((status = 200, body = Resource), (status = 304)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
    Asked(shown): Asked<Shown>,
    authority: Authority,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = find(&api, &name).await?;
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok());
    if known == Some(etag(&stored.0).as_str()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    Ok(respond(&api, &stored, authority, &shown))
}

/// Replaces a stream's configuration.
#[utoipa::path(put, path = "/streams/{name}", operation_id = "replace_stream", tag = "streams",
    params(StreamPath, Shown), request_body = StreamUpdate,
    responses((status = 200, body = Resource), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
    Asked(shown): Asked<Shown>,
    authority: Authority,
    headers: HeaderMap,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    let edit = replacing(body, "name", &name);
    let stored = change(api.clone(), name, headers, edit).await?;
    Ok(respond(&api, &stored, authority, &shown))
}

/// Changes some of a stream's configuration (RFC 7396 merge patch).
#[utoipa::path(patch, path = "/streams/{name}", operation_id = "patch_stream", tag = "streams",
    params(StreamPath, Shown),
    request_body(content = StreamPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Resource), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
    Asked(shown): Asked<Shown>,
    authority: Authority,
    headers: HeaderMap,
    Sent(patch): Sent,
) -> Result<Response, Problem> {
    let edit = merging(patch, "name", &name);
    let stored = change(api.clone(), name, headers, edit).await?;
    Ok(respond(&api, &stored, authority, &shown))
}

/// Removes a stream. Its players are told that it has ended.
#[utoipa::path(delete, path = "/streams/{name}", operation_id = "remove_stream", tag = "streams", params(StreamPath), responses(
    (status = 204), (status = 412, response = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    change::remove(api, name, headers).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keeps a stream that an encoder made of a template. Who publishes and plays it is not disturbed.
#[utoipa::path(post, path = "/streams/{name}/promote", operation_id = "promote_stream", tag = "streams",
    params(StreamPath, Shown),
    responses((status = 201, body = Resource), (status = 409, response = Problem)))]
pub(super) async fn promote(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
    Asked(shown): Asked<Shown>,
    authority: Authority,
) -> Result<Response, Problem> {
    let stored = change::promote(api.clone(), name).await?;
    let mut response = respond(&api, &stored, authority, &shown);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Lets the publisher go, who may come back at once, and begins packaging anew. Numbers go on.
#[utoipa::path(post, path = "/streams/{name}/restart", operation_id = "restart_stream", tag = "streams", params(StreamPath), responses(
    (status = 204), (status = 409, response = Problem)))]
pub(super) async fn restart(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
) -> Result<StatusCode, Problem> {
    change::restart(api, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn respond(api: &Api, stored: &Stored, authority: Authority, shown: &Shown) -> Response {
    let (record, definition) = stored;
    let viewer = Viewer {
        authority,
        reveal: shown.reveal,
    };
    let resource = viewer.stream(&api.manager, record, definition);
    tagged(Json(resource).into_response(), record)
}

/// 201, and where it is.
pub(super) fn created(mut response: Response, path: &str) -> Response {
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/{path}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

pub(super) fn tagged(mut response: Response, record: &Record) -> Response {
    if let Ok(tag) = HeaderValue::try_from(etag(record)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
