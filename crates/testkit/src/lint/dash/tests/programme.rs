//! Bytes of a programme that has been running since 1970.

use bytes::Bytes;
use container::fmp4;

use super::world::{FIRST, ZERO, begins};
use crate::lint::tests::{audio, video};

/// A chunk: when it was over, in milliseconds, and its bytes.
pub(super) type Chunk = (i64, Bytes);

pub(super) fn init(uri: &str) -> Bytes {
    let track = if uri.contains("a1") { audio() } else { video() };
    let mut bytes = fmp4::init_segment(&track).unwrap().to_vec();
    // The minor version of `ftyp`.
    bytes[15] = uri.as_bytes()[uri.len() - 1];
    bytes.into()
}

/// Ten frames a second, the first of a segment a keyframe.
pub(super) fn pictures(number: u64) -> Vec<Chunk> {
    let frame = |i: u64| {
        let tick = number * 180_000 + i * 9_000;
        let ms = begins(number) + i64::try_from(i).unwrap() * 100;
        let opening = if i == 0 {
            opening(ms, tick)
        } else {
            Vec::new()
        };
        let moof = moof(tick, &[(9_000, i == 0)]);
        (ms + 100, [opening, moof].concat().into())
    };
    (0..20).map(frame).collect()
}

/// Frames of 1024 samples in fives.
pub(super) fn sound(number: u64, apart: u64) -> Vec<Chunk> {
    let (from, to) = (
        (number * 96_000).div_ceil(1_024) + apart,
        (number * 96_000 + 96_000).div_ceil(1_024) + apart,
    );
    let chunk = |k: u64| {
        let tick = k * 1_024;
        let frames = 5.min(to - k);
        let ms = |tick: u64| i64::try_from((tick - FIRST * 96_000) / 48).unwrap_or(0);
        let since = begins(number) + i64::try_from((tick - number * 96_000) / 48).unwrap();
        let opening = if k == from {
            opening(since, tick)
        } else {
            Vec::new()
        };
        let samples = vec![(1_024, true); usize::try_from(frames).unwrap()];
        let length = ms(FIRST * 96_000 + frames * 1_024);
        (
            since + length,
            [opening, moof(tick, &samples)].concat().into(),
        )
    };
    (from..to).step_by(5).map(chunk).collect()
}

pub(super) const FILLER: &[u8] = b"\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs";

pub(super) fn boxed(kind: &[u8; 4], body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, &body].concat()
}

/// `styp` and `prft`: `ms` of the run is when the media time `tick` is shown.
pub(super) fn opening(ms: i64, tick: u64) -> Vec<u8> {
    let unix = u64::try_from(ZERO.as_millis() + ms).unwrap();
    let seconds = u32::try_from(unix / 1_000 + 2_208_988_800).unwrap();
    let fraction = u32::try_from(((unix % 1_000) << 32) / 1_000).unwrap();
    let words = [0x0100_0000, 1, seconds, fraction]
        .map(u32::to_be_bytes)
        .concat();
    let prft = boxed(b"prft", &[&words, &tick.to_be_bytes()]);
    [FILLER, &prft].concat()
}

/// `moof` and `mdat` of samples of ten bytes: their durations, and whether decoding can start there.
pub(super) fn moof(tick: u64, samples: &[(u32, bool)]) -> Vec<u8> {
    let words = |all: &[u32]| all.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
    let run = |offset: u32| {
        let count = u32::try_from(samples.len()).unwrap();
        let mut all = vec![0x0100_0701, count, offset];
        for (duration, key) in samples {
            all.extend([*duration, 10, if *key { 0x0200_0000 } else { 0x0101_0000 }]);
        }
        let tfdt = boxed(b"tfdt", &[&words(&[0x0100_0000]), &tick.to_be_bytes()]);
        let tfhd = boxed(b"tfhd", &[&words(&[0x0002_0000, 1])]);
        let traf = boxed(b"traf", &[&tfhd, &tfdt, &boxed(b"trun", &[&words(&all)])]);
        boxed(b"moof", &[&boxed(b"mfhd", &[&words(&[0, 1])]), &traf])
    };
    let offset = u32::try_from(run(0).len() + 8).unwrap();
    let payload: Vec<u8> = tick
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(10 * samples.len())
        .collect();
    [run(offset), boxed(b"mdat", &[&payload])].concat()
}
