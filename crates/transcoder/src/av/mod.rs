//! What we use of libavcodec and its kin; each object is freed by what owns it here. The only
//! unsafe code of this crate is in this folder.

#![expect(unsafe_code, reason = "libav is C")]

mod decoder;
mod encoder;
mod log;
mod picture;
mod resampler;
mod scaler;
mod tried;

pub(crate) use decoder::{AudioDecoder, VideoDecoder};
pub(crate) use encoder::{AudioEncoder, Packet, VideoEncoder};
pub(crate) use log::quiet;
pub(crate) use picture::{Format, Picture};
pub(crate) use resampler::Resampler;
pub(crate) use scaler::{Deinterlacer, Scaler};
pub(crate) use tried::{DEVICES, decoders, device, version};

use ffmpeg_next::Error;
use ffmpeg_next::ffi::EAGAIN;

/// Whether libav wants more input, or its output taken first.
fn is_again(error: Error) -> bool {
    error == Error::Other { errno: EAGAIN }
}

/// The clock of everything outside encoders: nanoseconds.
const NANOS: ffmpeg_next::Rational = ffmpeg_next::Rational(1, 1_000_000_000);
