//! The bodies of FLV and RTMP audio and video messages: legacy tags (Adobe FLV 10.1, annex E) and
//! enhanced ones (Enhanced RTMP v2); and files of them.

mod audio;
mod demux;
mod reader;
mod video;
mod write;

use bytes::{Buf as _, Bytes};
use media::codec::CodecError;
use media::nal::CutShort;
use media::{CodecConfig, Span, TrackId};

use crate::units::UnitsError;

pub use demux::Demux;
pub use reader::Reader;
pub use write::{Head, Mux, number_of};

/// What a message body held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A decoder configuration, for the frames of its track from here on.
    Config(TrackId, CodecConfig),
    /// One access unit.
    Frame(Unit),
    /// The track ends.
    End(TrackId),
    /// Something that carries no media, or cannot be decoded; the reason is for counters.
    Ignored(&'static str),
}

/// One access unit in the shape of `media::Frame`, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Video tracks have even, audio tracks odd numbers.
    pub track: TrackId,
    /// PTS minus DTS.
    pub composition: Span,
    /// Whether decoding can start here, as the NAL units tell; the tag's flag where there are none.
    pub random_access: bool,
    /// A leading picture of an open group.
    pub leading: bool,
    /// The coded bytes.
    pub payload: Bytes,
}

/// A body that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlvError {
    /// The input does not begin as FLV does.
    #[error("no FLV header")]
    NoHeader,
    /// It ends before its header does.
    #[error("a tag is cut short")]
    CutShort,
    /// Its NAL units do.
    #[error(transparent)]
    Nal(#[from] CutShort),
    /// A configuration that cannot be read.
    #[error(transparent)]
    Config(#[from] CodecError),
}

impl From<UnitsError> for FlvError {
    fn from(error: UnitsError) -> Self {
        match error {
            UnitsError::Nal(e) => Self::Nal(e),
            UnitsError::Config(e) => Self::Config(e),
        }
    }
}

/// The track of video messages with this number; the first is 0.
#[must_use]
pub const fn video_track(number: u8) -> TrackId {
    TrackId(number as u16 * 2)
}

/// The track of audio messages with this number; the first is 0.
#[must_use]
pub const fn audio_track(number: u8) -> TrackId {
    TrackId(number as u16 * 2 + 1)
}

fn take_u8(body: &mut Bytes) -> Result<u8, FlvError> {
    body.try_get_u8().map_err(|_| FlvError::CutShort)
}

fn take_fourcc(body: &mut Bytes) -> Result<[u8; 4], FlvError> {
    let code = body.try_get_u32().map_err(|_| FlvError::CutShort)?;
    Ok(code.to_be_bytes())
}

fn take_u24(body: &mut Bytes) -> Result<u32, FlvError> {
    let value = body.try_get_uint(3).map_err(|_| FlvError::CutShort)?;
    u32::try_from(value).map_err(|_| FlvError::CutShort)
}

/// A signed 24-bit composition time in milliseconds.
fn take_composition(body: &mut Bytes) -> Result<Span, FlvError> {
    // `Buf::try_get_int` does not extend the sign (bytes 1.12).
    let millis = i64::from(take_u24(body)?);
    let negative = millis >= 1 << 23;
    Ok(Span::from_millis(
        millis - if negative { 1 << 24 } else { 0 },
    ))
}

fn split(body: &mut Bytes, len: u32) -> Result<Bytes, FlvError> {
    let len = usize::try_from(len).map_err(|_| FlvError::CutShort)?;
    if len > body.len() {
        return Err(FlvError::CutShort);
    }
    Ok(body.split_to(len))
}

/// The packets of a multitrack body (Enhanced RTMP v2, `AvMultitrackType`).
fn for_each_track(
    mut body: Bytes,
    kind: u8,
    mut each: impl FnMut(u8, [u8; 4], Bytes) -> Result<(), FlvError>,
) -> Result<(), FlvError> {
    const ONE_TRACK: u8 = 0;
    const MANY_CODECS: u8 = 2;
    let mut fourcc = [0; 4];
    if kind != MANY_CODECS {
        fourcc = take_fourcc(&mut body)?;
    }
    while !body.is_empty() {
        if kind == MANY_CODECS {
            fourcc = take_fourcc(&mut body)?;
        }
        let track = take_u8(&mut body)?;
        let packet = if kind == ONE_TRACK {
            std::mem::take(&mut body)
        } else {
            let len = take_u24(&mut body)?;
            split(&mut body, len)?
        };
        each(track, fourcc, packet)?;
    }
    Ok(())
}

/// Skips `ModEx` prefixes and returns the packet type behind them.
fn skip_modifiers(body: &mut Bytes, mut packet: u8) -> Result<u8, FlvError> {
    const MOD_EX: u8 = 7;
    while packet == MOD_EX {
        let mut len = u32::from(take_u8(body)?) + 1;
        if len == 256 {
            len = u32::from(body.try_get_u16().map_err(|_| FlvError::CutShort)?) + 1;
        }
        split(body, len)?;
        packet = take_u8(body)? & 0x0f;
    }
    Ok(packet)
}

#[cfg(test)]
mod tests;
