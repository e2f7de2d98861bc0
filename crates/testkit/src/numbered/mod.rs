//! Numbered datagrams of MPEG-TS at an even pace, and what counts those that arrive: missing, twice,
//! overtaken, damaged, and how long each took. Sender and counter read the same clock of one machine.

mod account;
mod pacer;
mod payload;
mod sink;

pub use self::account::{Account, Arrivals};
pub use self::pacer::Pacer;
pub use self::payload::{LENGTH, Stamp};
pub use self::sink::Sink;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Since the machine began: every process reads the same.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
