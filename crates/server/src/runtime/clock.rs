//! UTC for media: the system's clock as it was at the start, carried on by the monotonic clock and
//! led gently to the system's. A step of the system's clock is no event of the programme's.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use media::{Span, Timestamp};

/// The most per second by which it is led: 500 ppm, as the kernel slews.
const MOST: i64 = 500_000;

static START: LazyLock<(Instant, Timestamp)> = LazyLock::new(|| (Instant::now(), system()));
static LED_NS: AtomicI64 = AtomicI64::new(0);

/// The one place where the server reads the wall clock.
fn system() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::ZERO + Span::from(since.unwrap_or_default())
}

pub(crate) fn utc() -> Timestamp {
    let (start, at) = *START;
    at + Span::from(start.elapsed()) + Span::from_nanos(LED_NS.load(Relaxed))
}

/// Counts on, from the start of the process.
pub(crate) fn monotonic() -> Timestamp {
    Timestamp::ZERO + Span::from(START.0.elapsed())
}

pub(crate) fn utc_ms() -> i64 {
    utc().as_millis()
}

/// As events and answers tell how long something took.
pub(crate) fn millis(took: Duration) -> u64 {
    took.as_millis().try_into().unwrap_or(u64::MAX)
}

/// How far the system's clock is ahead of the one that media goes by.
pub(crate) fn error() -> Span {
    system() - utc()
}

/// Called every second or so.
pub(crate) fn follow() {
    LED_NS.fetch_add(error().as_nanos().clamp(-MOST, MOST), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_and_stays_near() {
        let first = utc();
        follow();
        assert!(utc() - first >= Span::from_nanos(-MOST));
        assert!(error().abs() < Span::from_secs(5));
    }
}
