//! What libav says of itself.

use ffmpeg_next::util::log::{Level, set_level};

/// Only what is wrong, to the standard error, which the server reads.
pub(crate) fn quiet() {
    set_level(Level::Error);
}
