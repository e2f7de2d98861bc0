//! Opus in PES packets ("Encapsulation of Opus in MPEG-TS" of opus-codec.org): packets behind
//! control headers.

use bytes::Bytes;
use media::{CodecConfig, Span, Timestamp};

use super::audio::Found;

/// The packets of one PES packet.
pub(super) fn read(
    time: Option<Timestamp>,
    mut payload: &[u8],
    config: &CodecConfig,
    found: &mut impl FnMut(Found),
) {
    let Some(mut time) = time else {
        return found(Found::Ignored("audio without a timestamp"));
    };
    while !payload.is_empty() {
        let Some((data, rest)) = packet(payload) else {
            return found(Found::Ignored("damaged Opus packet"));
        };
        payload = rest;
        let Some(duration) = duration_of(data) else {
            found(Found::Ignored("damaged Opus packet"));
            continue;
        };
        let data = Bytes::copy_from_slice(data);
        found(Found::Frame(config.clone(), time, duration, data));
        time += duration;
    }
}

fn packet(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([high, flags], mut rest) = data.split_first_chunk()?;
    if *high != 0x7f || flags & 0xe0 != 0xe0 {
        return None;
    }
    let mut size = 0;
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        size += usize::from(*byte);
        if *byte != 0xff {
            break;
        }
    }
    let trims = usize::from(flags >> 4 & 1) + usize::from(flags >> 3 & 1);
    rest = rest.get(2 * trims..)?;
    if flags >> 2 & 1 == 1 {
        let (len, after) = rest.split_first()?;
        rest = after.get(usize::from(*len)..)?;
    }
    rest.split_at_checked(size)
}

/// How long a packet lasts (RFC 6716 3.1).
fn duration_of(packet: &[u8]) -> Option<Span> {
    const MOST: i64 = 120_000;
    let toc = *packet.first()?;
    let micros = match toc >> 3 {
        config @ 0..=11 => [10_000, 20_000, 40_000, 60_000][usize::from(config & 3)],
        config @ 12..=15 => [10_000, 20_000][usize::from(config & 1)],
        config => [2_500, 5_000, 10_000, 20_000][usize::from(config & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(packet.get(1)? & 0x3f),
    };
    let total = micros * count;
    (1..=MOST)
        .contains(&total)
        .then(|| Span::from_nanos(total * 1000))
}
