//! What a stream of the programme map holds, and whether it can be read.

use media::codec::{OpaqueConfig, OpusConfig};
use media::{CodecConfig, TrackKind};
use mpeg2ts_reader::StreamType;

use super::audio::Framed;
use super::av1::Av1;
use super::heads::Syntax;
use super::psi::{Listed, Sections, data_of};
use super::video::Video;

#[derive(Debug)]
pub(super) enum Codec {
    Video(Video),
    Av1(Av1),
    Framed(Framed),
    Opus(CodecConfig),
    /// Data in PES packets, as it is.
    Data,
    Cues(Sections),
}

impl Codec {
    /// # Errors
    /// Why a stream is left out.
    pub(super) fn of(listed: &Listed) -> Result<Self, &'static str> {
        const EAC3: StreamType = StreamType(0x87);
        const CUES: StreamType = StreamType(0x86);
        let framed = |syntax| Ok(Self::Framed(Framed::new(syntax)));
        match StreamType(listed.stream_type) {
            StreamType::H264 => Ok(Self::Video(Video::new(false))),
            StreamType::H265 => Ok(Self::Video(Video::new(true))),
            StreamType::ADTS => framed(Syntax::Adts),
            StreamType::LATM => framed(Syntax::Loas),
            StreamType::ISO_11172_AUDIO | StreamType::ISO_138183_AUDIO => framed(Syntax::Mpeg),
            StreamType::ATSC_DOLBY_DIGITAL_AUDIO | EAC3 => framed(Syntax::Ac3),
            CUES => Ok(Self::Cues(Sections::of_cues())),
            _ if data_of(listed).is_some() => Ok(Self::Data),
            StreamType::H222_0_PES_PRIVATE_DATA => Self::private(listed),
            StreamType::ISO_11172_VIDEO | StreamType::H262 => Err("MPEG-2 video"),
            StreamType::METADATA_IN_PES => Err("timed metadata"),
            StreamType(0xcf | 0xc1 | 0xc2 | 0xdb) => Err("encrypted stream"),
            _ => Err("stream type"),
        }
    }

    /// Private data says by descriptors what it is: registered formats, and tags of DVB
    /// (ETSI EN 300 468, annex D) for sound.
    fn private(listed: &Listed) -> Result<Self, &'static str> {
        let framed = |syntax| Ok(Self::Framed(Framed::new(syntax)));
        match listed.registration.as_ref() {
            Some(b"Opus") => match listed.opus {
                Some(channels @ 1..=2) => {
                    Ok(Self::Opus(CodecConfig::Opus(OpusConfig::new(channels))))
                }
                _ => Err("Opus with other than one or two channels"),
            },
            Some(b"HEVC") => Ok(Self::Video(Video::new(true))),
            Some(b"AC-3" | b"EAC3") => framed(Syntax::Ac3),
            Some(b"AV01") => Ok(Self::Av1(Av1::default())),
            _ if listed.tags.iter().any(|t| matches!(t, 0x6a | 0x7a)) => framed(Syntax::Ac3),
            _ if listed.tags.contains(&0x7c) => framed(Syntax::Adts),
            _ => Err("private data"),
        }
    }

    pub(super) const fn kind(&self) -> TrackKind {
        match self {
            Self::Video(_) | Self::Av1(_) => TrackKind::Video,
            Self::Framed(_) | Self::Opus(_) => TrackKind::Audio,
            Self::Data | Self::Cues(_) => TrackKind::Data,
        }
    }

    /// What is missing cannot be completed.
    pub(super) fn lost(&mut self) {
        match self {
            Self::Framed(framed) => framed.lost(),
            Self::Av1(av1) => av1.lost(),
            _ => {}
        }
    }
}

/// The configuration of data, of which nothing in the stream itself tells.
pub(super) fn data_config(listed: &Listed) -> Option<CodecConfig> {
    Some(CodecConfig::Opaque(OpaqueConfig {
        kind: TrackKind::Data,
        fourcc: data_of(listed)?,
        data: listed.descriptors.clone().into(),
    }))
}
