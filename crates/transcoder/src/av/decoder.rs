//! Access units to pictures and samples.

use std::ptr;

use anyhow::{Context as _, Result, bail};
use ffmpeg_next::codec::{Context, Id, Parameters, decoder, threading};
use ffmpeg_next::ffi::{AV_INPUT_BUFFER_PADDING_SIZE, av_channel_layout_default, av_mallocz};
use ffmpeg_next::media::Type;
use ffmpeg_next::{Error, Packet, codec, frame};
use ladder::{Decision, FrameRate};
use media::{CodecConfig, Frame};

use super::picture::Picture;
use super::{NANOS, is_again};
use crate::limits::SAMPLES;

/// Decodes one video track.
pub(crate) struct VideoDecoder(decoder::Video);

/// Decodes one audio track.
pub(crate) struct AudioDecoder(decoder::Audio);

impl VideoDecoder {
    /// A decoder with so many threads, which divide each picture among them: none waits for a
    /// later one.
    pub(crate) fn open(config: &CodecConfig, threads: usize) -> Result<Self> {
        if let Some(video) = config.video()
            && video.width.max(video.height) > Decision::SIDE
        {
            bail!(
                "pictures of {}x{} are not decoded: {} a side are the most",
                video.width,
                video.height,
                Decision::SIDE
            );
        }
        let (id, extradata) = codec_of(config)?;
        let mut context = context(id, Type::Video, &extradata)?;
        context.set_threading(threading::Config {
            kind: threading::Type::Slice,
            count: threads,
            ..threading::Config::default()
        });
        if matches!(id, Id::AV1 | Id::VP9) {
            context.set_flags(codec::Flags::LOW_DELAY);
        }
        // SAFETY: the context is ours and not open yet; the field is a plain number.
        unsafe {
            (*context.as_mut_ptr()).max_pixels = i64::from(Decision::SIDE).pow(2);
        }
        Ok(Self(opened(context)?.video()?))
    }

    /// Hands it an access unit; its pictures go to `out`.
    pub(crate) fn decode(&mut self, unit: &Frame, out: &mut Vec<Picture>) -> Result<(), Error> {
        let sent = self.0.send_packet(&packet(unit)?);
        let taken = self.take(out);
        sent.and(taken)
    }

    /// No more comes: what it still holds goes to `out`.
    pub(crate) fn drain(&mut self, out: &mut Vec<Picture>) {
        // Whatever it says, it is not used any more.
        let _ = self.0.send_eof();
        let _ = self.take(out);
    }

    fn take(&mut self, out: &mut Vec<Picture>) -> Result<(), Error> {
        loop {
            let mut picture = frame::Video::empty();
            match self.0.receive_frame(&mut picture) {
                Ok(()) => out.push(Picture::new(picture)),
                Err(Error::Eof) => return Ok(()),
                Err(error) if is_again(error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Pictures per second as the codec's headers tell.
    pub(crate) fn frame_rate(&self) -> Option<(u32, u32)> {
        let rate = self.0.frame_rate()?;
        let told = (u32::try_from(rate.0).ok()?, u32::try_from(rate.1).ok()?);
        let likely = |n: u32| (1..=FrameRate::PART).contains(&n);
        (likely(told.0) && likely(told.1)).then_some(told)
    }
}

impl AudioDecoder {
    pub(crate) fn open(config: &CodecConfig) -> Result<Self> {
        let (id, extradata) = codec_of(config)?;
        let mut context = context(id, Type::Audio, &extradata)?;
        if let Some(audio) = config.audio() {
            // SAFETY: the context is ours and not open yet; both fields are plain numbers.
            unsafe {
                let raw = context.as_mut_ptr();
                (*raw).sample_rate = i32::try_from(audio.sample_rate)?;
                av_channel_layout_default(&raw mut (*raw).ch_layout, audio.channels.into());
            }
        }
        Ok(Self(opened(context)?.audio()?))
    }

    /// Hands it an access unit; its samples go to `out`.
    pub(crate) fn decode(
        &mut self,
        unit: &Frame,
        out: &mut Vec<frame::Audio>,
    ) -> Result<(), Error> {
        self.0.send_packet(&packet(unit)?)?;
        loop {
            let mut samples = frame::Audio::empty();
            match self.0.receive_frame(&mut samples) {
                Ok(()) if SAMPLES.contains(&samples.rate()) => out.push(samples),
                // A second of them would be hours.
                Ok(()) => return Err(Error::InvalidData),
                Err(Error::Eof) => return Ok(()),
                Err(error) if is_again(error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn opened(context: Context) -> Result<decoder::Opened> {
    let id = context.id();
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(NANOS);
    let codec = decoder::find(id).with_context(|| format!("no decoder for {id:?}"))?;
    decoder
        .open_as(codec)
        .with_context(|| format!("the decoder for {id:?} does not open"))
}

fn context(id: Id, medium: Type, extradata: &[u8]) -> Result<Context> {
    let mut parameters = Parameters::new();
    parameters.set_medium(medium);
    parameters.set_id(id);
    if !extradata.is_empty() {
        let padding = usize::try_from(AV_INPUT_BUFFER_PADDING_SIZE)?;
        // SAFETY: as much is allocated and zeroed as is copied, and the padding that libavcodec
        // reads beyond it; the parameters own it from here on.
        unsafe {
            let copy = av_mallocz(extradata.len() + padding).cast::<u8>();
            if copy.is_null() {
                bail!("out of memory");
            }
            ptr::copy_nonoverlapping(extradata.as_ptr(), copy, extradata.len());
            let raw = parameters.as_mut_ptr();
            (*raw).extradata = copy;
            (*raw).extradata_size = i32::try_from(extradata.len())?;
        }
    }
    Ok(Context::from_parameters(parameters)?)
}

fn codec_of(config: &CodecConfig) -> Result<(Id, bytes::Bytes)> {
    Ok(match config {
        CodecConfig::H264(c) => (Id::H264, c.record().clone()),
        CodecConfig::H265(c) => (Id::HEVC, c.record().clone()),
        CodecConfig::Av1(c) => (Id::AV1, c.record().clone()),
        CodecConfig::Vp9(_) => (Id::VP9, bytes::Bytes::new()),
        CodecConfig::Aac(c) => (Id::AAC, c.record().clone()),
        CodecConfig::Opus(c) => (Id::OPUS, c.head()),
        CodecConfig::Mp2(_) => (Id::MP2, bytes::Bytes::new()),
        CodecConfig::Mp3(_) => (Id::MP3, bytes::Bytes::new()),
        CodecConfig::Ac3(c) if c.enhanced => (Id::EAC3, bytes::Bytes::new()),
        CodecConfig::Ac3(_) => (Id::AC3, bytes::Bytes::new()),
        CodecConfig::Flac(c) => (Id::FLAC, c.stream_info().clone()),
        CodecConfig::Opaque(c) if &c.fourcc == b"mp2v" => (Id::MPEG2VIDEO, c.data.clone()),
        other => bail!("{} cannot be decoded", other.name()),
    })
}

/// The payload is copied once, here: libavcodec reads beyond its end.
fn packet(unit: &Frame) -> Result<Packet, Error> {
    if unit.payload.is_empty() {
        // It would be taken for the end.
        return Err(Error::InvalidData);
    }
    let mut packet = Packet::copy(&unit.payload);
    packet.set_pts(Some(unit.pts.as_nanos()));
    packet.set_dts(Some(unit.dts.as_nanos()));
    if unit.random_access {
        packet.set_flags(codec::packet::Flags::KEY);
    }
    Ok(packet)
}
