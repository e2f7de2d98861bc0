//! `/api/v1/streams/{name}/switch`: the programme held on one input by hand.

use axum::extract::State;
use failover::NotFit;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::running;
use super::extract::{Named, Sent};
use super::streams::StreamPath;
use super::{Api, Problem};
use crate::model;

/// Which input to hold the programme on.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// Its id.
    #[schema(example = "backup")]
    input: String,
}

/// Holds the programme on an input until that fails, or until it is released. The switch is made
/// at a keyframe, when what runs ahead of real time has been repaid.
#[utoipa::path(post, path = "/streams/{name}/switch", operation_id = "hold_input", tag = "inputs",
    params(StreamPath), request_body = Switch, responses((status = 204), (status = 409, response = Problem)))]
pub(super) async fn hold(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
    Sent(body): Sent,
) -> Result<StatusCode, Problem> {
    let Switch { input } = model::typed(&body)?;
    let stream = running(&api, &name).await?;
    stream.programme().switch(&input).await.map_err(refused)?;
    tracing::info!(stream = name, input, "held by hand");
    Ok(StatusCode::NO_CONTENT)
}

/// Lets the stream choose its input again.
#[utoipa::path(delete, path = "/streams/{name}/switch", operation_id = "release_input", tag = "inputs",
    params(StreamPath), responses((status = 204), (status = 409, response = Problem)))]
pub(super) async fn release(
    State(api): State<Api>,
    Named(StreamPath { name }): Named<StreamPath>,
) -> Result<StatusCode, Problem> {
    if running(&api, &name).await?.programme().release().await {
        tracing::info!(stream = name, "released");
    }
    Ok(StatusCode::NO_CONTENT)
}

fn refused(why: NotFit) -> Problem {
    match why {
        NotFit::Unknown => Problem::invalid("input_unknown", "input", &why.to_string()),
        NotFit::Fault(_) => Problem::new(StatusCode::CONFLICT, "input_not_ready", &why.to_string()),
    }
}
