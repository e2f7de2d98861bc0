//! How each codec is carried: its entry in the programme map, and the shape of its payload.

use bytes::{BufMut as _, Bytes, BytesMut};
use media::codec::{Av1Config, OpaqueConfig, data};
use media::{CodecConfig, Role, Track, TrackId, TrackKind};

const START_CODE: [u8; 4] = [0, 0, 0, 1];
const PRIVATE_STREAM_1: u8 = 0xbd;
const METADATA_STREAM: u8 = 0xfc;
const AUDIO_STREAM: u8 = 0xc0;
const VIDEO_STREAM: u8 = 0xe0;

/// Of media and of data, by the number of the track.
const MEDIA_PIDS: u16 = 0x0100;
const DATA_PIDS: u16 = 0x1100;
/// Where the numbers of data tracks begin.
const DATA_TRACKS: u16 = crate::ingest::data_track(0).0;
/// Less than this many of each.
const PIDS: u16 = 0x0e00;

/// What comes before the payload, or instead.
#[derive(Debug)]
pub(super) enum Shape {
    /// NAL units behind start codes: the delimiter, and the parameter sets in that form.
    Nal(&'static [u8], Bytes),
    /// OBUs behind start codes: the sequence header, as an OBU.
    Obu(Bytes),
    Adts(media::codec::AacConfig),
    Opus,
    Plain,
    Teletext,
    /// No PES packets.
    Section,
}

/// One track's entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pid: u16,
    pub(super) stream_type: u8,
    pub(super) stream_id: u8,
    pub(super) shape: Shape,
    pub(super) descriptors: Vec<u8>,
}

impl Entry {
    /// `None` where there is no mapping.
    pub(super) fn of(track: &Track) -> Option<Self> {
        let pid = pid(track.id)?;
        let mut descriptors = Vec::new();
        let (stream_type, stream_id, shape) = match &track.config {
            CodecConfig::Opaque(config) => data(config, &mut descriptors)?,
            config if config.kind() == TrackKind::Video => video(config, &mut descriptors)?,
            config => audio(config, &mut descriptors)?,
        };
        if track.kind == TrackKind::Audio {
            language(track, &mut descriptors);
        }
        Some(Self {
            pid,
            stream_type,
            stream_id,
            shape,
            descriptors,
        })
    }
}

/// The same for a track whatever else there is.
fn pid(track: TrackId) -> Option<u16> {
    let (first, number) = match track.0.checked_sub(DATA_TRACKS) {
        Some(number) => (DATA_PIDS, number),
        None => (MEDIA_PIDS, track.0),
    };
    (number < PIDS).then_some(first + number)
}

type Carried = (u8, u8, Shape);

fn video(config: &CodecConfig, descriptors: &mut Vec<u8>) -> Option<Carried> {
    const AVC_DELIMITER: &[u8] = &[0, 0, 0, 1, 0x09, 0xf0];
    const HEVC_DELIMITER: &[u8] = &[0, 0, 0, 1, 0x46, 0x01, 0x50];
    Some(match config {
        CodecConfig::H264(c) => {
            let shape = Shape::Nal(AVC_DELIMITER, behind_start_codes(&c.parameter_sets()));
            (0x1b, VIDEO_STREAM, shape)
        }
        CodecConfig::H265(c) => {
            registration(*b"HEVC", descriptors);
            let shape = Shape::Nal(HEVC_DELIMITER, behind_start_codes(&c.parameter_sets()));
            (0x24, VIDEO_STREAM, shape)
        }
        CodecConfig::Av1(c) => (0x06, PRIVATE_STREAM_1, av1(c, descriptors)?),
        _ => return None,
    })
}

/// "Carriage of AV1 in MPEG-2 TS" of AOM, 2.1 and 2.2; whether it is HDR is not told.
fn av1(config: &Av1Config, descriptors: &mut Vec<u8>) -> Option<Shape> {
    registration(*b"AV01", descriptors);
    let (head, obus) = config.record().split_at_checked(4)?;
    descriptors.extend([0x80, 4, head[0], head[1], head[2], 0xc0]);
    Some(Shape::Obu(Bytes::copy_from_slice(obus)))
}

fn audio(config: &CodecConfig, descriptors: &mut Vec<u8>) -> Option<Carried> {
    Some(match config {
        // What ADTS cannot tell of one frame, it can of none.
        CodecConfig::Aac(c) => {
            c.adts(0)?;
            (0x0f, AUDIO_STREAM, Shape::Adts(c.clone()))
        }
        CodecConfig::Mp2(_) | CodecConfig::Mp3(_) => {
            let is_mpeg1 = config.audio()?.sample_rate >= 32_000;
            let stream_type = if is_mpeg1 { 0x03 } else { 0x04 };
            (stream_type, AUDIO_STREAM, Shape::Plain)
        }
        CodecConfig::Ac3(c) => {
            let (stream_type, id) = match c.enhanced {
                false => (0x81, *b"AC-3"),
                true => (0x87, *b"EAC3"),
            };
            registration(id, descriptors);
            (stream_type, PRIVATE_STREAM_1, Shape::Plain)
        }
        CodecConfig::Opus(c) => {
            registration(*b"Opus", descriptors);
            // `channel_config_code` of mapping family 0 is the number of channels.
            let channels = u8::try_from(c.audio().channels).ok()?;
            descriptors.extend([0x7f, 2, 0x80, channels]);
            (0x06, PRIVATE_STREAM_1, Shape::Opus)
        }
        _ => return None,
    })
}

/// Data as it came, or as it is usual where it came from elsewhere.
fn data(config: &OpaqueConfig, descriptors: &mut Vec<u8>) -> Option<Carried> {
    const ID3: &[u8] = b"\x26\x0d\xff\xffID3 \xffID3 \x00\x0f";
    const KLV_SYNC: &[u8] =
        b"\x05\x04KLVA\x26\x09\x01\x00\xffKLVA\x00\x0f\x27\x09\xc0\0\0\xc0\0\0\xc0\0\0";
    let (carried, usual) = match config.fourcc {
        data::SCTE35 => ((0x86, 0, Shape::Section), &[][..]),
        data::ID3 => ((0x15, PRIVATE_STREAM_1, Shape::Plain), ID3),
        data::KLV_SYNC => ((0x15, METADATA_STREAM, Shape::Plain), KLV_SYNC),
        data::KLV_ASYNC => ((0x06, PRIVATE_STREAM_1, Shape::Plain), &b"\x05\x04KLVA"[..]),
        data::TELETEXT => ((0x06, PRIVATE_STREAM_1, Shape::Teletext), &[0x56, 0][..]),
        data::DVB_SUBTITLES => ((0x06, PRIVATE_STREAM_1, Shape::Plain), &[0x59, 0][..]),
        _ => return None,
    };
    let came = &config.data[..];
    descriptors.extend(if came.is_empty() { usual } else { came });
    Some(carried)
}

pub(super) fn registration(id: [u8; 4], descriptors: &mut Vec<u8>) {
    descriptors.extend([0x05, 4]);
    descriptors.extend(id);
}

/// ISO 639 language, with what the sound is for (ITU-T H.222.0 2.6.18).
fn language(track: &Track, descriptors: &mut Vec<u8>) {
    let described = track.role == Role::Description;
    let letters = track.language.as_deref();
    let letters = letters.and_then(media::language::three_letters);
    let letters = letters.filter(|l| l.len() == 3);
    if letters.is_none() && !described {
        return;
    }
    descriptors.extend([0x0a, 4]);
    descriptors.extend(letters.as_deref().unwrap_or("und").bytes());
    descriptors.push(if described { 3 } else { 0 });
}

fn behind_start_codes(sets: &[&[u8]]) -> Bytes {
    let bytes = sets.iter().map(|s| s.len() + START_CODE.len()).sum();
    let mut out = BytesMut::with_capacity(bytes);
    for set in sets {
        out.put_slice(&START_CODE);
        out.put_slice(set);
    }
    out.freeze()
}
