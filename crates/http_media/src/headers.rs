//! What every answer says of itself: types, caching, cross-origin access.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::error::Refusal;

pub(crate) const PLAYLIST: &str = "application/vnd.apple.mpegurl";
pub(crate) const MPD: &str = "application/dash+xml";
pub(crate) const MPEGTS: &str = "video/mp2t";

/// What is more urgent than what (RFC 9218, rule H24): without a playlist nothing goes on, and
/// sound that is late is worse than a picture.
pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("priority");
pub(crate) const URGENT: HeaderValue = HeaderValue::from_static("u=1");
pub(crate) const AUDIO: HeaderValue = HeaderValue::from_static("u=2");
pub(crate) const VIDEO: HeaderValue = HeaderValue::from_static("u=3");

/// How long a cache may keep an answer (rule H27). A blocked answer is asked for by one exact
/// state and may be kept long; another is out of date at the next change. A frozen one is no
/// answer to what was asked.
pub(crate) fn playlist_age(target: Duration, blocking: bool, frozen: bool) -> HeaderValue {
    if frozen {
        return max_age(Duration::ZERO);
    }
    if blocking {
        return max_age(target * 6);
    }
    // Half a target duration, in whole seconds and never none.
    max_age((target / 2).max(Duration::from_secs(1)))
}

/// What is not there may be kept for a while; what is not there *yet* may not.
pub(crate) fn refusal_age(target: Duration, refusal: Refusal) -> HeaderValue {
    match refusal.status() {
        StatusCode::NOT_FOUND if !matches!(refusal, Refusal::NotLive | Refusal::NotYet) => {
            max_age(target)
        }
        _ => HeaderValue::from_static("no-store"),
    }
}

/// A name is never used twice with other bytes.
pub(crate) const IMMUTABLE: HeaderValue =
    HeaderValue::from_static("public, max-age=3600, immutable");

fn max_age(age: Duration) -> HeaderValue {
    let text = format!("public, max-age={}", age.as_secs());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-cache"))
}

/// Any page may play what is public.
pub(crate) fn allow_any_origin(headers: &mut HeaderMap) {
    let any = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    let exposed = HeaderValue::from_static("Content-Length, Content-Range, ETag, Date, Age");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

pub(crate) fn preflight(headers: &mut HeaderMap) {
    allow_any_origin(headers);
    let methods = HeaderValue::from_static("GET, HEAD, OPTIONS");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let any = HeaderValue::from_static("Range, If-None-Match, Content-Type");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, any);
    let day = HeaderValue::from_static("86400");
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, day);
}

/// Whether a client takes gzip (RFC 9110 12.5.3).
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.and_then(|v| v.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = matches!(parts.next(), Some("gzip" | "*"));
        let refused = parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        named && !refused
    })
}

/// A single byte range of a resource of `len` bytes: `Ok(None)` where there is none to heed.
pub(crate) fn range(headers: &HeaderMap, len: usize) -> Result<Option<(usize, usize)>, ()> {
    let Some(text) = headers.get(header::RANGE).and_then(|v| v.to_str().ok()) else {
        return Ok(None);
    };
    // Several ranges, or another unit, may be ignored (RFC 9110 14.2).
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Ok(None);
    };
    let number = |t: &str| t.trim().parse::<usize>().ok();
    let (start, end) = match (number(first), number(last)) {
        (None, Some(0)) => return Err(()),
        (None, Some(suffix)) if first.trim().is_empty() => (len.saturating_sub(suffix), len),
        (Some(start), None) if last.trim().is_empty() => (start, len),
        (Some(start), Some(last)) if last >= start => (start, last.saturating_add(1).min(len)),
        _ => return Ok(None),
    };
    if start >= len {
        return Err(());
    }
    Ok(Some((start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(text));
            range(&headers, 100)
        };
        assert_eq!(of("bytes=0-9"), Ok(Some((0, 10))));
        assert_eq!(of("bytes=90-"), Ok(Some((90, 100))));
        assert_eq!(of("bytes=-5"), Ok(Some((95, 100))));
        assert_eq!(of("bytes=50-5000"), Ok(Some((50, 100))));
        assert_eq!(of("bytes=100-"), Err(()));
        assert_eq!(of("bytes=0-1,4-5"), Ok(None));
        assert_eq!(of("lines=1-2"), Ok(None));
    }

    #[test]
    fn gzip() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            takes_gzip(&headers)
        };
        assert!(of("br, gzip;q=0.5") && of("*"));
        assert!(!of("gzip;q=0") && !of("identity"));
    }
}
