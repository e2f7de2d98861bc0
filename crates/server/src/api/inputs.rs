//! `/api/v1/streams/{name}/inputs/{id}`: one input of a stream.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::streams::{Body, change, find, json as read_json, parse};
use super::{Api, Problem};
use crate::model::{self, Input};

/// One input.
#[utoipa::path(get, path = "/streams/{name}/inputs/{id}", tag = "streams",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Input), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(api): State<Api>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let (_, config) = find(&api, &name).await?;
    let shown = model::shown(&config, false);
    Ok(Json(
        position(&shown, &id).map(|i| shown["inputs"][i].clone())?,
    ))
}

/// Makes or replaces an input.
#[utoipa::path(put, path = "/streams/{name}/inputs/{id}", tag = "streams",
    params(("name" = String, Path), ("id" = String, Path)), request_body = Input,
    responses((status = 200, body = Input), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let input = named(read_json(body)?, &id)?;
    change(&api, &name, &headers, |mut stream| {
        match position(&stream, &id) {
            Ok(at) => stream["inputs"][at] = input,
            Err(_) => {
                if let Some(inputs) = stream["inputs"].as_array_mut() {
                    inputs.push(input);
                }
            }
        }
        Ok(stream)
    })
    .await?;
    Ok(read(State(api), Path((name, id))).await?.into_response())
}

/// Changes some of an input (RFC 7396 merge patch); here `"key": null` lets everybody publish.
#[utoipa::path(patch, path = "/streams/{name}/inputs/{id}", tag = "streams",
    params(("name" = String, Path), ("id" = String, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Input), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> Result<Response, Problem> {
    let patch = parse(&body)?;
    change(&api, &name, &headers, |mut stream| {
        let at = position(&stream, &id)?;
        let mut input = stream["inputs"][at].take();
        model::merge(&mut input, &patch);
        if patch.get("key").is_some_and(Value::is_null) {
            input["key"] = Value::Null;
        }
        stream["inputs"][at] = named(input, &id)?;
        Ok(stream)
    })
    .await?;
    Ok(read(State(api), Path((name, id))).await?.into_response())
}

/// Removes an input; its publisher is let go.
#[utoipa::path(delete, path = "/streams/{name}/inputs/{id}", tag = "streams",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    change(&api, &name, &headers, |mut stream| {
        let at = position(&stream, &id)?;
        if let Some(inputs) = stream["inputs"].as_array_mut() {
            inputs.remove(at);
        }
        Ok(stream)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
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
