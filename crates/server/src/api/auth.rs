//! Who may use the API: bearers of the admin token, and loopback peers where that is trusted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};

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
    fn admits(&self, request: &Asking<'_>) -> bool {
        let given = request.text(header::AUTHORIZATION);
        let token = given.and_then(|v| {
            let (scheme, token) = v.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match token {
            Some(token) => secret::matches(token, &self.admin_token),
            None => self.trust_loopback && request.is_local(),
        }
    }
}

/// What is looked at.
struct Asking<'a> {
    headers: &'a HeaderMap,
    uri: &'a Uri,
    peer: SocketAddr,
}

impl Asking<'_> {
    fn text(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// A loopback peer that speaks to a loopback name, and no page from elsewhere behind it.
    fn is_local(&self) -> bool {
        let proxied = ["x-forwarded-for", "forwarded", "via"];
        let proxied = proxied.iter().any(|name| self.headers.contains_key(*name));
        self.peer.ip().to_canonical().is_loopback()
            && self.names_us()
            && self.is_from_us()
            && !proxied
    }

    fn names_us(&self) -> bool {
        let host = self.text(header::HOST).is_none_or(is_loopback_authority);
        // HTTP/2 names the host in the address.
        let authority = self.uri.authority();
        host && authority.is_none_or(|a| is_loopback_authority(a.as_str()))
    }

    fn is_from_us(&self) -> bool {
        let origin = self.text(header::ORIGIN).is_none_or(|origin| {
            let authority = origin.split_once("://").map(|(_, a)| a);
            authority.is_some_and(is_loopback_authority)
        });
        let site = self.text(HeaderName::from_static("sec-fetch-site"));
        origin && site.is_none_or(|site| matches!(site, "same-origin" | "none"))
    }
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
    let asking = Asking {
        headers: request.headers(),
        uri: request.uri(),
        peer,
    };
    if auth.admits(&asking) {
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
        auth.admits(&Asking {
            headers: &headers,
            uri: &Uri::from_static("/api/v1/streams"),
            peer: peer.parse().unwrap(),
        })
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
        let framed = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
        assert!(!asks(true, "127.0.0.1:5", &framed));
        let proxied = [("host", "localhost"), ("x-forwarded-for", "1.2.3.4")];
        assert!(!asks(true, "127.0.0.1:5", &proxied));
        assert!(!asks(true, "203.0.113.7:5", &[("host", "localhost")]));
    }
}
