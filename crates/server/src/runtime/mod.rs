//! What runs: one `Stream` per enabled stream, and the manager that makes them follow the store.

mod manager;
mod numbering;
mod publish;
mod stream;

use std::time::{SystemTime, UNIX_EPOCH};

use media::Timestamp;

pub(crate) use manager::{Manager, config_of};

pub(crate) use stream::{Status, Stream};

/// UTC: the one place where the server reads the wall clock.
pub(crate) fn utc() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::ZERO + media::Span::from(since)
}

pub(crate) fn utc_ms() -> i64 {
    utc().as_millis()
}
