//! Synthetic H.264: a decoder's configuration that is true, and slices that are noise with a stamp.

use anyhow::Context as _;
use media::CodecConfig;
use media::codec::{AacConfig, H264Config};

use crate::stamp;

/// 640x360, constrained baseline.
const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
    0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x58, 0xba, 0x80,
];
const PPS: &[u8] = &[0x68, 0xce, 0x0f, 0xc8];
/// How a slice header begins: of an IDR picture, of another.
const IDR: &[u8] = &[0x65, 0x88, 0x84];
const INTER: &[u8] = &[0x41, 0x9a, 0x02];
/// A keyframe is as large as so many mean frames.
const KEY_WEIGHT: u32 = 5;

pub(crate) fn h264() -> anyhow::Result<CodecConfig> {
    let config = H264Config::from_parameter_sets(SPS, PPS).context("H.264")?;
    Ok(CodecConfig::H264(config))
}

/// 48 kHz stereo, low complexity.
pub(crate) fn aac() -> anyhow::Result<CodecConfig> {
    let config = AacConfig::parse(bytes::Bytes::from_static(&[0x11, 0x90])).context("AAC")?;
    Ok(CodecConfig::Aac(config))
}

/// Sizes of frames that make a bitrate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    gop: u32,
    key: usize,
    inter: usize,
}

impl Sizes {
    pub(crate) fn new(kbps: u32, fps: u32, gop: u32) -> Self {
        let mean = f64::from(kbps) * 125.0 / f64::from(fps.max(1));
        let weight = f64::from(KEY_WEIGHT.min(gop));
        let others = f64::from(gop.saturating_sub(1).max(1));
        let inter = mean * (f64::from(gop) - weight) / others;
        let least = stamp::LEN + 16;
        Self {
            gop: gop.max(1),
            key: ((mean * weight) as usize).max(least),
            inter: (inter as usize).max(least),
        }
    }

    pub(crate) fn is_key(&self, n: u32) -> bool {
        n.is_multiple_of(self.gop)
    }

    /// One NAL unit with its length before it, stamped.
    pub(crate) fn access_unit(&self, n: u32, time: u64) -> Vec<u8> {
        let (size, head) = if self.is_key(n) {
            (self.key, IDR)
        } else {
            (self.inter, INTER)
        };
        let mut out = Vec::with_capacity(size);
        let nal = u32::try_from(size - 4).unwrap_or(u32::MAX);
        out.extend_from_slice(&nal.to_be_bytes());
        out.extend_from_slice(head);
        stamp::write(&mut out, time);
        // No zeros: nothing that looks like a start code.
        out.resize(size, 0xa5);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_bitrate() {
        let sizes = Sizes::new(4000, 30, 60);
        let all: usize = (0..60).map(|n| sizes.access_unit(n, 1).len()).sum();
        assert!(all.abs_diff(1_000_000) < 100, "{all}");
        assert!(h264().is_ok() && aac().is_ok());
    }
}
