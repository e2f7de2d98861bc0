//! `/api/v1/streams/{name}/push/{id}`: one place that a stream is pushed to. `ETag` and `If-Match` are the stream's.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::document::{PushPatch, PushUpdate};
use super::entries::{EntryPath, List};
use super::extract::{Asked, Named, Sent};
use super::streams::Shown;
use super::{Api, Problem};
use crate::model::Push;

static PUSHES: List = List {
    member: "push",
    one: "push",
    open_keys: false,
};

/// One push.
#[utoipa::path(get, path = "/streams/{name}/push/{id}", operation_id = "read_push", tag = "push",
    params(EntryPath, Shown),
    responses((status = 200, body = Push)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    Asked(shown): Asked<Shown>,
) -> Result<Response, Problem> {
    PUSHES.read(&api, path, &shown).await
}

/// Makes or replaces a push. One that is changed connects anew; the others go on.
#[utoipa::path(put, path = "/streams/{name}/push/{id}", operation_id = "replace_push", tag = "push",
    params(EntryPath, Shown), request_body = PushUpdate,
    responses((status = 200, body = Push), (status = 201, body = Push), (status = 412, response = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    PUSHES.replace(api, path, (headers, body), &shown).await
}

/// Changes some of a push (RFC 7396 merge patch).
#[utoipa::path(patch, path = "/streams/{name}/push/{id}", operation_id = "patch_push", tag = "push",
    params(EntryPath, Shown),
    request_body(content = PushPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Push), (status = 412, response = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(patch): Sent,
) -> Result<Response, Problem> {
    PUSHES.patch(api, path, (headers, patch), &shown).await
}

/// Removes a push; the far end is told that it is over.
#[utoipa::path(delete, path = "/streams/{name}/push/{id}", operation_id = "remove_push", tag = "push",
    params(EntryPath),
    responses((status = 204), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    PUSHES.remove(api, path, headers).await
}
