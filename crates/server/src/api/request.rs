//! What every request to the API gets: an id, a span, an end in time, answers that nobody keeps.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tracing::Instrument as _;

use super::Problem;
use crate::secret;

const ID: &str = "x-request-id";
/// A body that trickles in must end some time.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn accompany(request: Request, next: Next) -> Response {
    let id = id(request.headers());
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::info_span!("api", id, %method, path);
    let answer = tokio::time::timeout(PATIENCE, next.run(request)).instrument(span);
    let mut response = answer.await.unwrap_or_else(|_| too_slow());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(ID, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

fn too_slow() -> Response {
    let why = "the request took too long";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", why).into_response()
}

/// The client's own, where it is one that may stand in a log.
fn id(headers: &HeaderMap) -> String {
    let given = headers.get(ID).and_then(|v| v.to_str().ok());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let given = given.filter(|id| (1..=64).contains(&id.len()) && id.chars().all(plain));
    given.map_or_else(secret::random, str::to_owned)
}
