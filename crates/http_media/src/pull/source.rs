//! Where a pull goes, as whom, and what bounds it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;
use url::Url;

use super::error::Error;

/// Asked after name resolution for each connection, wherever redirects and playlists point: may
/// this address be connected to?
pub type Egress = Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// The other end of a pull.
#[derive(Clone)]
pub struct Source {
    pub(crate) url: Url,
    /// Sent to the URL's own origin; `User-Agent` and `Referer` wherever media is.
    pub headers: HeaderMap,
    /// Whether certificates are verified, against the system's authorities.
    pub tls_verify: bool,
    /// The policy on addresses.
    pub egress: Egress,
    /// How long anything may take.
    pub timeouts: Timeouts,
    /// How much may come.
    pub limits: Limits,
}

/// How long anything may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From resolving the name to the end of the TLS handshake.
    pub connect: Duration,
    /// From the request to the head of the answer. A request that a low-latency server may block
    /// gets three target durations on top.
    pub first_byte: Duration,
    /// Between two pieces of a body. A live playlist may be without news for so long, or for three
    /// target durations where that is longer.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            silence: Duration::from_secs(10),
        }
    }
}

/// How much may come.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a segment, part, or initialization section.
    pub segment: usize,
    /// Bytes of a playlist, decompressed.
    pub playlist: usize,
    /// Redirects in a row.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment: 64 << 20,
            playlist: 4 << 20,
            redirects: 5,
        }
    }
}

impl Source {
    /// A source at `url`, with defaults. `user:password@` becomes an `Authorization` header.
    ///
    /// # Errors
    /// [`Error::Address`] unless it is `http` or `https` with a host.
    pub fn new(url: &str, egress: Egress) -> Result<Self, Error> {
        // What cannot be parsed may hold a password anywhere: it is not repeated.
        let mut url = Url::parse(url).map_err(|e| Error::Address(e.to_string()))?;
        if !fit(&url) {
            return Err(Error::Address(format!("{}:", url.scheme())));
        }
        let mut headers = HeaderMap::new();
        if let Some(credentials) = basic(&url) {
            headers.insert(header::AUTHORIZATION, credentials);
        }
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Self {
            url,
            headers,
            tls_verify: true,
            egress,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        })
    }

    /// The headers for a request to `url`.
    pub(crate) fn headers_for(&self, url: &Url) -> HeaderMap {
        if url.origin() == self.url.origin() {
            return self.headers.clone();
        }
        // Whatever a header is called, it may be a secret between its owner and that origin.
        let mut headers = HeaderMap::new();
        for name in [header::USER_AGENT, header::REFERER] {
            if let Some(value) = self.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        headers
    }
}

/// Whether a URL is one that can be asked.
pub(crate) fn fit(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.host().is_some()
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("place", &super::error::Place::of(&self.url))
            .field("tls_verify", &self.tls_verify)
            .field("timeouts", &self.timeouts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// RFC 7617.
fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str) -> Source {
        Source::new(url, Arc::new(|_| true)).unwrap()
    }

    #[test]
    fn credentials_become_a_header_of_the_origin() {
        let source = source("https://us%40er:p%3Ass@media.example/a/index.m3u8?key=1");
        let own = Url::parse("https://media.example/b.ts").unwrap();
        let other = Url::parse("https://cdn.example/b.ts").unwrap();
        let sent = |url| source.headers_for(url).get(header::AUTHORIZATION).cloned();
        assert_eq!(sent(&own).unwrap(), "Basic dXNAZXI6cDpzcw==");
        assert_eq!(sent(&other), None);
        assert_eq!(
            source.url.as_str(),
            "https://media.example/a/index.m3u8?key=1"
        );
        let shown = format!("{source:?}");
        assert!(
            !shown.contains("p%3Ass") && !shown.contains("key"),
            "{shown}"
        );
    }

    #[test]
    fn configured_headers_are_for_the_origin_alone() {
        let mut source = source("https://media.example/index.m3u8");
        for name in ["x-api-key", "authorization", "user-agent", "referer"] {
            source.headers.insert(name, HeaderValue::from_static("s"));
        }
        let sent = |url: &str| source.headers_for(&Url::parse(url).unwrap());
        assert_eq!(sent("https://media.example/k.bin").len(), 4);
        for url in [
            "https://cdn.example/",
            "http://media.example/",
            "https://media.example:444/",
        ] {
            let sent = sent(url);
            assert_eq!(sent.len(), 2, "{url}: {sent:?}");
            assert!(sent.contains_key("user-agent") && sent.contains_key("referer"));
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in [
            "file:///etc/passwd",
            "rtmp://host/app",
            "http:",
            "",
            "data:,x",
        ] {
            assert!(Source::new(url, Arc::new(|_| true)).is_err(), "{url}");
        }
    }
}
