//! The clock of a test's runtime, which stands still but for sleeps where it is paused.

use std::cell::OnceCell;

use media::{Span, Timestamp};
use tokio::time::Instant;

thread_local!(static START: OnceCell<Instant> = const { OnceCell::new() });

/// Counts from its first call in this thread; for whatever takes a `fn() -> Timestamp`.
#[must_use]
pub fn clock() -> Timestamp {
    let start = START.with(|s| *s.get_or_init(Instant::now));
    Timestamp::ZERO + Span::from(start.elapsed())
}
