//! Pictures and samples to access units.

use std::slice;

use anyhow::{Context as _, Result};
use ffmpeg_next::codec::{self, Context, encoder};
use ffmpeg_next::ffi::{AVCodecContext, av_channel_layout_default, av_frame_get_buffer};
use ffmpeg_next::util::format::{Pixel, Sample, sample};
use ffmpeg_next::{Dictionary, Error, Rational, frame};
use ladder::{AudioCodec, AudioRung, FrameRate, RateControl, Rung, VideoCodec, VideoRung};

use super::is_again;
use super::log::aloud;
use super::picture::{Format, Picture};

/// One access unit as the encoder gave it, its times in units of the encoder's clock.
pub(crate) struct Packet {
    pub(crate) data: Vec<u8>,
    pub(crate) pts: i64,
    pub(crate) dts: i64,
    pub(crate) key: bool,
}

/// Encodes one rung's pictures, as long as the rung lives.
pub(crate) struct VideoEncoder(encoder::video::Encoder);

/// Encodes one sound track.
pub(crate) struct AudioEncoder {
    encoder: encoder::audio::Encoder,
    packed: bool,
    channels: usize,
}

impl VideoEncoder {
    /// Opens the encoder of a rung. `clock` is the unit of its times; IDRs are `gop` pictures apart
    /// where they cannot be ordered.
    pub(crate) fn open(
        wanted: &VideoRung,
        rung: &Rung,
        (clock, gop): ((i32, i32), u32),
        colours: Option<Format>,
    ) -> Result<Self> {
        let name = wanted.codec.encoder().context("nothing to encode with")?;
        let codec = encoder::find_by_name(name)
            .with_context(|| format!("this libavcodec has no {name}"))?;
        let mut video = Context::new_with_codec(codec).encoder().video()?;
        video.set_width(rung.width);
        video.set_height(rung.height);
        video.set_format(Pixel::YUV420P);
        video.set_aspect_ratio((1, 1));
        video.set_time_base(clock);
        video.set_frame_rate(Some(rational(rung.rate)));
        video.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::CLOSED_GOP);
        if let Some(colours) = colours {
            video.set_color_range(colours.range);
            video.set_colorspace(colours.space);
        }
        set_bits(&mut video, wanted.control)?;
        if !wanted.codec.takes_orders() {
            video.set_gop(gop);
        }
        if let Some(frames) = wanted.b_frames {
            video.set_max_b_frames(frames.into());
        }
        // SAFETY: the context is ours and not open yet; the fields are plain numbers.
        unsafe {
            let raw: *mut AVCodecContext = video.as_mut_ptr();
            if let Some(refs) = wanted.refs {
                (*raw).refs = refs.into();
            }
            if let RateControl::Bitrate { buffer_kbits, .. }
            | RateControl::Crf {
                max: Some((_, buffer_kbits)),
                ..
            } = wanted.control
            {
                (*raw).rc_buffer_size = i32::try_from(buffer_kbits)?.saturating_mul(1_000);
            }
        }
        let opened = aloud(|| video.open_as_with(codec, options(wanted)));
        Ok(Self(
            opened.with_context(|| format!("{name} does not open"))?,
        ))
    }

    /// What decoders need before the first access unit, as the encoder gives it.
    pub(crate) fn extradata(&self) -> Vec<u8> {
        // SAFETY: the encoder is open; what it tells is its own as long as it lives.
        unsafe { extradata(self.0.as_ptr()) }
    }

    /// Hands it a picture for the time `pts`; its access units go to `out`.
    pub(crate) fn encode(
        &mut self,
        picture: &Picture,
        pts: i64,
        keyframe: bool,
        out: &mut Vec<Packet>,
    ) -> Result<(), Error> {
        let Some(mut shared) = picture.share() else {
            return Err(Error::Other {
                errno: ffmpeg_next::ffi::ENOMEM,
            });
        };
        shared.order(pts, keyframe);
        self.0.send_frame(&shared.0)?;
        take(&mut self.0, out)
    }
}

impl AudioEncoder {
    /// Opens an encoder for so many samples a second in so many channels.
    pub(crate) fn open(wanted: &AudioRung, rate: u32, channels: u16) -> Result<Self> {
        let name = wanted.codec.encoder().context("nothing to encode with")?;
        let codec = encoder::find_by_name(name)
            .with_context(|| format!("this libavcodec has no {name}"))?;
        let packed = wanted.codec == AudioCodec::Opus;
        let form = if packed {
            sample::Type::Packed
        } else {
            sample::Type::Planar
        };
        let mut audio = Context::new_with_codec(codec).encoder().audio()?;
        audio.set_format(Sample::F32(form));
        audio.set_rate(i32::try_from(rate)?);
        audio.set_time_base((1, i32::try_from(rate)?));
        audio.set_bit_rate(usize::try_from(wanted.kbps)? * 1_000);
        audio.set_flags(codec::Flags::GLOBAL_HEADER);
        // SAFETY: the context is ours and not open yet.
        unsafe {
            let raw: *mut AVCodecContext = audio.as_mut_ptr();
            av_channel_layout_default(&raw mut (*raw).ch_layout, channels.into());
        }
        let opened = aloud(|| audio.open_as_with(codec, Dictionary::new()));
        Ok(Self {
            encoder: opened.with_context(|| format!("{name} does not open"))?,
            packed,
            channels: channels.into(),
        })
    }

    pub(crate) fn extradata(&self) -> Vec<u8> {
        // SAFETY: the encoder is open; what it tells is its own as long as it lives.
        unsafe { extradata(self.encoder.as_ptr()) }
    }

    /// Samples of one packet, per channel.
    pub(crate) fn frame_size(&self) -> usize {
        usize::try_from(self.encoder.frame_size())
            .unwrap_or(0)
            .max(1)
    }

    /// By how many samples its packets are early: its decoder begins with as many that are none.
    pub(crate) fn padding(&self) -> i64 {
        // SAFETY: the encoder is open; the field is a plain number.
        unsafe { (*self.encoder.as_ptr()).initial_padding.into() }
    }

    /// Hands it one packet's samples, a row per channel; its access units go to `out`.
    pub(crate) fn encode(
        &mut self,
        rows: &[&[f32]],
        pts: i64,
        out: &mut Vec<Packet>,
    ) -> Result<(), Error> {
        let samples = rows.first().map_or(0, |row| row.len());
        let mut piece = self.piece(samples)?;
        if self.packed {
            let interleaved = piece.plane_mut::<f32>(0);
            for (at, row) in rows.iter().enumerate() {
                for (to, from) in interleaved
                    .iter_mut()
                    .skip(at)
                    .step_by(self.channels)
                    .zip(*row)
                {
                    *to = *from;
                }
            }
        } else {
            for (at, row) in rows.iter().enumerate() {
                piece.plane_mut::<f32>(at).copy_from_slice(row);
            }
        }
        piece.set_pts(Some(pts));
        self.encoder.send_frame(&piece)?;
        take(&mut self.encoder, out)
    }

    /// A frame of the encoder's own format. In a packed one libav counts a plane's samples per
    /// channel, the wrapper does not: it is given room for all of them.
    fn piece(&self, samples: usize) -> Result<frame::Audio, Error> {
        let mut piece = frame::Audio::empty();
        // SAFETY: the frame is ours; format, layout and length are set before its buffers are made.
        unsafe {
            let raw = piece.as_mut_ptr();
            (*raw).format = (*self.encoder.as_ptr()).sample_fmt as i32;
            (*raw).nb_samples = i32::try_from(samples).unwrap_or(0);
            (*raw).sample_rate = (*self.encoder.as_ptr()).sample_rate;
            av_channel_layout_default(
                &raw mut (*raw).ch_layout,
                i32::try_from(self.channels).unwrap_or(1),
            );
            let made = av_frame_get_buffer(raw, 0);
            if made < 0 {
                return Err(made.into());
            }
        }
        Ok(piece)
    }
}

fn take(encoder: &mut encoder::Encoder, out: &mut Vec<Packet>) -> Result<(), Error> {
    loop {
        let mut packet = ffmpeg_next::Packet::empty();
        match encoder.receive_packet(&mut packet) {
            Ok(()) => {}
            Err(Error::Eof) => return Ok(()),
            Err(error) if is_again(error) => return Ok(()),
            Err(error) => return Err(error),
        }
        let Some(pts) = packet.pts() else {
            continue;
        };
        out.push(Packet {
            data: packet.data().unwrap_or_default().to_vec(),
            pts,
            dts: packet.dts().unwrap_or(pts),
            key: packet.is_key(),
        });
    }
}

/// # Safety
/// `raw` is an open context.
unsafe fn extradata(raw: *const AVCodecContext) -> Vec<u8> {
    // SAFETY: extradata is as long as it says, for as long as the context lives.
    unsafe {
        let length = usize::try_from((*raw).extradata_size).unwrap_or(0);
        if (*raw).extradata.is_null() || length == 0 {
            return Vec::new();
        }
        slice::from_raw_parts((*raw).extradata, length).to_vec()
    }
}

fn set_bits(video: &mut encoder::video::Video, control: RateControl) -> Result<()> {
    match control {
        RateControl::Bitrate { kbps, max_kbps, .. } => {
            video.set_bit_rate(usize::try_from(kbps)? * 1_000);
            video.set_max_bit_rate(usize::try_from(max_kbps)? * 1_000);
        }
        RateControl::Crf {
            max: Some((max, _)),
            ..
        } => {
            video.set_max_bit_rate(usize::try_from(max)? * 1_000);
        }
        RateControl::Crf { max: None, .. } => {}
    }
    Ok(())
}

/// IDRs come where they are ordered and nowhere else, and groups are closed.
fn options(wanted: &VideoRung) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    let mut set = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            options.set(name, value);
        }
    };
    set("preset", Some(&wanted.preset));
    set("tune", wanted.tune.as_deref());
    match wanted.codec {
        VideoCodec::H264 => {
            set("profile", wanted.profile.as_deref());
            set("level", wanted.level.as_deref());
            set("forced-idr", Some("1"));
            set("x264-params", Some("keyint=infinite:scenecut=0"));
        }
        VideoCodec::H265 => {
            set("profile", wanted.profile.as_deref());
            set("forced-idr", Some("1"));
            let level = wanted
                .level
                .as_deref()
                .map(|level| format!(":level-idc={level}"));
            let params = format!(
                "keyint=-1:scenecut=0:open-gop=0:repeat-headers=0:log-level=error{}",
                level.unwrap_or_default()
            );
            set("x265-params", Some(&params));
        }
        VideoCodec::Av1 | VideoCodec::Copy => {
            set("svtav1-params", Some("scd=0"));
        }
    }
    if let RateControl::Crf { crf, .. } = wanted.control {
        set("crf", Some(&crf.to_string()));
    }
    options
}

fn rational(rate: FrameRate) -> Rational {
    let part = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    Rational(part(rate.num), part(rate.den))
}
