//! `/api/v1/streams/{name}/inputs/{id}`: one input of a stream. `ETag` and `If-Match` are the stream's.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::document::{InputPatch, InputUpdate};
use super::entries::{EntryPath, List};
use super::extract::{Asked, Named, Sent};
use super::streams::Shown;
use super::{Api, Problem};
use crate::model::Input;

static INPUTS: List = List {
    member: "inputs",
    one: "input",
    open_keys: true,
};

/// One input.
#[utoipa::path(get, path = "/streams/{name}/inputs/{id}", operation_id = "read_input", tag = "inputs",
    params(EntryPath, Shown),
    responses((status = 200, body = Input)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    Asked(shown): Asked<Shown>,
) -> Result<Response, Problem> {
    INPUTS.read(&api, path, &shown).await
}

/// Makes or replaces an input.
#[utoipa::path(put, path = "/streams/{name}/inputs/{id}", operation_id = "replace_input", tag = "inputs",
    params(EntryPath, Shown), request_body = InputUpdate,
    responses((status = 200, body = Input), (status = 201, body = Input), (status = 412, response = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    INPUTS.replace(api, path, (headers, body), &shown).await
}

/// Changes some of an input (RFC 7396 merge patch); here `"key": null` lets everybody publish.
#[utoipa::path(patch, path = "/streams/{name}/inputs/{id}", operation_id = "patch_input", tag = "inputs",
    params(EntryPath, Shown),
    request_body(content = InputPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Input), (status = 412, response = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(patch): Sent,
) -> Result<Response, Problem> {
    INPUTS.patch(api, path, (headers, patch), &shown).await
}

/// Removes an input; its publisher is let go.
#[utoipa::path(delete, path = "/streams/{name}/inputs/{id}", operation_id = "remove_input", tag = "inputs",
    params(EntryPath),
    responses((status = 204), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(path): Named<EntryPath>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    INPUTS.remove(api, path, headers).await
}
