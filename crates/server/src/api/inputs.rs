//! `/api/v1/streams/{name}/inputs/{id}`: one input of a stream. `ETag` and `If-Match` are the stream's.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{Stored, change, editable, find, named};
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
    let input = named(body, "id", &id)?;
    let known = position(&find(&api, &name).await?.1.shown(false), &id).is_some();
    let own = id.clone();
    let edit = move |stream| {
        let mut stream = editable(stream)?;
        *own_input(&mut stream, &own)? = input;
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
    let config = find(&api, &name).await?.1;
    if !config.config().inputs.iter().any(|input| input.id == id) {
        return Err(Problem::not_found("input"));
    }
    let edit = move |stream| {
        let mut stream = editable(stream)?;
        let patch = named(patch, "id", &own)?;
        let input = own_input(&mut stream, &own)?;
        model::merge(input, &patch);
        // In a merge patch null removes, and a key that is not there is one that is kept.
        if patch.get("key").is_some_and(Value::is_null) {
            input["key"] = Value::Null;
        }
        Ok(stream)
    };
    respond(&change(api, name, headers, edit).await?, &id, &shown)
}

/// Removes an input; its publisher is let go.
#[utoipa::path(delete, path = "/streams/{name}/inputs/{id}", operation_id = "remove_input", tag = "inputs",
    params(InputPath),
    responses((status = 204), (status = 409, response = Problem), (status = 412, response = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(InputPath { name, id }): Named<InputPath>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let inherits = find(&api, &name).await?.1;
    let inherits = inherits.config().inputs.iter().any(|input| input.id == id);
    let edit = move |stream| {
        let mut stream = editable(stream)?;
        let Some(at) = position(&stream, &id) else {
            return Err(absent(inherits));
        };
        if let Some(inputs) = stream["inputs"].as_array_mut() {
            inputs.remove(at);
        }
        Ok(stream)
    };
    change(api, name, headers, edit).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn absent(inherits: bool) -> Problem {
    if inherits {
        let why = "the template has it: switch it off with \"enabled\": false";
        return Problem::new(StatusCode::CONFLICT, "input_inherited", why);
    }
    Problem::not_found("input")
}

/// As it is written, or as the template has it.
fn respond((record, definition): &Stored, id: &str, shown: &Shown) -> Result<Response, Problem> {
    let all = [
        definition.shown(shown.reveal),
        definition.effective(shown.reveal),
    ];
    let input = all
        .iter()
        .find_map(|stream| Some(&stream["inputs"][position(stream, id)?]));
    let input = input.ok_or_else(|| Problem::not_found("input"))?;
    Ok(tagged(Json(input).into_response(), record))
}

fn position(stream: &Value, id: &str) -> Option<usize> {
    let inputs = stream["inputs"].as_array();
    inputs.and_then(|all| all.iter().position(|i| i["id"] == id))
}

/// What the stream itself says of an input; made where it says nothing.
fn own_input<'a>(stream: &'a mut Value, id: &str) -> Result<&'a mut Value, Problem> {
    if !stream["inputs"].is_array() {
        stream["inputs"] = json!([]);
    }
    let at = position(stream, id);
    let inputs = stream["inputs"].as_array_mut();
    let inputs = inputs.ok_or_else(Problem::internal)?;
    let at = at.unwrap_or_else(|| {
        inputs.push(json!({"id": id}));
        inputs.len() - 1
    });
    inputs.get_mut(at).ok_or_else(Problem::internal)
}
