//! Who may use the API: bearers of the admin token, and loopback peers where that is trusted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};

use super::Problem;
use crate::secret;

/// What a request must bring.
pub(crate) struct Auth {
    pub(crate) admin_token: String,
    pub(crate) trust_loopback: bool,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

impl Auth {
    fn admits(&self, headers: &HeaderMap, peer: SocketAddr) -> bool {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok());
        let token = given.and_then(|v| {
            let (scheme, token) = v.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match token {
            Some(token) => secret::matches(token, &self.admin_token),
            None => self.trust_loopback && is_local(headers, peer),
        }
    }
}

/// A loopback peer that speaks to a loopback name, and no page from elsewhere behind it.
fn is_local(headers: &HeaderMap, peer: SocketAddr) -> bool {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let local_host = text(header::HOST).is_none_or(is_loopback_authority);
    let local_origin = text(header::ORIGIN).is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, a)| a);
        authority.is_some_and(is_loopback_authority)
    });
    let proxied = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    peer.ip().to_canonical().is_loopback() && local_host && local_origin && !proxied
}

fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.is_loopback())
}

pub(super) async fn guard(
    State(auth): State<Arc<Auth>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if auth.admits(request.headers(), peer) {
        return next.run(request).await;
    }
    let why = "a bearer token is needed";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", why).into_response()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asks(trust: bool, peer: &str, pairs: &[(&'static str, &'static str)]) -> bool {
        let auth = Auth {
            admin_token: "0123456789abcdef".to_owned(),
            trust_loopback: trust,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        auth.admits(&headers, peer.parse().unwrap())
    }

    #[test]
    fn tokens() {
        let peer = "203.0.113.7:5";
        assert!(asks(
            false,
            peer,
            &[("authorization", "Bearer 0123456789abcdef")]
        ));
        assert!(asks(
            false,
            peer,
            &[("authorization", "bearer 0123456789abcdef")]
        ));
        assert!(!asks(
            true,
            "127.0.0.1:5",
            &[("authorization", "Bearer wrong")]
        ));
        assert!(!asks(false, "127.0.0.1:5", &[]));
    }

    #[test]
    fn loopback_is_trusted_only_from_end_to_end() {
        assert!(asks(true, "127.0.0.1:5", &[("host", "localhost:8080")]));
        assert!(asks(
            true,
            "[::ffff:127.0.0.1]:5",
            &[("host", "[::1]:8080")]
        ));
        assert!(!asks(true, "127.0.0.1:5", &[("host", "evil.example")]));
        let foreign = [("host", "localhost"), ("origin", "https://evil.example")];
        assert!(!asks(true, "127.0.0.1:5", &foreign));
        let proxied = [("host", "localhost"), ("x-forwarded-for", "1.2.3.4")];
        assert!(!asks(true, "127.0.0.1:5", &proxied));
        assert!(!asks(true, "203.0.113.7:5", &[("host", "localhost")]));
    }
}
