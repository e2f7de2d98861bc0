//! Pictures to the size and format that a rung encodes; interlaced ones to whole ones.

use anyhow::{Context as _, Result};
use ffmpeg_next::ffi::AVPixelFormat;
use ffmpeg_next::{Error, Rescale as _, filter, frame};
use ladder::Fit;

use super::picture::{Format, Picture};
use super::{NANOS, is_again};

/// One chain of filters, for pictures of one format.
struct Chain(filter::Graph);

impl Chain {
    fn new(input: Format, filters: &str) -> Result<Self> {
        let mut graph = filter::Graph::new();
        // SAFETY: the graph is ours and not configured yet. One thread: the rungs run beside each
        // other already.
        unsafe {
            (*graph.as_mut_ptr()).nb_threads = 1;
        }
        let arguments = format!(
            "video_size={}x{}:pix_fmt={}:time_base=1/1000000000:pixel_aspect={}/{}",
            input.width,
            input.height,
            AVPixelFormat::from(input.pixel) as i32,
            input.aspect.0,
            input.aspect.1,
        );
        let find = |name| filter::find(name).with_context(|| format!("no filter {name}"));
        graph.add(&find("buffer")?, "in", &arguments)?;
        graph.add(&find("buffersink")?, "out", "")?;
        graph.output("in", 0)?.input("out", 0)?.parse(filters)?;
        graph.validate()?;
        Ok(Self(graph))
    }

    fn run(&mut self, picture: &Picture, out: &mut Vec<Picture>) -> Result<(), Error> {
        let again = Error::Other {
            errno: ffmpeg_next::ffi::ENOMEM,
        };
        let shared = picture.share().ok_or(again)?;
        self.0
            .get("in")
            .ok_or(Error::FilterNotFound)?
            .source()
            .add(&shared.0)?;
        loop {
            let mut made = frame::Video::empty();
            match self
                .0
                .get("out")
                .ok_or(Error::FilterNotFound)?
                .sink()
                .frame(&mut made)
            {
                Ok(()) => {
                    // Filters may count in other units.
                    let unit = self
                        .0
                        .get("out")
                        .ok_or(Error::FilterNotFound)?
                        .sink()
                        .time_base();
                    let pts = made.pts().map(|pts| pts.rescale(unit, NANOS));
                    made.set_pts(pts);
                    out.push(Picture::new(made));
                }
                Err(Error::Eof) => return Ok(()),
                Err(error) if is_again(error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Makes a rung's pictures of whatever comes; the chain is built anew when that changes.
pub(crate) struct Scaler {
    width: u32,
    height: u32,
    fit: Fit,
    chain: Option<(Format, Chain)>,
    made: Vec<Picture>,
}

impl Scaler {
    pub(crate) const fn new((width, height): (u32, u32), fit: Fit) -> Self {
        Self {
            width,
            height,
            fit,
            chain: None,
            made: Vec::new(),
        }
    }

    /// The picture as the rung encodes it.
    pub(crate) fn scale(&mut self, picture: &Picture) -> Result<Option<Picture>> {
        let format = picture.format();
        let chain = match self.chain.take() {
            Some((known, chain)) if known == format => chain,
            _ => Chain::new(format, &self.filters(format))?,
        };
        let (_, chain) = self.chain.insert((format, chain));
        chain.run(picture, &mut self.made)?;
        Ok(self.made.drain(..).next_back())
    }

    fn filters(&self, input: Format) -> String {
        let (w, h) = (self.width, self.height);
        let (inner_w, inner_h) = self.inner(input);
        let scale = format!("scale={inner_w}:{inner_h}:flags=bicubic");
        let fit = match self.fit {
            _ if (inner_w, inner_h) == (w, h) => String::new(),
            Fit::Crop => format!(",crop={w}:{h}"),
            Fit::Fit | Fit::Pad | Fit::Stretch => {
                format!(
                    ",pad={w}:{h}:{}:{}",
                    (w - inner_w) / 4 * 2,
                    (h - inner_h) / 4 * 2
                )
            }
        };
        format!("{scale}{fit},format=yuv420p,setsar=1")
    }

    /// The size of the source's picture within, or around, that of the rung; even.
    fn inner(&self, input: Format) -> (u32, u32) {
        let (w, h) = (u64::from(self.width), u64::from(self.height));
        let part = |n: i32| u64::try_from(n).unwrap_or(1).max(1);
        // In square pixels.
        let wide = u64::from(input.width.max(1)) * part(input.aspect.0);
        let high = u64::from(input.height.max(1)) * part(input.aspect.1);
        let even = |n: u64| u32::try_from(n.div_ceil(2) * 2).unwrap_or(2).max(2);
        let is_wider = wide * h > w * high;
        // A rounding is no bar.
        let close = (wide * h).abs_diff(w * high) * 100 <= w * high * 2;
        if close || self.fit == Fit::Stretch {
            return (self.width, self.height);
        }
        if is_wider == (self.fit == Fit::Crop) {
            (
                even(h * wide / high).max(if self.fit == Fit::Crop { self.width } else { 2 }),
                self.height,
            )
        } else {
            (
                self.width,
                even(w * high / wide).max(if self.fit == Fit::Crop {
                    self.height
                } else {
                    2
                }),
            )
        }
    }
}

/// Makes whole pictures of interlaced ones, one of two fields.
#[derive(Default)]
pub(crate) struct Deinterlacer {
    chain: Option<(Format, Chain)>,
}

impl Deinterlacer {
    /// The pictures that are whole now: one behind, as a field is told by its neighbours.
    pub(crate) fn run(&mut self, picture: &Picture, out: &mut Vec<Picture>) -> Result<()> {
        let format = picture.format();
        let chain = match self.chain.take() {
            Some((known, chain)) if known == format => chain,
            _ => Chain::new(format, "bwdif=mode=send_frame:parity=auto:deint=all")?,
        };
        let (_, chain) = self.chain.insert((format, chain));
        Ok(chain.run(picture, out)?)
    }

    /// What comes next has nothing to do with what came.
    pub(crate) fn reset(&mut self) {
        self.chain = None;
    }
}
