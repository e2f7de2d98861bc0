//! One POST at a time per connection: pooled, bounded, never led elsewhere.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use crate::dial::{Check, Dialer, authority};
use crate::error::Error;

const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 8;
/// Of an answer's head, in bytes.
const HEAD: usize = 64 * 1024;
/// Of an answer's body, in bytes.
const BODY: usize = 16 * 1024;
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What is posted.
#[derive(Debug, Clone)]
pub struct Request {
    /// `http` or `https`. Credentials in it become an `Authorization` header, where there is none.
    pub url: Url,
    /// What goes beside `Host` and `Content-Length`.
    pub headers: HeaderMap,
    /// What is posted.
    pub body: Bytes,
    /// For the whole exchange: resolving, connecting, sending, and the answer to its end.
    pub timeout: Duration,
}

/// What came back: any status, redirects too.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// How long the receiver asks to be left alone (RFC 9110, 10.2.3); an hour at the most.
    pub retry_after: Option<Duration>,
    /// The first 16 KiB of the body; the rest is not read.
    pub body: Bytes,
}

/// Posts over kept connections, HTTP/1.1. Clones share them; with the last clone they end.
#[derive(Clone)]
pub struct Client {
    pool: legacy::Client<Dialer, Full<Bytes>>,
}

impl Client {
    /// A client that connects where `check` allows, and over `tls` for `https`. Its protocols (ALPN)
    /// are set here.
    // hyper's pool drives its connections by tasks of its own, on the runtime that calls `post`.
    #[must_use]
    pub fn new(check: Check, tls: &ClientConfig) -> Self {
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(HEAD)
            // Only what was never taken off the queue to a connection is sent again: nothing of it went out.
            .retry_canceled_requests(true)
            .build(Dialer::new(check, tls));
        Self { pool }
    }

    /// Posts, and reads the answer.
    ///
    /// # Errors
    /// All but a whole answer within the time-out. The request may have arrived nevertheless.
    pub async fn post(&self, request: Request) -> Result<Answer, Error> {
        let deadline = Instant::now() + request.timeout;
        let mut request = build(request)?;
        let host = authority(request.uri());
        let timed_out = |doing| Error::TimedOut {
            host: host.clone(),
            doing,
        };
        let captured = capture_connection(&mut request);
        let answer = timeout_at(deadline, self.pool.request(request)).await;
        let answer = answer
            .map_err(|_| {
                timed_out(match *captured.connection_metadata() {
                    None => "connecting",
                    Some(_) => "waiting for the answer",
                })
            })?
            .map_err(|error| failed(&host, &error))?;
        let (head, body) = answer.into_parts();
        let body = timeout_at(deadline, beginning(body)).await;
        let body = body
            .map_err(|_| timed_out("reading the answer"))?
            .map_err(|error| broken(&host, &error))?;
        Ok(Answer {
            status: head.status,
            retry_after: retry_after(&head.headers, SystemTime::now()),
            body,
        })
    }
}

fn build(request: Request) -> Result<http::Request<Full<Bytes>>, Error> {
    let Request {
        mut url, headers, ..
    } = request;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::Address);
    }
    let credentials = basic(&url);
    // Neither can fail: there is a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let uri: Uri = url.as_str().parse().map_err(|_| Error::Address)?;
    let mut built = http::Request::new(Full::new(request.body));
    *built.method_mut() = Method::POST;
    *built.uri_mut() = uri;
    *built.headers_mut() = headers;
    if let Some(value) = credentials {
        let entry = built.headers_mut().entry(header::AUTHORIZATION);
        entry.or_insert(value);
    }
    Ok(built)
}

/// RFC 7617.
fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let value = format!("Basic {}", STANDARD.encode(plain));
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What the dialer said, where it was the dialer.
fn failed(host: &str, error: &legacy::Error) -> Error {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(ours) = inner.downcast_ref::<Error>() {
            return ours.clone();
        }
        cause = inner.source();
    }
    broken(host, error)
}

/// hyper says what went wrong in pieces, the telling one last.
fn broken(host: &str, error: &dyn std::error::Error) -> Error {
    let mut what = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        what = format!("{what}: {inner}");
        cause = inner.source();
    }
    let host = host.to_owned();
    Error::Http { host, what }
}

async fn beginning(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut bytes = BytesMut::new();
    while bytes.len() < BODY {
        let Some(frame) = body.frame().await else {
            break;
        };
        if let Ok(data) = frame?.into_data() {
            let rest = BODY - bytes.len();
            bytes.extend_from_slice(data.get(..rest).unwrap_or(&data));
        }
    }
    Ok(bytes.freeze())
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &'static str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(text))]);
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("0"), Some(0));
        assert_eq!(asked("86400"), Some(3600));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(asked("Sun, 06 Nov 1994 08:40:00 GMT"), Some(0));
        assert_eq!(asked("Mon, 07 Nov 1994 08:49:37 GMT"), Some(3600));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
    }
}
