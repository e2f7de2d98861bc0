//! AV1: the `AV1CodecConfigurationRecord` (AV1 ISOBMFF 2.3.3) and its sequence header (AV1 5.5).

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{CodecError, VideoInfo, reduce};
use crate::bits::Bits;

/// AV1 decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Av1Config {
    record: Bytes,
    video: VideoInfo,
}

const SEQUENCE_HEADER: u8 = 1;
const HAS_SIZE: u8 = 2;

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

    /// Makes the record of a sequence header among OBUs that all tell their size.
    ///
    /// # Errors
    /// No readable sequence header.
    pub fn from_obus(obus: &[u8]) -> Result<Self, CodecError> {
        let error = |reason: &str| CodecError::new("AV1", reason);
        let header = sequence_header(obus).ok_or_else(|| error("no sequence header"))?;
        let head = record_head(header).ok_or_else(|| error("unreadable sequence header"))?;
        let mut record = BytesMut::with_capacity(header.len() + 8);
        record.put_slice(&head);
        // The sequence header with its size, whatever else there was.
        record.put_u8(SEQUENCE_HEADER << 3 | HAS_SIZE);
        let size = u8::try_from(header.len()).ok().filter(|n| *n < 0x80);
        record.put_u8(size.ok_or_else(|| error("a sequence header over 127 bytes"))?);
        record.put_slice(header);
        Self::parse(record.freeze())
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

/// Marker, version, profile, level, tier and the form of the samples.
fn record_head(header: &[u8]) -> Option<[u8; 4]> {
    let (mut b, mut level) = (Bits::new(header), Bits::new(header));
    let profile = b.bits(3)?;
    b.skip(1)?;
    let reduced = b.bit()?;
    let (level, tier) = if reduced {
        b.skip(5)?;
        level.skip(5)?;
        (level.bits(5)?, false)
    } else {
        timing_and_operating_points(&mut b)?;
        first_level(header)?
    };
    let (width_bits, height_bits) = (b.bits(4)? + 1, b.bits(4)? + 1);
    b.skip(width_bits)?;
    b.skip(height_bits)?;
    skip_tools(&mut b, reduced)?;
    let form = sample_form(&mut b, profile)?;
    let byte = |n: u32| u8::try_from(n).ok();
    Some([
        0x81,
        byte(profile << 5 | level)?,
        u8::from(tier) << 7 | form,
        0,
    ])
}

/// `seq_level_idx` and `seq_tier` of the first operating point.
fn first_level(header: &[u8]) -> Option<(u32, bool)> {
    let mut b = Bits::new(header);
    b.skip(5)?;
    if b.bit()? {
        b.skip(32)?;
        b.skip(32)?;
        if b.bit()? {
            b.uvlc()?;
        }
        if b.bit()? {
            b.skip(5 + 32)?;
            b.skip(10)?;
        }
    }
    b.skip(1 + 5 + 12)?;
    let level = b.bits(5)?;
    let tier = level > 7 && b.bit()?;
    Some((level, tier))
}

/// From `frame_id_numbers_present_flag` to `enable_restoration` (AV1 5.5.1).
fn skip_tools(b: &mut Bits<'_>, reduced: bool) -> Option<()> {
    if !reduced && b.bit()? {
        b.skip(4 + 3)?;
    }
    b.skip(3)?;
    if !reduced {
        b.skip(4)?;
        let order_hint = b.bit()?;
        if order_hint {
            b.skip(2)?;
        }
        let chosen = b.bit()?;
        let screen_content = chosen || b.bit()?;
        if screen_content && !b.bit()? {
            b.skip(1)?;
        }
        if order_hint {
            b.skip(3)?;
        }
    }
    b.skip(3)
}

/// `high_bitdepth` and what follows it in the record, as far as `color_config` tells (AV1 5.5.2).
fn sample_form(b: &mut Bits<'_>, profile: u32) -> Option<u8> {
    let high = b.bit()?;
    let twelve = profile == 2 && high && b.bit()?;
    let mono = profile != 1 && b.bit()?;
    let colours = if b.bit()? { b.bits(24)? } else { 0x02_02_02 };
    // sRGB in 4:4:4 tells nothing more.
    let srgb = colours == 0x01_0d_00 && !mono;
    if !srgb {
        b.skip(1)?;
    }
    let (x, y) = match profile {
        _ if mono => (true, true),
        _ if srgb => (false, false),
        0 => (true, true),
        1 => (false, false),
        _ if twelve => {
            let x = b.bit()?;
            (x, x && b.bit()?)
        }
        _ => (true, false),
    };
    let position = if x && y && !mono { b.bits(2)? } else { 0 };
    let bit = |set: bool, at: u8| u8::from(set) << at;
    let flags = bit(high, 6) | bit(twelve, 5) | bit(mono, 4) | bit(x, 3) | bit(y, 2);
    Some(flags | u8::try_from(position).ok()?)
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
