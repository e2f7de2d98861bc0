//! The HTTP client of the pulls: GET alone, over kept HTTP/1.1 connections that nobody but the
//! request on them drives. No task is spawned; dropping a request closes its connection.

mod body;
mod dial;
mod inflate;
mod tls;

pub use tls::config as tls;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::error::{Error, Place};
use super::source::{Source, fit};
pub(crate) use body::Body;

/// Kept connections in all; each has at most one request on it.
const KEPT: usize = 8;

/// What to ask for, and with how much patience.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) url: Url,
    /// Only these bytes of it.
    pub(crate) range: Option<Range<u64>>,
    /// The most that may come, decompressed.
    pub(crate) limit: usize,
    /// How much longer than usual the head of the answer may take.
    pub(crate) extra: Duration,
    /// The whole of it, but for connecting; none for a body without end.
    pub(crate) whole: Option<Duration>,
    /// Whether it may come compressed.
    pub(crate) gzip: bool,
}

/// A body read to its end, and where it came from after redirects.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) body: Bytes,
}

type Drive = Connection<TokioIo<Box<dyn dial::Stream>>, Empty<Bytes>>;

/// One connection; it moves only while somebody polls `drive`.
struct Conn {
    origin: url::Origin,
    send: SendRequest<Empty<Bytes>>,
    drive: Drive,
}

/// Requests of one pull.
pub(crate) struct Client {
    source: Arc<Source>,
    kept: Arc<Mutex<Vec<Conn>>>,
}

impl Client {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            kept: Arc::default(),
        }
    }

    /// The whole of it.
    pub(crate) async fn get(&self, ask: Ask) -> Result<Answer, Error> {
        let (limit, range, whole, gzip) = (ask.limit, ask.range.clone(), ask.whole, ask.gzip);
        let asked = ask.url.clone();
        let doing = async {
            let mut body = self.open(ask).await?;
            let bytes = body.collect(limit, range, gzip).await?;
            Ok(Answer {
                url: body.url().clone(),
                body: bytes,
            })
        };
        let Some(whole) = whole else {
            return doing.await;
        };
        let slow = |_| Error::TimedOut {
            place: Place::of(&asked),
            doing: "fetching it",
        };
        timeout_at(Instant::now() + self.source.timeouts.connect + whole, doing)
            .await
            .map_err(slow)?
    }

    /// Its head; the body is read by the caller. Follows redirects, each asked about anew.
    pub(crate) async fn open(&self, ask: Ask) -> Result<Body, Error> {
        let mut url = ask.url.clone();
        for _ in 0..=self.source.limits.redirects {
            let body = self.request(&ask, &url).await?;
            let Some(target) = body.redirect() else {
                return body.hoped_for(ask.range.is_some(), ask.gzip);
            };
            url = match url.join(target) {
                Ok(next) if fit(&next) => next,
                _ => return Err(Error::Redirect(Place::of(&url))),
            };
        }
        Err(Error::Redirect(Place::of(&ask.url)))
    }

    async fn request(&self, ask: &Ask, url: &Url) -> Result<Body, Error> {
        // A kept connection may have been closed meanwhile: that is no failure of the source.
        if let Some(conn) = self.keep(url) {
            match self.exchange(conn, ask, url).await {
                Err(Error::Http { .. }) => {}
                done => return done,
            }
        }
        let stream = dial::dial(&self.source, url).await?;
        let failed = |error| Error::Http {
            place: Place::of(url),
            error,
        };
        let (send, drive) = handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let conn = Conn {
            origin: url.origin(),
            send,
            drive,
        };
        self.exchange(conn, ask, url).await
    }

    fn keep(&self, url: &Url) -> Option<Conn> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|c| c.origin == url.origin())?;
        Some(kept.swap_remove(at))
    }

    async fn exchange(&self, mut conn: Conn, ask: &Ask, url: &Url) -> Result<Body, Error> {
        let request = self.head(ask, url)?;
        let failed = |error| Error::Http {
            place: Place::of(url),
            error,
        };
        let patience = self.source.timeouts.first_byte + ask.extra;
        let mut over = false;
        let answer = async {
            let answer = conn.send.send_request(request);
            let mut answer = std::pin::pin!(answer);
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                driven = &mut conn.drive => {
                    // The answer may be there already, its connection closed behind it, with TLS
                    // seldom by the rules.
                    if let Err(error) = driven {
                        tracing::trace!(%error, "connection");
                    }
                    over = true;
                    answer.await
                }
            }
        };
        let answer = tokio::time::timeout(patience, answer).await;
        let answer = answer.map_err(|_| Error::TimedOut {
            place: Place::of(url),
            doing: "waiting for an answer",
        })?;
        let silence = self.source.timeouts.silence;
        let kept = Arc::clone(&self.kept);
        Ok(Body::new(
            answer.map_err(failed)?,
            (!over).then_some(conn),
            url.clone(),
            silence,
            kept,
        ))
    }

    fn head(&self, ask: &Ask, url: &Url) -> Result<http::Request<Empty<Bytes>>, Error> {
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        let mut headers = self.source.headers_for(url);
        let mut set = |name, value: &str| match HeaderValue::try_from(value) {
            Ok(value) => {
                headers.entry(name).or_insert(value);
            }
            Err(error) => tracing::debug!(%error, "a header left out"),
        };
        set(header::HOST, &dial::authority(url));
        set(
            header::USER_AGENT,
            concat!("weir/", env!("CARGO_PKG_VERSION")),
        );
        set(
            header::ACCEPT_ENCODING,
            if ask.gzip { "gzip" } else { "identity" },
        );
        if let Some(range) = &ask.range {
            let last = range.end.saturating_sub(1);
            set(header::RANGE, &format!("bytes={}-{last}", range.start));
        }
        let mut request = http::Request::builder()
            .method(Method::GET)
            .uri(target)
            .body(Empty::new())
            .map_err(|_| Error::Address(Place::of(url).to_string()))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl Body {
    /// Where the answer points to, if it is a redirect.
    fn redirect(&self) -> Option<&str> {
        let moved = matches!(self.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let target = self.headers().get(header::LOCATION);
        moved.then_some(target?.to_str().unwrap_or("//"))
    }

    fn hoped_for(self, partial: bool, gzip: bool) -> Result<Self, Error> {
        match self.status() {
            StatusCode::OK => {}
            StatusCode::PARTIAL_CONTENT if partial => {}
            status => {
                return Err(Error::Status {
                    place: Place::of(self.url()),
                    status: status.as_u16(),
                });
            }
        }
        self.is_coded(gzip).map(|_| self)
    }
}
