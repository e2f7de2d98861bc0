//! A decoder configuration as a codec's number and its record.

use bytes::{BufMut, Bytes, BytesMut};
use media::codec::{
    AacConfig, Ac3Config, AudioInfo, Av1Config, FlacConfig, H264Config, H265Config, Mp2Config,
    Mp3Config, OpaqueConfig, OpusConfig, Vp9Config,
};
use media::{CodecConfig, TrackKind};

use super::Error;
use super::cut::Cut;

const OPAQUE: u8 = 0;
const H264: u8 = 1;
const H265: u8 = 2;
const AV1: u8 = 3;
const VP9: u8 = 4;
const AAC: u8 = 16;
const OPUS: u8 = 17;
const MP2: u8 = 18;
const MP3: u8 = 19;
const AC3: u8 = 20;
const FLAC: u8 = 21;

/// The number and the record; `None` for a codec that came to `media` and not to here.
pub(super) fn write(config: &CodecConfig) -> Option<(u8, Bytes)> {
    Some(match config {
        CodecConfig::H264(c) => (H264, c.record().clone()),
        CodecConfig::H265(c) => (H265, c.record().clone()),
        CodecConfig::Av1(c) => (AV1, c.record().clone()),
        CodecConfig::Vp9(c) => (VP9, vp9(c)),
        CodecConfig::Aac(c) => (AAC, c.record().clone()),
        CodecConfig::Opus(c) => (OPUS, c.head()),
        CodecConfig::Mp2(c) => (MP2, audio(c.audio())),
        CodecConfig::Mp3(c) => (MP3, audio(c.audio())),
        CodecConfig::Ac3(c) => (AC3, ac3(c)),
        CodecConfig::Flac(c) => (FLAC, c.head()),
        CodecConfig::Opaque(c) => (OPAQUE, opaque(c)),
        _ => return None,
    })
}

pub(super) fn read(codec: u8, record: Bytes) -> Result<CodecConfig, Error> {
    let mut cut = Cut(record.clone());
    Ok(match codec {
        H264 => CodecConfig::H264(H264Config::parse(record)?),
        H265 => CodecConfig::H265(H265Config::parse(record)?),
        AV1 => CodecConfig::Av1(Av1Config::parse(record)?),
        VP9 => {
            let size = (cut.u32()?, cut.u32()?);
            CodecConfig::Vp9(Vp9Config::with_size(cut.0, size)?)
        }
        AAC => CodecConfig::Aac(AacConfig::parse(record)?),
        OPUS => CodecConfig::Opus(OpusConfig::parse(&record)?),
        MP2 => CodecConfig::Mp2(Mp2Config::new(read_audio(&mut cut)?)),
        MP3 => CodecConfig::Mp3(Mp3Config::new(read_audio(&mut cut)?)),
        AC3 => CodecConfig::Ac3(read_ac3(&mut cut)?),
        FLAC => CodecConfig::Flac(FlacConfig::parse(&record)?),
        OPAQUE => CodecConfig::Opaque(read_opaque(cut)?),
        _ => return Err(Error::Unknown("codec")),
    })
}

/// The record does not tell the size of the pictures.
fn vp9(config: &Vp9Config) -> Bytes {
    let video = config.video();
    let mut out = BytesMut::with_capacity(config.record().len() + 8);
    out.put_u32(video.width);
    out.put_u32(video.height);
    out.put_slice(config.record());
    out.freeze()
}

fn audio(audio: AudioInfo) -> Bytes {
    let mut out = BytesMut::with_capacity(10);
    out.put_u32(audio.sample_rate);
    out.put_u16(audio.channels);
    out.put_u32(audio.samples_per_frame.unwrap_or(0));
    out.freeze()
}

fn read_audio(cut: &mut Cut) -> Result<AudioInfo, Error> {
    Ok(AudioInfo {
        sample_rate: cut.u32()?,
        channels: cut.u16()?,
        samples_per_frame: Some(cut.u32()?).filter(|n| *n > 0),
    })
}

fn ac3(c: &Ac3Config) -> Bytes {
    let mut out = BytesMut::with_capacity(18);
    let flags = [c.enhanced.into(), c.fscod, c.bsid, c.bsmod, c.acmod];
    out.put_slice(&flags);
    out.put_u8(c.lfeon.into());
    out.put_u16(c.rate);
    out.put_slice(&audio(c.audio));
    out.freeze()
}

fn read_ac3(cut: &mut Cut) -> Result<Ac3Config, Error> {
    Ok(Ac3Config {
        enhanced: cut.u8()? != 0,
        fscod: cut.u8()?,
        bsid: cut.u8()?,
        bsmod: cut.u8()?,
        acmod: cut.u8()?,
        lfeon: cut.u8()? != 0,
        rate: cut.u16()?,
        audio: read_audio(cut)?,
    })
}

fn opaque(config: &OpaqueConfig) -> Bytes {
    let kind = match config.kind {
        TrackKind::Video => 0,
        TrackKind::Audio => 1,
        TrackKind::Text => 2,
        _ => 3,
    };
    let mut out = BytesMut::with_capacity(config.data.len() + 5);
    out.put_u8(kind);
    out.put_slice(&config.fourcc);
    out.put_slice(&config.data);
    out.freeze()
}

fn read_opaque(mut cut: Cut) -> Result<OpaqueConfig, Error> {
    let kind = match cut.u8()? {
        0 => TrackKind::Video,
        1 => TrackKind::Audio,
        2 => TrackKind::Text,
        3 => TrackKind::Data,
        _ => return Err(Error::Unknown("kind of track")),
    };
    let fourcc = cut.u32()?.to_be_bytes();
    let data = cut.0;
    Ok(OpaqueConfig { kind, fourcc, data })
}
