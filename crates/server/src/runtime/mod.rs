//! What runs: one `Stream` per enabled stream, and the manager that makes them follow the store.

mod clock;
mod guest;
mod input;
mod manager;
mod numbering;
mod nursery;
mod packaging;
mod players;
mod programme;
mod publish;
mod pull;
mod push;
mod remuxing;
mod sessions;
mod stream;
mod transcoding;
mod ts_players;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use clock::{error as clock_error, millis, utc, utc_ms};
pub(crate) use guest::{Failure, Guest, Opened};
pub(crate) use input::{LastError, Line};
pub(crate) use manager::{Manager, Ports};
pub(crate) use nursery::Barren;
pub(crate) use players::{Player, Protocol};
pub(crate) use publish::{Stopper, check_key};
pub(crate) use pull::Means;
pub(crate) use push::{Outlet, Phase as PushPhase};
pub(crate) use stream::{Status, Stream};
pub(crate) use transcoding::Transcoding;
pub(crate) use ts_players::NotPlayed;

/// What a panic left behind is as good as what was there before: all locks guard plain values.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
