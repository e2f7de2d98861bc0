//! Sample entries of others (ISO/IEC 14496-12 8.5.2): what decodes the samples.

use bytes::{Bytes, BytesMut};
use media::codec::{
    AacConfig, Ac3Config, Av1Config, CodecError, FlacConfig, H264Config, H265Config, Mp2Config,
    Mp3Config, OpusConfig, Vp9Config,
};
use media::{CodecConfig, TrackKind};
use mp4_atom::{Atom as _, Av1c, Avcc, Codec, Dfla, Dops, Encode as _, Esds, FourCC, Hvcc, VpcC};

use super::Mp4Error;

/// What is known of a track's codec before its samples.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Known(CodecConfig),
    /// Parameter sets come in band only.
    InBand {
        h265: bool,
        length_size: usize,
    },
    /// The record does not tell the size of the pictures: the first keyframe does.
    Vp9(Bytes),
    /// Every frame tells its configuration.
    Mpeg,
    Ac3,
    /// Samples that cannot be carried; why.
    Unusable(&'static str),
}

impl Entry {
    /// # Errors
    /// Encrypted media.
    pub(super) fn of(codec: &Codec) -> Result<Self, Mp4Error> {
        if let Codec::Unknown(kind, _) = codec {
            let kind: [u8; 4] = (*kind).into();
            return match &kind {
                b"encv" | b"enca" | b"drmi" | b"drms" => Err(Mp4Error::Encrypted),
                b".mp3" | b".mp2" => Ok(Self::Mpeg),
                _ => Ok(Self::Unusable("sample entry")),
            };
        }
        Ok(read(codec).unwrap_or(Self::Unusable("unreadable sample entry")))
    }

    /// The same for a track of this kind: an entry of another kind is of no use.
    pub(super) fn within(self, video: bool) -> Self {
        let is_video = match &self {
            Self::Known(config) => config.kind() == TrackKind::Video,
            Self::InBand { .. } | Self::Vp9(_) => true,
            Self::Mpeg | Self::Ac3 => false,
            Self::Unusable(_) => video,
        };
        if is_video == video {
            self
        } else {
            Self::Unusable("sample entry of another kind")
        }
    }

    /// The configuration, or what a sample tells of it.
    pub(super) fn told_by(&self, sample: &[u8]) -> Option<CodecConfig> {
        match self {
            Self::Known(config) => Some(config.clone()),
            Self::Vp9(record) => {
                let config = Vp9Config::parse(record.clone(), sample);
                config.ok().map(CodecConfig::Vp9)
            }
            Self::Mpeg => {
                let mp2 = || Mp2Config::parse(sample).map(CodecConfig::Mp2);
                let mp3 = Mp3Config::parse(sample).map(CodecConfig::Mp3);
                mp3.or_else(|_| mp2()).ok()
            }
            Self::Ac3 => Ac3Config::parse(sample).ok().map(CodecConfig::Ac3),
            Self::InBand { .. } | Self::Unusable(_) => None,
        }
    }
}

fn read(codec: &Codec) -> Option<Entry> {
    Some(match codec {
        Codec::Avc1(e) => h264(&e.avcc)?,
        Codec::Avc3(e) => h264(&e.avcc)?,
        Codec::Hvc1(e) => h265(&e.hvcc)?,
        Codec::Hev1(e) => h265(&e.hvcc)?,
        Codec::Av01(e) => known(Av1Config::parse(av1(&e.av1c)?).map(CodecConfig::Av1))?,
        Codec::Vp09(e) => Entry::Vp9(vp9(&e.vpcc)?),
        Codec::Mp4a(e) => mp4a(&e.esds)?,
        Codec::Mp3(_) => Entry::Mpeg,
        Codec::Opus(e) => known(opus(&e.dops).map(CodecConfig::Opus))?,
        Codec::Flac(e) => known(FlacConfig::parse(&flac(&e.dfla)?).map(CodecConfig::Flac))?,
        Codec::Ac3(_) | Codec::Eac3(_) => Entry::Ac3,
        _ => Entry::Unusable("sample entry"),
    })
}

fn known(config: Result<CodecConfig, CodecError>) -> Option<Entry> {
    config.ok().map(Entry::Known)
}

fn h264(avcc: &Avcc) -> Option<Entry> {
    let mut record = BytesMut::new();
    avcc.encode_body(&mut record).ok()?;
    let length_size = usize::from(*record.get(4)? & 3) + 1;
    if avcc.sequence_parameter_sets.is_empty() {
        return Some(Entry::InBand {
            h265: false,
            length_size,
        });
    }
    known(H264Config::parse(record.freeze()).map(CodecConfig::H264))
}

fn h265(hvcc: &Hvcc) -> Option<Entry> {
    let mut record = BytesMut::new();
    hvcc.encode_body(&mut record).ok()?;
    let length_size = usize::from(*record.get(21)? & 3) + 1;
    if hvcc
        .arrays
        .iter()
        .all(|a| a.nal_unit_type != 33 || a.nalus.is_empty())
    {
        return Some(Entry::InBand {
            h265: true,
            length_size,
        });
    }
    known(H265Config::parse(record.freeze()).map(CodecConfig::H265))
}

fn av1(av1c: &Av1c) -> Option<Bytes> {
    let mut record = BytesMut::new();
    av1c.encode_body(&mut record).ok()?;
    Some(record.freeze())
}

/// With version and flags, which belong to the box.
fn vp9(vpcc: &VpcC) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    vpcc.encode(&mut whole).ok()?;
    (whole.len() > 8).then(|| whole.freeze().slice(8..))
}

/// `STREAMINFO`, behind the box's header, its version and the block's header.
fn flac(dfla: &Dfla) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    dfla.encode(&mut whole).ok()?;
    (whole.len() > 16).then(|| whole.freeze().slice(16..))
}

fn opus(dops: &Dops) -> Result<OpusConfig, CodecError> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(dops.output_channel_count);
    head.extend(dops.pre_skip.to_le_bytes());
    head.extend(dops.input_sample_rate.to_le_bytes());
    head.extend(dops.output_gain.to_le_bytes());
    head.push(dops.channel_mapping.as_ref().map_or(0, |m| m.family));
    OpusConfig::parse(&head)
}

/// By object type (ISO/IEC 14496-1, table 5).
fn mp4a(esds: &Esds) -> Option<Entry> {
    let decoder = &esds.es_desc.dec_config;
    match decoder.object_type_indication {
        0x40 | 0x66..=0x68 => {
            let asc = Bytes::copy_from_slice(&decoder.dec_specific.as_ref()?.raw);
            known(AacConfig::parse(asc).map(CodecConfig::Aac))
        }
        0x69 | 0x6b => Some(Entry::Mpeg),
        0xa5 | 0xa6 => Some(Entry::Ac3),
        _ => None,
    }
}

/// Whether a box is this one.
pub(super) fn is(kind: FourCC, name: &[u8; 4]) -> bool {
    kind == FourCC::new(name)
}
