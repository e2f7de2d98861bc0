//! Bodies: bounded, decompressed, cut to the range that was asked for.

use std::future::{Future as _, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;
use url::Url;

use super::{Conn, KEPT, inflate};
use crate::pull::error::{Error, Place};

/// An answer whose body is still to be read. Read to its end, its connection is kept.
pub(crate) struct Body {
    answer: Response<Incoming>,
    /// `None` once the connection is done with.
    conn: Option<Conn>,
    url: Url,
    silence: Duration,
    kept: Arc<Mutex<Vec<Conn>>>,
}

impl Body {
    pub(super) const fn new(
        answer: Response<Incoming>,
        conn: Option<Conn>,
        url: Url,
        silence: Duration,
        kept: Arc<Mutex<Vec<Conn>>>,
    ) -> Self {
        Self {
            answer,
            conn,
            url,
            silence,
            kept,
        }
    }

    /// Where it is, after redirects.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// Its length, where that was told.
    pub(crate) fn length(&self) -> Option<u64> {
        self.answer.body().size_hint().exact()
    }

    pub(super) fn status(&self) -> StatusCode {
        self.answer.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    /// Whether it is compressed.
    ///
    /// # Errors
    /// In a way that was not asked for.
    pub(super) fn is_coded(&self, gzip: bool) -> Result<bool, Error> {
        let coding = self.headers().get(header::CONTENT_ENCODING);
        match coding.map_or(&b"identity"[..], |c| c.as_bytes()) {
            b"identity" | b"" => Ok(false),
            b"gzip" | b"x-gzip" if gzip => Ok(true),
            _ => Err(self.wrong("compressed in a way that was not asked for")),
        }
    }

    /// The next piece, `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let silence = self.silence;
        loop {
            let frame = timeout(silence, self.frame()).await;
            let frame = frame.map_err(|_| Error::TimedOut {
                place: Place::of(&self.url),
                doing: "in the middle of the body",
            })?;
            match frame.transpose().map_err(|error| Error::Http {
                place: Place::of(&self.url),
                error,
            })? {
                None => {
                    self.give_back();
                    return Ok(None);
                }
                // Trailers are nothing to us.
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Moves the connection and the body on until a piece of the latter is there.
    async fn frame(&mut self) -> Option<Result<http_body::Frame<Bytes>, hyper::Error>> {
        poll_fn(|cx| {
            if let Some(conn) = &mut self.conn
                && let Poll::Ready(done) = Pin::new(&mut conn.drive).poll(cx)
            {
                if let Err(error) = done {
                    tracing::trace!(%error, "connection");
                }
                self.conn = None;
            }
            Pin::new(self.answer.body_mut()).poll_frame(cx)
        })
        .await
    }

    fn give_back(&mut self) {
        let Some(conn) = self.conn.take() else {
            return;
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(conn);
        if kept.len() > KEPT {
            kept.remove(0);
        }
    }

    /// The whole body: at most `limit` bytes, compressed or not, of them `range` where the server
    /// sent more.
    pub(super) async fn collect(
        &mut self,
        limit: usize,
        range: Option<Range<u64>>,
        gzip: bool,
    ) -> Result<Bytes, Error> {
        let coded = self.is_coded(gzip)?;
        let whole = self.status() == StatusCode::OK;
        let (mut skip, want) = match range {
            Some(range) => (
                if whole { range.start } else { 0 },
                usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX),
            ),
            None => (0, usize::MAX),
        };
        if want != usize::MAX && want > limit {
            return Err(self.wrong("longer than its bound"));
        }
        let mut bytes = BytesMut::new();
        while let Some(mut chunk) = self.chunk().await? {
            let dropped = skip.min(chunk.len() as u64);
            skip -= dropped;
            bytes::Buf::advance(&mut chunk, usize::try_from(dropped).unwrap_or(0));
            if bytes.len() + chunk.len() > want {
                bytes.extend_from_slice(chunk.get(..want - bytes.len()).unwrap_or(&[]));
                return Ok(bytes.freeze());
            }
            if bytes.len() + chunk.len() > limit {
                return Err(self.wrong("longer than its bound"));
            }
            bytes.extend_from_slice(&chunk);
        }
        if want != usize::MAX && bytes.len() < want {
            return Err(self.wrong("ends before its byte range"));
        }
        if coded {
            let plain = inflate::gunzip(&bytes, limit).await;
            return plain.map_err(|what| self.wrong(what));
        }
        Ok(bytes.freeze())
    }

    fn wrong(&self, what: &'static str) -> Error {
        Error::Body {
            place: Place::of(&self.url),
            what,
        }
    }
}
