//! All that HTTP serves beside the API: health, metrics, the player page, media.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::extract::{ConnectInfo, OriginalUri, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::api::{self, Api};
use crate::assets;
use crate::metrics::Metrics;
use crate::runtime::Manager;

/// Bodies of API requests; media is not pushed over HTTP yet.
const BODY: usize = 256 << 10;

#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) manager: Arc<Manager>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ready: Arc<AtomicBool>,
}

/// Everything behind one port.
pub(crate) fn router(pages: Pages, api: Api) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/assets/{*path}", get(asset))
        .fallback(media)
        .with_state(pages.clone())
        .merge(api::router(api))
        .layer(RequestBodyLimitLayer::new(BODY))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(pages.metrics, count))
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready once everything is up. A lost database degrades: media never waits for SQL.
async fn readyz(State(pages): State<Pages>) -> Response {
    if !pages.ready.load(Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response();
    }
    let degraded = pages.manager.ledger.is_degraded();
    let text = if degraded {
        "degraded: database\n"
    } else {
        "ready\n"
    };
    text.into_response()
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let text = pages.metrics.render(&pages.manager);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn asset(Path(path): Path<String>) -> Response {
    let Some((kind, bytes)) = assets::asset(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, assets::cache_control(&path)),
    ];
    (headers, bytes).into_response()
}

/// `/{name}/…`: media, or the player page.
async fn media(
    State(pages): State<Pages>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Response {
    let raw = uri.path().trim_start_matches('/');
    let Ok(path) = percent_decode_str(raw).decode_utf8() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let query = uri.query().unwrap_or_default();
    let (method, headers) = (request.method(), request.headers());
    let outputs = &pages.manager.outputs;
    let answer = outputs
        .handle(method, &path, query, headers, peer.ip())
        .await;
    if let Some(response) = answer {
        return response;
    }
    let is_stream = |name: &str| outputs.get(name).is_some();
    match path.strip_suffix('/') {
        Some(name) if is_stream(name) && method == Method::GET => page(),
        None if is_stream(&path) => {
            let query = uri.query().map_or_else(String::new, |q| format!("?{q}"));
            let to = format!("/{raw}/{query}");
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        _ => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}

fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, assets::player_page()).into_response()
}

/// Counts every request by what it was for and how it ended.
async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let kind = match request.uri().path() {
        p if p.starts_with("/api/") => "api",
        p if p.ends_with(".m3u8") => "playlist",
        p if p.ends_with(".m4s") || p.ends_with(".mp4") => "media",
        "/healthz" | "/readyz" | "/metrics" => "ops",
        _ => "page",
    };
    let response = next.run(request).await;
    metrics.http(kind, response.status());
    response
}
