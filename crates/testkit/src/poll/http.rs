//! A client that notes when bytes come.

use std::io::Read as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use media::{Span, Timestamp};

use super::dial::Dial;
use crate::lint::Answer;

/// Connections that were not used for so long are not used again.
const IDLE: Duration = Duration::from_secs(30);
/// Longer than any server may block a request for segments of ten seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// Time since the start of a run, and what UTC that is.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    utc: Timestamp,
}

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        let utc = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            start: Instant::now(),
            utc: Timestamp::ZERO + Span::from(utc),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::ZERO + Span::from(self.start.elapsed())
    }

    /// What UTC was at a time since the start.
    #[must_use]
    pub fn utc(&self, at: Timestamp) -> Timestamp {
        self.utc + (at - Timestamp::ZERO)
    }
}

/// One client: its connections are shared by nobody else.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    clock: Clock,
    /// `http://host:port/path/` of what relative URIs are relative to.
    base: String,
}

/// What to ask beyond a path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    pub(crate) query: &'a str,
    pub(crate) gzip: bool,
    pub(crate) range: Option<&'a str>,
    pub(crate) bearer: Option<&'a str>,
}

impl Http {
    /// A client for what lies beside `url`.
    pub(crate) fn new(url: &str, dial: &Dial, clock: Clock) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder
            .http2_only(dial.h2)
            .pool_timer(TokioTimer::new())
            // Before a server lets go of it: a request that crosses that is nobody's fault.
            .pool_idle_timeout(IDLE)
            .build(dial.connector());
        let base = url.split('?').next().unwrap_or(url);
        let base = base.rsplit_once('/').map_or(base, |(dir, _)| dir);
        Self {
            client,
            clock,
            base: format!("{base}/"),
        }
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    fn resolve(&self, uri: &str, query: &str) -> String {
        let url = match uri.strip_prefix('/') {
            _ if uri.contains("://") => uri.to_owned(),
            Some(path) => {
                let scheme = self.base.find("://").map_or(0, |i| i + 3);
                let end = self.base[scheme..]
                    .find('/')
                    .map_or(self.base.len(), |i| scheme + i);
                format!("{}/{path}", &self.base[..end])
            }
            None => self.beside(uri),
        };
        match (query, url.contains('?')) {
            ("", _) => url,
            (query, true) => format!("{url}&{query}"),
            (query, false) => format!("{url}?{query}"),
        }
    }

    /// A relative path; `..` leaves the directory.
    fn beside(&self, mut uri: &str) -> String {
        let mut dir = self.base.trim_end_matches('/');
        while let Some(rest) = uri.strip_prefix("../") {
            dir = dir.rsplit_once('/').map_or(dir, |(above, _)| above);
            uri = rest;
        }
        format!("{dir}/{uri}")
    }

    pub(crate) async fn get(&self, uri: &str, ask: Ask<'_>) -> Answer {
        let sent = self.clock.now();
        let got = tokio::time::timeout(PATIENCE, self.attempt(uri, ask, sent)).await;
        let error = match got {
            Ok(Ok(answer)) => return answer,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer in 40 s".to_owned(),
        };
        let now = self.clock.now();
        Answer {
            status: None,
            headers: Vec::new(),
            body: Bytes::new(),
            sent,
            first: now,
            last: now,
            reads: Vec::new(),
            error: Some(error),
        }
    }

    async fn attempt(&self, uri: &str, ask: Ask<'_>, sent: Timestamp) -> anyhow::Result<Answer> {
        let mut request = Request::get(self.resolve(uri, ask.query));
        if ask.gzip {
            request = request.header(header::ACCEPT_ENCODING, "gzip");
        }
        if let Some(range) = ask.range {
            request = request.header(header::RANGE, range);
        }
        if let Some(token) = ask.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = self.client.request(request.body(Empty::new())?).await?;
        self.receive(response, sent).await
    }

    async fn receive(
        &self,
        response: Response<Incoming>,
        sent: Timestamp,
    ) -> anyhow::Result<Answer> {
        let status = response.status().as_u16();
        let text = |v: &http::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), text(v)))
            .collect();
        let mut body = response.into_body();
        let (mut reads, mut bytes) = (Vec::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
                reads.push((self.clock.now(), bytes.len()));
            }
        }
        let last = self.clock.now();
        let zipped = headers
            .iter()
            .any(|(n, v)| n == "content-encoding" && v == "gzip");
        let body = if zipped {
            gunzip(&bytes)?
        } else {
            bytes.freeze()
        };
        let first = reads.first().map_or(last, |(at, _)| *at);
        Ok(Answer {
            status: Some(status),
            headers,
            body,
            sent,
            first,
            last,
            reads,
            error: None,
        })
    }
}

fn gunzip(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .take(64 << 20)
        .read_to_end(&mut out)?;
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::super::dial::Trust;
    use super::*;

    #[test]
    fn uris_are_relative_to_the_playlist() {
        let dial = Dial {
            h2: false,
            tls: Trust::Anyone.client().unwrap(),
        };
        let url = "http://127.0.0.1:8080/a/news/index.m3u8?ll=0";
        let http = Http::new(url, &dial, Clock::start());
        assert_eq!(
            http.resolve("v0.m3u8", "x=1"),
            "http://127.0.0.1:8080/a/news/v0.m3u8?x=1"
        );
        assert_eq!(
            http.resolve("v0.m3u8?ll=0", "x=1"),
            "http://127.0.0.1:8080/a/news/v0.m3u8?ll=0&x=1"
        );
        assert_eq!(http.resolve("../../time", ""), "http://127.0.0.1:8080/time");
        assert_eq!(http.resolve("/time", ""), "http://127.0.0.1:8080/time");
        assert_eq!(http.resolve("http://o/p", ""), "http://o/p");
    }
}
