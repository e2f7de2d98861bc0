//! What a request brings, refused as problem documents where it makes no sense.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::IntoResponse as _;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Problem;

/// Parts of the path, decoded.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        let Path(names) =
            path.map_err(|e| bad(StatusCode::BAD_REQUEST, "bad_path", &e.body_text()))?;
        Ok(Self(names))
    }
}

/// The query; what is not known is refused.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(asked) = query.map_err(|e| bad_query(&e.body_text()))?;
        Ok(Self(asked))
    }
}

/// How many of a list are wanted: 1..=1000, 100 where nothing is said.
pub(super) fn page_limit<T: From<u16> + PartialOrd>(asked: Option<T>) -> Result<T, Problem> {
    let limit = asked.unwrap_or_else(|| T::from(100));
    if limit < T::from(1) || limit > T::from(1_000) {
        return Err(bad_query("limit is 1..=1000"));
    }
    Ok(limit)
}

pub(super) fn bad_query(why: &str) -> Problem {
    bad(StatusCode::BAD_REQUEST, "bad_query", why)
}

/// A JSON body.
pub(super) struct Sent(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = body(request, state).await?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|e| bad(StatusCode::BAD_REQUEST, "bad_json", &e.to_string()))
    }
}

/// A JSON body as it was sent.
pub(super) struct Text(pub(super) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = body(request, state).await?;
        let why = "the body is not UTF-8";
        let text = String::from_utf8(body.into());
        text.map(Self)
            .map_err(|_| bad(StatusCode::BAD_REQUEST, "bad_json", why))
    }
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let why = "application/json or application/merge-patch+json is expected";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(bad(status, "unsupported_media_type", why));
    }
    Bytes::from_request(request, state)
        .await
        .map_err(unreadable)
}

/// A page elsewhere can send other types without asking; this one it cannot.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/merge-patch+json"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

fn unreadable(rejection: BytesRejection) -> Problem {
    match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status => bad(status, "bad_body", "the body could not be read"),
    }
}

fn too_large() -> Problem {
    let why = "the body is too large";
    bad(StatusCode::PAYLOAD_TOO_LARGE, "too_large", why)
}

fn bad(status: StatusCode, code: &str, why: &str) -> Problem {
    Problem::new(status, code, why)
}
