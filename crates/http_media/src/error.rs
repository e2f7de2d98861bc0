//! Refusals: a status, a code for counters, a line for people.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Why a request is not answered with media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such stream.
    #[error("no such stream")]
    UnknownStream,
    /// The stream is there, its playlists are not yet.
    #[error("stream is not live yet")]
    NotLive,
    /// Nothing of this name is, or is hinted to be.
    #[error("no such resource")]
    NotFound,
    /// A segment that nobody was promised yet.
    #[error("no such segment yet")]
    NotYet,
    /// `_HLS_part` without `_HLS_msn`, or a number that is none.
    #[error("malformed delivery directive")]
    Directive,
    /// Further ahead than the next segments.
    #[error("too far in the future")]
    TooFarAhead,
    /// Waited for three target durations.
    #[error("no media arrived in time")]
    Stalled,
    /// Too many requests wait already.
    #[error("too many blocked requests")]
    Crowded,
    /// MPEG-TS has no place for any of its tracks.
    #[error("MPEG-TS cannot carry the codecs of this stream")]
    NotCarried,
    /// Not GET, HEAD or OPTIONS.
    #[error("method not allowed")]
    Method,
    /// A range beyond the resource, which has so many bytes.
    #[error("range not satisfiable")]
    Range(usize),
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::UnknownStream
            | Self::NotLive
            | Self::NotFound
            | Self::NotYet
            | Self::NotCarried => StatusCode::NOT_FOUND,
            Self::Directive | Self::TooFarAhead => StatusCode::BAD_REQUEST,
            Self::Stalled | Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    const fn retry_after(self) -> Option<HeaderValue> {
        match self {
            Self::NotLive | Self::Stalled | Self::Crowded => Some(HeaderValue::from_static("1")),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        if self == Self::Method {
            let allowed = HeaderValue::from_static("GET, HEAD, OPTIONS");
            headers.insert(header::ALLOW, allowed);
        }
        if let Self::Range(len) = self
            && let Ok(range) = HeaderValue::try_from(format!("bytes */{len}"))
        {
            headers.insert(header::CONTENT_RANGE, range);
        }
        response
    }
}
