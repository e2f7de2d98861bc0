//! H.265: the `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 8.3.3.1) and its SPS.

use bytes::{BufMut, Bytes, BytesMut};

use super::{CodecError, VideoInfo, h265_sps, sets};

/// H.265 decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H265Config {
    record: Bytes,
    video: VideoInfo,
}

/// Fixed fields before the arrays of parameter sets.
const HEAD: usize = 23;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;

impl H265Config {
    /// Reads an `HEVCDecoderConfigurationRecord`.
    ///
    /// # Errors
    /// A record that is cut short, or holds no readable SPS.
    pub fn parse(record: Bytes) -> Result<Self, CodecError> {
        let sets = read_sets(&record).ok_or_else(|| error("cut short"))?;
        let is_sps = |set: &&&[u8]| set.first().is_some_and(|b| b >> 1 & 0x3f == SPS);
        let sps = sets.iter().find(is_sps).ok_or_else(|| error("no SPS"))?;
        let sps = h265_sps::read(sps).ok_or_else(|| error("unreadable SPS"))?;
        let video = sps.video;
        Ok(Self { record, video })
    }

    /// Makes the record from VPS, SPS and PPS, any number of each, as NAL units with their headers
    /// and without start codes; what else is among them is left out.
    ///
    /// # Errors
    /// No SPS that can be read, no VPS or PPS, sets over 64 KiB, or more of them than it takes.
    pub fn from_sets(sets: &[&[u8]]) -> Result<Self, CodecError> {
        let kind = |set: &[u8]| set.first().map_or(0, |b| b >> 1 & 0x3f);
        let mut kept: Vec<(u8, &[u8])> = sets.iter().map(|s| (kind(s), *s)).collect();
        kept.retain(|(kind, _)| matches!(kind, VPS..=PPS));
        kept.sort_by_key(|(kind, _)| *kind);
        let has = |wanted| kept.iter().any(|(kind, _)| *kind == wanted);
        let sps = kept.iter().find(|(kind, _)| *kind == SPS);
        let (Some((_, sps)), true, true) = (sps, has(VPS), has(PPS)) else {
            return Err(error("no parameter sets"));
        };
        let sps = h265_sps::read(sps).ok_or_else(|| error("unreadable SPS"))?;
        with_sets(&head(&sps), &kept)
    }

    /// The same configuration with other parameter sets, as they came in band.
    ///
    /// # Errors
    /// An SPS that cannot be read, or sets over 64 KiB.
    pub fn with_parameter_sets(&self, sets: &[(u8, &[u8])]) -> Result<Self, CodecError> {
        let head = self
            .record
            .get(..HEAD - 1)
            .ok_or_else(|| error("short record"))?;
        with_sets(head, sets)
    }

    /// The `HEVCDecoderConfigurationRecord`.
    #[must_use]
    pub const fn record(&self) -> &Bytes {
        &self.record
    }

    /// The same with another size of NAL unit lengths, 1, 2 or 4 bytes.
    #[must_use]
    pub fn with_nal_length_size(&self, size: usize) -> Self {
        let mut record = self.record.to_vec();
        if let Some(byte) = record.get_mut(21) {
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
        self.record.get(21).map_or(4, |b| usize::from(b & 3) + 1)
    }

    /// The parameter sets in the record, in order, each without start code or length.
    #[must_use]
    pub fn parameter_sets(&self) -> Vec<&[u8]> {
        read_sets(&self.record).unwrap_or_default()
    }

    /// Size and rate from the first SPS.
    #[must_use]
    pub const fn video(&self) -> VideoInfo {
        self.video
    }

    /// `hvc1.` with profile, compatibility, tier, level and constraints
    /// (ISO/IEC 14496-15 annex E.3).
    #[must_use]
    pub fn rfc6381(&self) -> String {
        let byte = |i: usize| self.record.get(i).copied().unwrap_or(0);
        let space = ["", "A", "B", "C"][usize::from(byte(1) >> 6)];
        let tier = if byte(1) & 0x20 == 0 { 'L' } else { 'H' };
        let compatibility = u32::from_be_bytes([byte(2), byte(3), byte(4), byte(5)]);
        let mut text = format!(
            "hvc1.{space}{}.{:X}.{tier}{}",
            byte(1) & 0x1f,
            compatibility.reverse_bits(),
            byte(12)
        );
        let constraints: Vec<u8> = (6..12).map(byte).collect();
        let used = constraints
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |i| i + 1);
        for constraint in &constraints[..used] {
            text.push_str(&format!(".{constraint:X}"));
        }
        text
    }
}

fn with_sets(head: &[u8], sets: &[(u8, &[u8])]) -> Result<H265Config, CodecError> {
    let mut out = BytesMut::from(head);
    let count = u8::try_from(sets.len()).map_err(|_| error("too many parameter sets"))?;
    out.put_u8(count);
    for (kind, set) in sets {
        let len = u16::try_from(set.len()).map_err(|_| error("parameter set over 64 KiB"))?;
        out.put_u8(0x80 | (kind & 0x3f));
        out.put_u16(1);
        out.put_u16(len);
        out.put_slice(set);
    }
    H265Config::parse(out.freeze())
}

/// The fixed fields, with 4-byte lengths; what the SPS does not tell in short is "unknown".
fn head(sps: &h265_sps::Sps) -> [u8; HEAD - 1] {
    let mut out = [0; HEAD - 1];
    out[0] = 1;
    out[1..13].copy_from_slice(&sps.general);
    out[13] = 0xf0;
    out[15] = 0xfc;
    out[16] = 0xfc | sps.chroma & 3;
    out[17] = 0xf8 | sps.depths.0;
    out[18] = 0xf8 | sps.depths.1;
    out[21] = sps.layers << 3 | u8::from(sps.nested) << 2 | 3;
    out
}

fn error(reason: impl Into<String>) -> CodecError {
    CodecError::new("H.265", reason)
}

/// Arrays of parameter sets, each behind its kind and count. Lengths of three bytes are none.
fn read_sets(record: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, mut rest) = record.split_first_chunk::<HEAD>()?;
    let mut all = Vec::new();
    for _ in 0..head[HEAD - 1] {
        let ([_, high, low], after) = rest.split_first_chunk()?;
        rest = after;
        let count = usize::from(u16::from_be_bytes([*high, *low]));
        sets::take(&mut rest, count, &mut all)?;
    }
    (head[0] == 1 && head[21] & 3 != 2).then_some(all)
}
