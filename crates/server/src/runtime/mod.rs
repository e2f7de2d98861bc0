//! What runs: one `Stream` per enabled stream, and the manager that makes them follow the store.

mod manager;
mod numbering;
mod packaging;
mod publish;
mod sessions;
mod stream;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use media::{Span, Timestamp};

pub(crate) use manager::{Manager, config_of};
pub(crate) use packaging::LastError;
pub(crate) use stream::{Status, Stream};

/// UTC: the one place where the server reads the wall clock.
pub(crate) fn utc() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::ZERO + Span::from(since.unwrap_or_default())
}

pub(crate) fn utc_ms() -> i64 {
    utc().as_millis()
}

/// What a panic left behind is as good as what was there before: all locks guard plain values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
