//! All that HTTP serves beside the API: health, metrics, the player page, media.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::extract::{ConnectInfo, OriginalUri, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_media::Outputs;
use percent_encoding::percent_decode_str;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{Access, Action, Decision, Refused, Visitor};
use crate::api::{self, Api, Problem};
use crate::assets;
use crate::events::rfc3339;
use crate::http_ts;
use crate::metrics::{Kind, Metrics};
use crate::runtime::{Manager, utc_ms};
use crate::tls::Certificate;

#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) manager: Arc<Manager>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) access: Arc<Access>,
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// Everything behind one port.
pub(crate) fn router(pages: Pages, api: Api) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/time", get(time))
        .route("/assets/{*path}", get(asset))
        .route("/.well-known/acme-challenge/{token}", get(challenge))
        .fallback(media)
        .with_state(pages.clone())
        .merge(api::router(api))
        .layer(CatchPanicLayer::custom(defect))
        .layer(from_fn_with_state(pages.metrics, count))
}

/// The panic itself is in the log.
fn defect(_: Box<dyn Any + Send>) -> Response {
    Problem::internal().into_response()
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready once everything is up. A lost database degrades: media never waits for SQL.
async fn readyz(State(pages): State<Pages>) -> Response {
    if !pages.ready.load(Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response();
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
    let expires = pages.certificate.and_then(|c| c.expires());
    let text = pages.metrics.render(&pages.manager, expires);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// The clock of the programmes, for players whose own is wrong (`UTCTiming` of DASH).
async fn time() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ];
    (headers, iso(utc_ms())).into_response()
}

/// With milliseconds even where they are none.
fn iso(ms: i64) -> String {
    let whole = rfc3339(ms - ms.rem_euclid(1_000));
    format!(
        "{}.{:03}Z",
        whole.trim_end_matches('Z'),
        ms.rem_euclid(1_000)
    )
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

/// What an ACME server asks for while it validates our names.
async fn challenge(State(pages): State<Pages>, Path(token): Path<String>) -> Response {
    let certificate = pages.certificate.as_ref();
    let Some(answer) = certificate.and_then(|c| c.challenge(&token)) else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let kind = HeaderValue::from_static("application/octet-stream");
    ([(header::CONTENT_TYPE, kind)], answer).into_response()
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
    // A browser asks with OPTIONS whether it may ask at all, and brings nothing.
    if *method != Method::OPTIONS
        && let Some(refused) = admit(&pages, &path, query, (headers, peer)).await
    {
        return refused;
    }
    if let Some(name) = http_media::mpegts::stream_of(&path) {
        return http_ts::answer(&pages.manager, name, query, (method, headers, peer)).await;
    }
    let outputs = &pages.manager.outputs;
    let answer = outputs
        .handle(method, &path, query, headers, peer.ip().to_canonical())
        .await;
    if let Some(response) = answer {
        return response;
    }
    let is_stream = |name: &str| outputs.get(name).is_some();
    let looks = matches!(*method, Method::GET | Method::HEAD);
    match path.strip_suffix('/') {
        Some(name) if looks && is_stream(name) => page(),
        None if looks && is_stream(&path) => {
            let query = uri.query().map_or_else(String::new, |q| format!("?{q}"));
            let to = format!("/{raw}/{query}");
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        _ => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}

/// Who may not see a stream's media gets another answer than media.
async fn admit(
    pages: &Pages,
    path: &str,
    query: &str,
    (headers, peer): (&HeaderMap, SocketAddr),
) -> Option<Response> {
    let name = Outputs::stream_of(path)?;
    let callback = pages.manager.on_play(name)?;
    let agent = headers.get(header::USER_AGENT);
    let protocol = match http_media::mpegts::stream_of(path) {
        Some(_) => "http_ts",
        None if http_media::is_dash(path, query) => "dash",
        None => "hls",
    };
    let brought = |pair: &&str| !http_media::is_own(path, pair);
    let brought: Vec<_> = query.split('&').filter(brought).collect();
    let visitor = Visitor {
        action: Action::Play,
        stream: name,
        protocol,
        peer,
        query: &brought.join("&"),
        agent: agent.and_then(|agent| agent.to_str().ok()),
    };
    let mut response = match pages.access.decide_viewer(&callback, &visitor).await {
        Decision::Allow => return None,
        Decision::Deny(why) => {
            let refused = Refused {
                action: Action::Play,
                protocol,
                stream: name,
                peer,
                reason: "denied",
                detail: Some(&why),
            };
            if pages.access.tell_refused(&pages.manager.events, &refused) {
                tracing::info!(stream = name, %peer, why, "play refused");
            }
            (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
        }
        Decision::Redirect(to) => {
            let rest = path.strip_prefix(name).unwrap_or_default();
            let query = if query.is_empty() { "" } else { query };
            let mark = if query.is_empty() { "" } else { "?" };
            let to = format!("/{to}{rest}{mark}{query}");
            (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
    };
    // The page may come from elsewhere, and should be able to say why.
    let anybody = HeaderValue::from_static("*");
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
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
    let kind = Kind::of(request.uri().path());
    let response = next.run(request).await;
    metrics.request(kind, response.status());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_told_in_milliseconds() {
        assert_eq!(iso(1_795_343_920_390), "2026-11-22T10:38:40.390Z");
        assert_eq!(iso(1_795_343_920_000), "2026-11-22T10:38:40.000Z");
    }
}
