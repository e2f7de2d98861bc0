//! Samples to the rate, the channels and the form that a rung encodes.

use std::mem::MaybeUninit;

use anyhow::{Result, bail};
use ffmpeg_next::ffi::{
    AVChannelLayout, AVSampleFormat, SwrContext, av_channel_layout_copy, av_channel_layout_default,
    av_channel_layout_uninit, swr_alloc_set_opts2, swr_convert, swr_free, swr_get_delay, swr_init,
    swr_set_compensation,
};
use ffmpeg_next::frame;

/// What a resampler is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Input {
    format: i32,
    rate: i32,
    channels: i32,
}

/// Makes a rung's samples of whatever comes: floats, a row per channel.
pub(crate) struct Resampler {
    rate: u32,
    channels: usize,
    input: Option<Input>,
    context: *mut SwrContext,
}

// SAFETY: the context is used by one thread at a time: all of it goes through `&mut self`.
unsafe impl Send for Resampler {}

impl Resampler {
    pub(crate) const fn new(rate: u32, channels: usize) -> Self {
        Self {
            rate,
            channels,
            input: None,
            context: std::ptr::null_mut(),
        }
    }

    /// Appends the samples to `rows`; tells how many came out, and how many samples of what came
    /// in are still within, at the rung's rate.
    pub(crate) fn run(
        &mut self,
        piece: &frame::Audio,
        rows: &mut [Vec<f32>],
    ) -> Result<(usize, i64)> {
        self.prepare(piece)?;
        let rate = i64::from(self.rate);
        let source = i64::from(self.input.map_or(1, |i| i.rate));
        let count = i64::try_from(piece.samples())?;
        // SAFETY: the context is initialised.
        let within = unsafe { swr_get_delay(self.context, rate) };
        let most = usize::try_from(within + count * rate / source + 64)?;
        let mut outs: Vec<*mut u8> = Vec::with_capacity(self.channels);
        let before: Vec<usize> = rows.iter().map(Vec::len).collect();
        for row in &mut *rows {
            let from = row.len();
            row.resize(from + most, 0.0);
            outs.push(row[from..].as_mut_ptr().cast());
        }
        // SAFETY: each row has room for `most` samples behind what it had; the frame's planes hold
        // as many as it says.
        let made = unsafe {
            let raw = piece.as_ptr();
            swr_convert(
                self.context,
                outs.as_mut_ptr(),
                i32::try_from(most)?,
                (*raw).extended_data as *mut *const u8,
                (*raw).nb_samples,
            )
        };
        let taken = usize::try_from(made).unwrap_or(0);
        for (row, before) in rows.iter_mut().zip(before) {
            row.truncate(before + taken);
        }
        if made < 0 {
            bail!(
                "samples cannot be converted: {}",
                ffmpeg_next::Error::from(made)
            );
        }
        // SAFETY: as above.
        let within = unsafe { swr_get_delay(self.context, rate) };
        Ok((taken, within))
    }

    /// The next `over` samples become so many more, or fewer.
    pub(crate) fn correct(&mut self, more: i32, over: u32) {
        if !self.context.is_null() {
            // SAFETY: the context is initialised. Where it cannot, nothing changes.
            unsafe {
                swr_set_compensation(self.context, more, i32::try_from(over).unwrap_or(0));
            }
        }
    }

    fn prepare(&mut self, piece: &frame::Audio) -> Result<()> {
        // SAFETY: the frame is valid; these fields are plain numbers.
        let input = unsafe {
            let raw = piece.as_ptr();
            Input {
                format: (*raw).format,
                rate: (*raw).sample_rate.max(1),
                channels: (*raw).ch_layout.nb_channels,
            }
        };
        if self.input == Some(input) {
            return Ok(());
        }
        self.input = None;
        // SAFETY: the layouts live until the end of the call, which copies them; what was there is
        // freed by libswresample, which takes the pointer back.
        unsafe {
            let mut from = layout(&raw const (*piece.as_ptr()).ch_layout);
            let mut to = MaybeUninit::<AVChannelLayout>::zeroed().assume_init();
            av_channel_layout_default(&raw mut to, i32::try_from(self.channels)?);
            let format: AVSampleFormat = piece.format().into();
            swr_free(&raw mut self.context);
            let made = swr_alloc_set_opts2(
                &raw mut self.context,
                &raw mut to,
                AVSampleFormat::AV_SAMPLE_FMT_FLTP,
                i32::try_from(self.rate)?,
                &raw mut from,
                format,
                input.rate,
                0,
                std::ptr::null_mut(),
            );
            av_channel_layout_uninit(&raw mut from);
            av_channel_layout_uninit(&raw mut to);
            if made < 0 || swr_init(self.context) < 0 {
                bail!(
                    "{} Hz in {} channels cannot be resampled",
                    input.rate,
                    input.channels
                );
            }
        }
        self.input = Some(input);
        Ok(())
    }
}

/// A copy of a layout, or the usual one of as many channels where it names none.
///
/// # Safety
/// `layout` points to a valid one.
unsafe fn layout(layout: *const AVChannelLayout) -> AVChannelLayout {
    // SAFETY: zeroes are a valid, empty layout; the copy owns what it points to.
    unsafe {
        let mut copy = MaybeUninit::<AVChannelLayout>::zeroed().assume_init();
        let named = (*layout).order != ffmpeg_next::ffi::AVChannelOrder::AV_CHANNEL_ORDER_UNSPEC;
        if !named || av_channel_layout_copy(&raw mut copy, layout) < 0 {
            av_channel_layout_default(&raw mut copy, (*layout).nb_channels.max(1));
        }
        copy
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        // SAFETY: it is ours, or null, which is let be.
        unsafe { swr_free(&raw mut self.context) }
    }
}
