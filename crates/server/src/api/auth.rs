//! Who may use the API, and for what: bearers of a token, and loopback peers where that is trusted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

use super::Problem;
use crate::secret;
use crate::tokens::{Role, Tokens};

/// What a request must bring.
pub(crate) struct Auth {
    pub(crate) admin_token: String,
    pub(crate) trust_loopback: bool,
    pub(crate) tokens: Arc<Tokens>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

impl Auth {
    /// What the request may do, if anything.
    fn role(&self, request: &Asking<'_>) -> Option<Role> {
        if !request.headers.contains_key(header::AUTHORIZATION) {
            let trusted = self.trust_loopback && request.is_local();
            return trusted.then_some(Role::Admin);
        }
        let token = request.bearer()?;
        if secret::matches(token, &self.admin_token) {
            return Some(Role::Admin);
        }
        self.tokens.admit(token)
    }
}

impl Role {
    /// Readers change nothing, and keys are not for them.
    fn may(self, method: &Method, uri: &Uri) -> Result<(), Problem> {
        let refuse = |code, why| Err(Problem::new(StatusCode::FORBIDDEN, code, why));
        match self {
            Self::Admin => Ok(()),
            Self::Read if !matches!(*method, Method::GET | Method::HEAD) => {
                refuse("read_only", "this token may only read")
            }
            Self::Read if reveals(uri) => refuse("reveal_forbidden", "this token sees no keys"),
            Self::Read => Ok(()),
        }
    }
}

/// Whether keys are asked for, read as handlers read the query; what cannot be read they refuse.
fn reveals(uri: &Uri) -> bool {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    pairs.is_ok_and(|Query(pairs)| pairs.iter().any(|(k, v)| k == "reveal" && v != "false"))
}

/// What is looked at.
struct Asking<'a> {
    headers: &'a HeaderMap,
    uri: &'a Uri,
    peer: SocketAddr,
}

impl Asking<'_> {
    fn bearer(&self) -> Option<&str> {
        let given = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = given.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Whether every header of the name is as it should be: one that cannot be read is not.
    fn all(&self, name: HeaderName, good: impl Fn(&str) -> bool) -> bool {
        let mut values = self.headers.get_all(name).iter();
        values.all(|value| value.to_str().is_ok_and(&good))
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
        // HTTP/2 names the host in the address.
        let authority = self.uri.authority();
        self.all(header::HOST, is_loopback_authority)
            && authority.is_none_or(|a| is_loopback_authority(a.as_str()))
    }

    fn is_from_us(&self) -> bool {
        let site = HeaderName::from_static("sec-fetch-site");
        self.all(header::ORIGIN, |origin| {
            let authority = origin.split_once("://").map(|(_, a)| a);
            authority.is_some_and(is_loopback_authority)
        }) && self.all(site, |site| matches!(site, "same-origin" | "none"))
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
    let Some(role) = auth.role(&asking) else {
        let why = "a bearer token is needed";
        return Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", why).into_response();
    };
    match role.may(request.method(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ANY: &str = "203.0.113.7:5";
    const LOCAL: &str = "127.0.0.1:5";

    fn role(trust: bool, peer: &str, pairs: &[(&'static str, &str)]) -> Option<Role> {
        let auth = Auth {
            admin_token: "0123456789abcdef".to_owned(),
            trust_loopback: trust,
            tokens: Arc::default(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        auth.role(&Asking {
            headers: &headers,
            uri: &Uri::from_static("/api/v1/streams"),
            peer: peer.parse().unwrap(),
        })
    }

    fn trusts(peer: &str, pairs: &[(&'static str, &str)]) -> bool {
        role(true, peer, pairs).is_some()
    }

    #[test]
    fn bearers_of_the_admin_token() {
        for given in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef "] {
            let given = [("authorization", given)];
            assert_eq!(role(false, ANY, &given), Some(Role::Admin));
        }
        for given in ["Bearer wrong", "Bearer", "Basic eDp5", "Bearer \u{e9}", ""] {
            let given = [("authorization", given)];
            assert_eq!(role(true, LOCAL, &given), None);
        }
        assert_eq!(role(false, LOCAL, &[]), None);
    }

    #[test]
    fn loopback_is_trusted_only_from_end_to_end() {
        let ours = ("host", "localhost:8080");
        assert!(trusts(LOCAL, &[ours]));
        assert!(trusts("[::ffff:127.0.0.1]:5", &[("host", "[::1]:8080")]));
        assert!(trusts(LOCAL, &[ours, ("origin", "http://127.0.0.1:3000")]));
        assert!(!trusts(ANY, &[ours]));
        for foreign in ["evil.example", "", "localhost.evil.example", "\u{e9}"] {
            assert!(!trusts(LOCAL, &[("host", foreign)]), "{foreign}");
            assert!(!trusts(LOCAL, &[ours, ("host", foreign)]));
        }
        for foreign in ["https://evil.example", "null", "", "http://localhost\u{e9}"] {
            let foreign = ("origin", foreign);
            assert!(!trusts(LOCAL, &[ours, foreign]));
            assert!(!trusts(
                LOCAL,
                &[ours, ("origin", "http://localhost"), foreign]
            ));
        }
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "\u{e9}"),
            ("x-forwarded-for", "1.2.3.4"),
        ] {
            assert!(!trusts(LOCAL, &[ours, (name, value)]), "{name}");
        }
    }

    #[test]
    fn readers_only_read_and_see_no_keys() {
        let code = |method: Method, query: &str| {
            let uri = format!("/api/v1/streams/news{query}").parse().unwrap();
            let refused = Role::Read.may(&method, &uri).err().map(|p| p.code);
            assert!(Role::Admin.may(&method, &uri).is_ok());
            refused.unwrap_or_default()
        };
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(code(method.clone(), "?prefix=a"), "");
            assert_eq!(code(method.clone(), "?reveal=false"), "");
            for query in [
                "?reveal=true",
                "?%72eveal=%74rue",
                "?a=b&reveal",
                "?reveal=1",
            ] {
                assert_eq!(code(method.clone(), query), "reveal_forbidden", "{query}");
            }
        }
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(code(method, ""), "read_only");
        }
    }
}
