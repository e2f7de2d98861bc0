//! H.264: the `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 5.3.3.1) and its SPS.

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};

use super::{CodecError, VideoInfo, reduce, sets};

/// H.264 decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H264Config {
    record: Bytes,
    video: VideoInfo,
}

impl H264Config {
    /// Reads an `AVCDecoderConfigurationRecord`.
    ///
    /// # Errors
    /// A record that is cut short, or holds no readable SPS.
    pub fn parse(record: Bytes) -> Result<Self, CodecError> {
        let sets = read_sets(&record).ok_or_else(|| error("cut short"))?;
        let sps = sets.iter().find(|s| kind(s) == SPS);
        let video = read_sps(sps.ok_or_else(|| error("no SPS"))?)?;
        Ok(Self { record, video })
    }

    /// Makes the record from one SPS and one PPS, each a NAL unit with its header and without
    /// start code.
    ///
    /// # Errors
    /// An SPS that cannot be read, or sets over 64 KiB.
    pub fn from_parameter_sets(sps: &[u8], pps: &[u8]) -> Result<Self, CodecError> {
        Self::from_sets(&[sps, pps])
    }

    /// Makes the record from any number of SPS and PPS; what else is among them is left out.
    ///
    /// # Errors
    /// No SPS that can be read, no PPS, sets over 64 KiB, or more of them than a record holds.
    pub fn from_sets(sets: &[&[u8]]) -> Result<Self, CodecError> {
        let of = |wanted: u8| -> Vec<&[u8]> {
            let sets = sets.iter().filter(|s| kind(s) == wanted);
            sets.copied().collect()
        };
        let (sps, pps) = (of(SPS), of(PPS));
        let (Some(first), false) = (sps.first(), pps.is_empty()) else {
            return Err(error("no parameter sets"));
        };
        let video = read_sps(first)?;
        let [_, profile, constraints, level, ..] = **first else {
            return Err(error("short SPS"));
        };
        let count = |sets: &[&[u8]], most: u8| {
            let count = u8::try_from(sets.len()).ok().filter(|n| *n <= most);
            count.ok_or_else(|| error("too many parameter sets"))
        };
        let bytes: usize = sets.iter().map(|s| s.len() + 2).sum();
        let mut out = BytesMut::with_capacity(bytes + 7);
        out.put_slice(&[1, profile, constraints, level, 0xff]);
        out.put_u8(0xe0 | count(&sps, 31)?);
        for set in sps {
            put_set(&mut out, set)?;
        }
        out.put_u8(count(&pps, u8::MAX)?);
        for set in pps {
            put_set(&mut out, set)?;
        }
        let record = out.freeze();
        Ok(Self { record, video })
    }

    /// The `AVCDecoderConfigurationRecord`.
    #[must_use]
    pub const fn record(&self) -> &Bytes {
        &self.record
    }

    /// The same with another size of NAL unit lengths, 1, 2 or 4 bytes.
    #[must_use]
    pub fn with_nal_length_size(&self, size: usize) -> Self {
        let mut record = self.record.to_vec();
        if let Some(byte) = record.get_mut(4) {
            *byte = super::length_size(*byte, size);
        }
        Self {
            record: record.into(),
            ..self.clone()
        }
    }

    /// Bytes in a NAL unit's length field, as the record tells: 1, 2 or 4.
    #[must_use]
    pub fn nal_length_size(&self) -> usize {
        self.record.get(4).map_or(4, |b| usize::from(b & 3) + 1)
    }

    /// The parameter sets in the record, in order, each without start code or length.
    #[must_use]
    pub fn parameter_sets(&self) -> Vec<&[u8]> {
        read_sets(&self.record).unwrap_or_default()
    }

    /// Size and rate from the first SPS; the rate is its VUI's, half the field rate.
    #[must_use]
    pub const fn video(&self) -> VideoInfo {
        self.video
    }

    /// `avc1.PPCCLL` (RFC 6381 3.3): profile, constraints and level as in the record.
    #[must_use]
    pub fn rfc6381(&self) -> String {
        let byte = |i: usize| self.record.get(i).copied().unwrap_or(0);
        format!("avc1.{:02x}{:02x}{:02x}", byte(1), byte(2), byte(3))
    }
}

fn error(reason: impl Into<String>) -> CodecError {
    CodecError::new("H.264", reason)
}

const SPS: u8 = 7;
const PPS: u8 = 8;

fn kind(set: &[u8]) -> u8 {
    set.first().map_or(0, |b| b & 0x1f)
}

/// Behind five bytes sequence, then picture parameter sets; what else is among them is left out.
fn read_sets(record: &[u8]) -> Option<Vec<&[u8]>> {
    let (&[version, .., _], mut rest) = record.split_first_chunk::<5>()?;
    let mut all = Vec::new();
    for mask in [0x1f, 0xff] {
        let (count, after) = rest.split_first()?;
        rest = after;
        sets::take(&mut rest, usize::from(count & mask), &mut all)?;
    }
    all.retain(|set| matches!(kind(set), SPS | PPS));
    (version == 1).then_some(all)
}

fn put_set(out: &mut BytesMut, set: &[u8]) -> Result<(), CodecError> {
    let len = u16::try_from(set.len()).map_err(|_| error("parameter set over 64 KiB"))?;
    out.put_u16(len);
    out.put_slice(set);
    Ok(())
}

fn read_sps(nal: &[u8]) -> Result<VideoInfo, CodecError> {
    if nal.len() < 4 {
        return Err(error("short SPS"));
    }
    let sps = SeqParameterSet::from_bits(RefNal::new(nal, &[], true).rbsp_bits())
        .map_err(|e| error(format!("{e:?}")))?;
    let (width, height) = sps
        .pixel_dimensions()
        .map_err(|e| error(format!("{e:?}")))?;
    let timing = sps.vui_parameters.and_then(|v| v.timing_info);
    let frame_rate = timing.and_then(|t| reduce(t.time_scale, t.num_units_in_tick.checked_mul(2)?));
    Ok(VideoInfo {
        width,
        height,
        frame_rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_without_bytes_are_no_sets() {
        let head = [1, 0x42, 0xc0, 0x1e, 0xff];
        for counts in [&[0xe1, 0, 0, 0][..], &[0xe0, 1, 0, 0], &[0xe1, 0], &[]] {
            let record = Bytes::from([&head[..], counts].concat());
            assert!(H264Config::parse(record).is_err());
        }
    }
}
