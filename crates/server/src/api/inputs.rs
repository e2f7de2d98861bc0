//! `/api/v1/streams/{name}/inputs/{id}`: one input of a stream. `ETag` and `If-Match` are the stream's.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{Stored, change, find};
use super::document::{InputPatch, InputUpdate};
use super::extract::{Asked, Named, Sent};
use super::streams::{Shown, tagged};
use super::{Api, Problem};
use crate::model::{self, Input};

/// Which input.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct InputPath {
    /// The stream's; `%2F` stands for its slashes.
    #[param(pattern = "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length = 128)]
    name: String,
    #[param(pattern = "^[A-Za-z0-9_-]+$", max_length = 64)]
    id: String,
}

/// One input.
#[utoipa::path(get, path = "/streams/{name}/inputs/{id}", operation_id = "read_input", tag = "inputs",
    params(InputPath, Shown),
    responses((status = 200, body = Input)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(InputPath { name, id }): Named<InputPath>,
    Asked(shown): Asked<Shown>,
) -> Result<Response, Problem> {
    respond(&find(&api, &name).await?, &id, &shown)
}

/// Makes or replaces an input.
#[utoipa::path(put, path = "/streams/{name}/inputs/{id}", operation_id = "replace_input", tag = "inputs",
    params(InputPath, Shown), request_body = InputUpdate,
    responses((status = 200, body = Input), (status = 201, body = Input), (status = 412, response = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Named(InputPath { name, id }): Named<InputPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(body): Sent,
) -> Result<Response, Problem> {
    let input = named(body, &id)?;
    let known = find(&api, &name).await?.1.inputs.iter().any(|i| i.id == id);
    let own = id.clone();
    let edit = move |mut stream: Value| {
        match position(&stream, &own) {
            Ok(at) => stream["inputs"][at] = input,
            Err(_) => {
                if let Some(inputs) = stream["inputs"].as_array_mut() {
                    inputs.push(input);
                }
            }
        }
        Ok(stream)
    };
    let stored = change(api, name, headers, edit).await?;
    let mut response = respond(&stored, &id, &shown)?;
    if !known {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Changes some of an input (RFC 7396 merge patch); here `"key": null` lets everybody publish.
#[utoipa::path(patch, path = "/streams/{name}/inputs/{id}", operation_id = "patch_input", tag = "inputs",
    params(InputPath, Shown),
    request_body(content = InputPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Input), (status = 412, response = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Named(InputPath { name, id }): Named<InputPath>,
    Asked(shown): Asked<Shown>,
    headers: HeaderMap,
    Sent(patch): Sent,
) -> Result<Response, Problem> {
    let own = id.clone();
    let edit = move |mut stream: Value| {
        let at = position(&stream, &own)?;
        let patch = named(patch, &own)?;
        let mut input = stream["inputs"][at].take();
        model::merge(&mut input, &patch);
        // In a merge patch null removes, and a key that is not there is one that is kept.
        if patch.get("key").is_some_and(Value::is_null) {
            input["key"] = Value::Null;
        }
        stream["inputs"][at] = input;
        Ok(stream)
    };
    respond(&change(api, name, headers, edit).await?, &id, &shown)
}

/// Removes an input; its publisher is let go.
#[utoipa::path(delete, path = "/streams/{name}/inputs/{id}", operation_id = "remove_input", tag = "inputs",
    params(InputPath),
    responses((status = 204), (status = 412, response = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(InputPath { name, id }): Named<InputPath>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let edit = move |mut stream: Value| {
        let at = position(&stream, &id)?;
        if let Some(inputs) = stream["inputs"].as_array_mut() {
            inputs.remove(at);
        }
        Ok(stream)
    };
    change(api, name, headers, edit).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn respond(stored: &Stored, id: &str, shown: &Shown) -> Result<Response, Problem> {
    let stream = model::shown(&stored.1, shown.reveal);
    let input = &stream["inputs"][position(&stream, id)?];
    Ok(tagged(Json(input).into_response(), stored))
}

fn position(stream: &Value, id: &str) -> Result<usize, Problem> {
    let inputs = stream["inputs"].as_array();
    let at = inputs.and_then(|all| all.iter().position(|i| i["id"] == id));
    at.ok_or_else(|| Problem::not_found("input"))
}

/// An input's id is in its path; in the body it may be left out.
fn named(mut input: Value, id: &str) -> Result<Value, Problem> {
    let Some(members) = input.as_object_mut() else {
        return Err(Problem::invalid(
            "not_an_object",
            "",
            "a JSON object is expected",
        ));
    };
    let given = members.entry("id").or_insert_with(|| json!(id));
    if given != id {
        return Err(Problem::invalid("id_fixed", "id", "an input keeps its id"));
    }
    Ok(input)
}
