//! What libav says of itself, on the standard error, which the server reads.

use ffmpeg_next::util::log::{Level, set_level};

/// What is wrong with media is counted, not said: a broken source would say it without end.
pub(crate) fn quiet() {
    set_level(Level::Fatal);
}

/// While an encoder is opened: why it does not is said here alone.
pub(super) fn aloud<T>(open: impl FnOnce() -> T) -> T {
    set_level(Level::Error);
    let opened = open();
    quiet();
    opened
}
