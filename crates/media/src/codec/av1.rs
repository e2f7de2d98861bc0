//! AV1: the `AV1CodecConfigurationRecord` (AV1 ISOBMFF 2.3.3) and its sequence header (AV1 5.5).

use bytes::Bytes;

use super::{CodecError, VideoInfo, reduce};
use crate::bits::Bits;

/// AV1 decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Av1Config {
    record: Bytes,
    video: VideoInfo,
}

const SEQUENCE_HEADER: u8 = 1;

impl Av1Config {
    /// Reads an `AV1CodecConfigurationRecord` that carries its sequence header.
    ///
    /// # Errors
    /// A record without a readable sequence header.
    pub fn parse(record: Bytes) -> Result<Self, CodecError> {
        let error = |reason: &str| CodecError::new("AV1", reason);
        if record.first() != Some(&0x81) || record.len() < 4 {
            return Err(error("no configuration record"));
        }
        let header = sequence_header(&record[4..]).ok_or_else(|| error("no sequence header"))?;
        let video = read(header).ok_or_else(|| error("unreadable sequence header"))?;
        Ok(Self { record, video })
    }

    /// The `AV1CodecConfigurationRecord`.
    #[must_use]
    pub const fn record(&self) -> &Bytes {
        &self.record
    }

    /// Size and rate from the sequence header.
    #[must_use]
    pub const fn video(&self) -> VideoInfo {
        self.video
    }

    /// `av01.P.LLT.DD` (AV1 ISOBMFF 5).
    #[must_use]
    pub fn rfc6381(&self) -> String {
        let byte = |i: usize| self.record.get(i).copied().unwrap_or(0);
        let (profile, level) = (byte(1) >> 5, byte(1) & 0x1f);
        let tier = if byte(2) & 0x80 == 0 { 'M' } else { 'H' };
        let depth = match (byte(2) & 0x40 != 0, byte(2) & 0x20 != 0) {
            (true, true) => 12,
            (true, false) => 10,
            _ => 8,
        };
        format!("av01.{profile}.{level:02}{tier}.{depth:02}")
    }
}

/// The payload of the first sequence header among OBUs that all tell their size.
fn sequence_header(mut obus: &[u8]) -> Option<&[u8]> {
    loop {
        let head = *obus.first()?;
        let extended = usize::from(head >> 2 & 1);
        let (size, used) = leb128(obus.get(1 + extended..)?)?;
        let start = 1 + extended + used;
        let payload = obus.get(start..start.checked_add(size)?)?;
        if head >> 3 & 0xf == SEQUENCE_HEADER {
            return Some(payload);
        }
        obus = &obus[start + size..];
    }
}

fn leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (i, byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, i + 1));
        }
    }
    None
}

fn read(header: &[u8]) -> Option<VideoInfo> {
    let mut b = Bits::new(header);
    b.skip(4)?;
    let reduced = b.bit()?;
    let mut frame_rate = None;
    if reduced {
        b.skip(5)?;
    } else {
        frame_rate = timing_and_operating_points(&mut b)?;
    }
    let width_bits = b.bits(4)? + 1;
    let height_bits = b.bits(4)? + 1;
    Some(VideoInfo {
        width: b.bits(width_bits)? + 1,
        height: b.bits(height_bits)? + 1,
        frame_rate,
    })
}

type Rate = Option<(u32, u32)>;

fn timing_and_operating_points(b: &mut Bits<'_>) -> Option<Rate> {
    let mut rate = None;
    let mut delay_bits = None;
    if b.bit()? {
        let units = b.bits(32)?;
        let scale = b.bits(32)?;
        if b.bit()? {
            let per_picture = b.uvlc()?.saturating_add(1);
            rate = units
                .checked_mul(per_picture)
                .and_then(|u| reduce(scale, u));
        }
        if b.bit()? {
            delay_bits = Some(b.bits(5)? + 1);
            b.skip(32)?;
            b.skip(10)?;
        }
    }
    let initial_display_delay = b.bit()?;
    for _ in 0..=b.bits(5)? {
        operating_point(b, delay_bits, initial_display_delay)?;
    }
    Some(rate)
}

fn operating_point(b: &mut Bits<'_>, delay_bits: Option<u32>, display_delay: bool) -> Option<()> {
    b.skip(12)?;
    if b.bits(5)? > 7 {
        b.skip(1)?;
    }
    if let Some(bits) = delay_bits
        && b.bit()?
    {
        b.skip(bits)?;
        b.skip(bits)?;
        b.skip(1)?;
    }
    if display_delay && b.bit()? {
        b.skip(4)?;
    }
    Some(())
}
