//! One decoded picture.

use ffmpeg_next::ffi::av_frame_clone;
use ffmpeg_next::util::format::Pixel;
use ffmpeg_next::{color, frame, picture};

use crate::limits::ASPECT;

/// One decoded picture; its pixels are shared by those who hold it.
pub(crate) struct Picture(pub(super) frame::Video);

/// What a chain of filters depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Format {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(super) pixel: Pixel,
    /// Width of a pixel to its height.
    pub(crate) aspect: (i32, i32),
    pub(super) range: color::Range,
    pub(super) space: color::Space,
}

/// Sources write anything there.
fn is_likely(aspect: ffmpeg_next::Rational) -> bool {
    let (num, den) = (i64::from(aspect.0), i64::from(aspect.1));
    let most = i64::from(ASPECT);
    num > 0 && den > 0 && num <= den * most && den <= num * most
}

impl Picture {
    pub(super) const fn new(frame: frame::Video) -> Self {
        Self(frame)
    }

    /// One without light.
    pub(crate) fn black(width: u32, height: u32) -> Self {
        let mut frame = frame::Video::new(Pixel::YUV420P, width, height);
        for (plane, value) in [(0, 16), (1, 128), (2, 128)] {
            frame.data_mut(plane).fill(value);
        }
        Self(frame)
    }

    /// Programme time, in nanoseconds, where the decoder knows it.
    pub(crate) fn pts(&self) -> Option<i64> {
        self.0.pts().or_else(|| self.0.timestamp())
    }

    pub(crate) fn is_interlaced(&self) -> bool {
        self.0.is_interlaced()
    }

    pub(crate) fn format(&self) -> Format {
        let aspect = self.0.aspect_ratio();
        Format {
            width: self.0.width(),
            height: self.0.height(),
            pixel: self.0.format(),
            aspect: if is_likely(aspect) {
                (aspect.0, aspect.1)
            } else {
                (1, 1)
            },
            range: self.0.color_range(),
            space: self.0.color_space(),
        }
    }

    /// The same pixels once more.
    pub(crate) fn share(&self) -> Option<Self> {
        // SAFETY: the frame is valid; the clone is a reference of its own to the same buffers.
        let clone = unsafe { av_frame_clone(self.0.as_ptr()) };
        // SAFETY: it is ours alone, and freed once, by the wrapper.
        (!clone.is_null()).then(|| Self(unsafe { frame::Video::wrap(clone) }))
    }

    /// Where an encoder is to place it, in units of its clock, and whether with an IDR.
    pub(super) fn order(&mut self, pts: i64, keyframe: bool) {
        self.0.set_pts(Some(pts));
        // What the decoder says of it would be taken for an order.
        self.0.set_kind(if keyframe {
            picture::Type::I
        } else {
            picture::Type::None
        });
    }
}
