//! The sequence parameter set of H.265 (ITU-T H.265 7.3.2.2), as far as the frame rate. Ours, because a
//! peer writes it: nothing in it may make us allocate more than it is long.

use super::{VideoInfo, reduce};
use crate::bits::Bits;

/// Short-term reference picture sets (7.4.3.2.1: 0 to 64).
const MOST_SETS: u32 = 64;
/// Pictures before or after, in one of them.
const MOST_PICTURES: u32 = 16;
/// Long-term reference pictures (7.4.3.2.1: 0 to 32).
const MOST_LONG_TERM: u32 = 32;

/// What a decoder configuration record takes from it.
pub(super) struct Sps {
    pub(super) video: VideoInfo,
    /// `general_profile_space` up to `general_level_idc`.
    pub(super) general: [u8; 12],
    /// Temporal sub-layers, and whether they nest.
    pub(super) layers: u8,
    pub(super) nested: bool,
    pub(super) chroma: u8,
    /// Bits of a sample less eight, of luma and chroma.
    pub(super) depths: (u8, u8),
}

/// The rate is left out where what precedes it cannot be read.
pub(super) fn read(nal: &[u8]) -> Option<Sps> {
    let payload = unescape(nal.get(2..)?);
    let mut bits = Bits::new(&payload);
    bits.skip(4)?;
    let layers = bits.bits(3)?;
    let nested = bits.bit()?;
    let general = payload.get(1..13)?.try_into().ok()?;
    profile_tier_level(&mut bits, layers)?;
    bits.ue()?;
    let chroma = bits.ue()?;
    if chroma == 3 {
        bits.skip(1)?;
    }
    let (width, height) = size(&mut bits, chroma)?;
    let rest = bits.clone();
    let mut depth = || {
        let less_eight = bits.ue().and_then(|d| u8::try_from(d).ok());
        less_eight.filter(|d| *d < 8).unwrap_or(0)
    };
    let depths = (depth(), depth());
    Some(Sps {
        video: VideoInfo {
            width,
            height,
            frame_rate: frame_rate(rest, layers),
        },
        general,
        layers: u8::try_from(layers).ok()? + 1,
        nested,
        chroma: u8::try_from(chroma & 3).ok()?,
        depths,
    })
}

/// Without emulation prevention (7.3.1.1).
fn unescape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut zeros = 0;
    for byte in data {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// 7.3.3.
fn profile_tier_level(bits: &mut Bits<'_>, layers: u32) -> Option<()> {
    const PROFILE: u32 = 88;
    const LEVEL: u32 = 8;
    skip_many(bits, PROFILE + LEVEL)?;
    let mut present = Vec::new();
    for _ in 0..layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if layers > 0 {
        bits.skip(2 * (8 - layers))?;
    }
    for (profile, level) in present {
        skip_many(
            bits,
            u32::from(profile) * PROFILE + u32::from(level) * LEVEL,
        )?;
    }
    Some(())
}

fn skip_many(bits: &mut Bits<'_>, count: u32) -> Option<()> {
    (0..count).try_for_each(|_| bits.skip(1))
}

/// Luma samples inside the conformance window.
fn size(bits: &mut Bits<'_>, chroma: u32) -> Option<(u32, u32)> {
    let (width, height) = (bits.ue()?, bits.ue()?);
    if !bits.bit()? {
        return Some((width, height));
    }
    let [left, right, top, bottom] = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?];
    let across = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let down = if chroma == 1 { 2 } else { 1 };
    let x = left.checked_add(right)?.checked_mul(across)?;
    let y = top.checked_add(bottom)?.checked_mul(down)?;
    Some((width.checked_sub(x)?, height.checked_sub(y)?))
}

fn frame_rate(mut bits: Bits<'_>, layers: u32) -> Option<(u32, u32)> {
    let _depths = (bits.ue()?, bits.ue()?);
    let poc_bits = bits.ue()?.checked_add(4).filter(|n| *n <= 16)?;
    let first = if bits.bit()? { 0 } else { layers };
    for _ in first..=layers {
        let _buffering = (bits.ue()?, bits.ue()?, bits.ue()?);
    }
    for _ in 0..6 {
        bits.ue()?;
    }
    if bits.bit()? && bits.bit()? {
        scaling_lists(&mut bits)?;
    }
    let _tools = (bits.bit()?, bits.bit()?);
    if bits.bit()? {
        bits.skip(8)?;
        let _sizes = (bits.ue()?, bits.ue()?);
        bits.skip(1)?;
    }
    short_term_sets(&mut bits)?;
    if bits.bit()? {
        let count = bits.ue().filter(|n| *n <= MOST_LONG_TERM)?;
        for _ in 0..count {
            bits.skip(poc_bits + 1)?;
        }
    }
    let _more_tools = (bits.bit()?, bits.bit()?);
    if !bits.bit()? {
        return None;
    }
    timing(&mut bits)
}

/// 7.3.4: lists of sizes 4 to 32, of which the last has two matrices.
fn scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4_u32 {
        let matrices = if size == 3 { 2 } else { 6 };
        for _ in 0..matrices {
            if !bits.bit()? {
                bits.ue()?;
                continue;
            }
            let coefficients = (1_u32 << (4 + 2 * size)).min(64) + u32::from(size > 1);
            (0..coefficients).try_for_each(|_| bits.ue().map(drop))?;
        }
    }
    Some(())
}

/// 7.3.7 for each set; later ones may be told by their difference from the one before.
fn short_term_sets(bits: &mut Bits<'_>) -> Option<()> {
    let count = bits.ue().filter(|n| *n <= MOST_SETS)?;
    let mut before = Vec::new();
    for index in 0..count {
        before = if index > 0 && bits.bit()? {
            told_by_difference(bits, &before)?
        } else {
            told(bits)?
        };
    }
    Some(())
}

/// Distances in output order, the nearest first, those before ahead of those after.
fn told(bits: &mut Bits<'_>) -> Option<Vec<i64>> {
    let counts = [bits.ue()?, bits.ue()?];
    if counts.iter().any(|n| *n > MOST_PICTURES) {
        return None;
    }
    let mut set = Vec::new();
    for (count, sign) in counts.into_iter().zip([-1, 1]) {
        let mut distance = 0;
        for _ in 0..count {
            distance += sign * (i64::from(bits.ue()?) + 1);
            bits.skip(1)?;
            set.push(distance);
        }
    }
    Some(set)
}

/// 7-61 and 7-62.
fn told_by_difference(bits: &mut Bits<'_>, before: &[i64]) -> Option<Vec<i64>> {
    let negative = bits.bit()?;
    let difference = i64::from(bits.ue()?) + 1;
    let difference = if negative { -difference } else { difference };
    let mut set = Vec::new();
    for distance in before.iter().copied().chain([0]) {
        let used = bits.bit()?;
        let kept = used || bits.bit()?;
        let distance = distance + difference;
        if kept && distance != 0 {
            set.push(distance);
        }
    }
    set.truncate(2 * MOST_PICTURES as usize);
    set.sort_by_key(|d| (*d > 0, d.abs()));
    Some(set)
}

/// The part of E.2.1 that says how fast pictures follow each other.
fn timing(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    const EXTENDED_SAR: u32 = 255;
    if bits.bit()? && bits.bits(8)? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.bit()? {
        bits.skip(1)?;
    }
    if bits.bit()? {
        bits.skip(4)?;
        if bits.bit()? {
            bits.skip(24)?;
        }
    }
    if bits.bit()? {
        let _chroma_location = (bits.ue()?, bits.ue()?);
    }
    bits.skip(3)?;
    if bits.bit()? {
        let _window = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
    }
    if !bits.bit()? {
        return None;
    }
    let (units, scale) = (bits.bits(32)?, bits.bits(32)?);
    reduce(scale, units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_not(nal in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&nal);
        }
    }
}
