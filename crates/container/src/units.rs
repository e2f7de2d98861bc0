//! NAL units of one access unit, brought into the canonical shape: 4-byte lengths, parameter sets
//! in the configuration alone.

use bytes::{BufMut, Bytes, BytesMut};
use media::CodecConfig;
use media::codec::{CodecError, H264Config, H265Config};
use media::nal::{self, CutShort, NalKind};

/// Why an access unit cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitsError {
    #[error(transparent)]
    Nal(#[from] CutShort),
    #[error(transparent)]
    Config(#[from] CodecError),
}

/// More parameter sets in one access unit than any encoder sends.
const SETS: usize = 64;

pub(crate) struct Units {
    pub(crate) random_access: bool,
    pub(crate) leading: bool,
    /// Empty where the access unit has no slice.
    pub(crate) payload: Bytes,
    /// The configuration, where parameter sets in band changed it.
    pub(crate) config: Option<CodecConfig>,
}

#[derive(Default)]
struct Survey {
    random_access: bool,
    leading: bool,
    slices: bool,
    rewrite: bool,
    bytes: usize,
}

impl Units {
    /// `None` for codecs that have no NAL units.
    pub(crate) fn of(config: &CodecConfig, body: &Bytes) -> Result<Option<Self>, UnitsError> {
        let (kind, length_size): (fn(&[u8]) -> NalKind, _) = match config {
            CodecConfig::H264(c) => (nal::h264, c.nal_length_size()),
            CodecConfig::H265(c) => (nal::h265, c.nal_length_size()),
            _ => return Ok(None),
        };
        let mut sets: Vec<&[u8]> = Vec::new();
        let survey = survey(body, length_size, kind, &mut sets)?;
        let payload = if !survey.slices {
            Bytes::new()
        } else if survey.rewrite || length_size != 4 {
            rewrite(body, length_size, kind, survey.bytes)?
        } else {
            body.clone()
        };
        Ok(Some(Self {
            random_access: survey.random_access,
            leading: survey.leading,
            payload,
            config: changed(config, &sets)?.map(|c| c.with_nal_length_size(length_size)),
        }))
    }
}

fn is_kept(kind: NalKind) -> bool {
    !matches!(kind, NalKind::ParameterSet | NalKind::Empty)
}

fn survey<'a>(
    body: &'a Bytes,
    length_size: usize,
    kind: fn(&[u8]) -> NalKind,
    sets: &mut Vec<&'a [u8]>,
) -> Result<Survey, CutShort> {
    let mut s = Survey::default();
    for unit in nal::Units::new(body, length_size) {
        let unit = unit?;
        let kind = kind(unit);
        match kind {
            NalKind::ParameterSet if sets.len() < SETS => sets.push(unit),
            NalKind::RandomAccess => (s.random_access, s.slices) = (true, true),
            NalKind::RecoveryPoint => s.random_access = true,
            NalKind::Leading => (s.leading, s.slices) = (true, true),
            NalKind::Slice => s.slices = true,
            _ => {}
        }
        if is_kept(kind) {
            s.bytes += 4 + unit.len();
        } else {
            s.rewrite = true;
        }
    }
    Ok(s)
}

fn rewrite(
    body: &Bytes,
    length_size: usize,
    kind: fn(&[u8]) -> NalKind,
    bytes: usize,
) -> Result<Bytes, CutShort> {
    // At most four bytes per NAL unit more than the body has.
    let mut out = BytesMut::with_capacity(bytes);
    for unit in nal::Units::new(body, length_size) {
        let unit = unit?;
        if is_kept(kind(unit)) {
            out.put_u32(u32::try_from(unit.len()).map_err(|_| CutShort)?);
            out.put_slice(unit);
        }
    }
    Ok(out.freeze())
}

/// The configuration with the sets that came in band, where they are not the ones it has.
fn changed(config: &CodecConfig, sets: &[&[u8]]) -> Result<Option<CodecConfig>, UnitsError> {
    if sets.is_empty() {
        return Ok(None);
    }
    Ok(match config {
        CodecConfig::H264(c) if sets.iter().any(|s| !c.parameter_sets().contains(s)) => {
            let of = |kind: u8| {
                sets.iter()
                    .find(|s| s.first().is_some_and(|b| b & 0x1f == kind))
            };
            match (of(7), of(8)) {
                (Some(sps), Some(pps)) => Some(CodecConfig::H264(H264Config::from_parameter_sets(
                    sps, pps,
                )?)),
                _ => None,
            }
        }
        CodecConfig::H265(c) if sets.iter().any(|s| !c.parameter_sets().contains(s)) => {
            hevc_changed(c, sets)?.map(CodecConfig::H265)
        }
        _ => None,
    })
}

fn hevc_changed(config: &H265Config, sets: &[&[u8]]) -> Result<Option<H265Config>, UnitsError> {
    let kind = |set: &[u8]| set.first().map_or(0, |b| b >> 1 & 0x3f);
    let whole = (32..=34).all(|k| sets.iter().any(|s| kind(s) == k));
    if !whole {
        return Ok(None);
    }
    let sets: Vec<(u8, &[u8])> = sets.iter().map(|s| (kind(s), *s)).collect();
    Ok(Some(config.with_parameter_sets(&sets)?))
}
