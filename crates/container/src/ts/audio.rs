//! Sound in PES packets: frames that each tell their own length, one after the other, which may
//! begin in one packet and end in the next.

use bytes::Bytes;
use media::codec::{AacConfig, Ac3Config, Mp2Config, Mp3Config};
use media::{CodecConfig, Span, Timestamp};

/// How frames are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// AAC behind ADTS headers (ISO/IEC 13818-7 6.2).
    Adts,
    /// Layers I to III (ISO/IEC 11172-3 2.4.1).
    Mpeg,
    /// AC-3 and E-AC-3 (ETSI TS 102 366).
    Ac3,
}

/// What begins at a sync word.
enum Head {
    /// Whole frame, and how much of it is header that does not go on.
    Frame {
        len: usize,
        skip: usize,
        config: CodecConfig,
    },
    /// Something that does not go on.
    Skip(usize, &'static str),
    /// Not enough of it is there.
    Short,
    /// No header.
    Bad,
}

/// No frame is longer: ADTS has 13 bits for its length.
const LONGEST: usize = 8 << 10;
/// The longest header, and enough to read AC-3's.
const HEADER: usize = 9;

/// One track's frames.
#[derive(Debug)]
pub(super) struct Framed {
    syntax: Syntax,
    carry: Vec<u8>,
    /// When the next frame begins.
    clock: Option<Clock>,
}

/// The time of a packet's first frame, and the samples since.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Timestamp,
    samples: u64,
}

/// What a packet held.
#[derive(Debug)]
pub(super) enum Found {
    Frame(CodecConfig, Timestamp, Span, Bytes),
    Ignored(&'static str),
}

impl Framed {
    pub(super) const fn new(syntax: Syntax) -> Self {
        Self {
            syntax,
            carry: Vec::new(),
            clock: None,
        }
    }

    /// What is missing cannot be completed.
    pub(super) fn lost(&mut self) {
        self.carry.clear();
        self.clock = None;
    }

    /// A packet's payload; `time` is that of the first frame that begins in it.
    pub(super) fn read(
        &mut self,
        time: Option<Timestamp>,
        payload: &[u8],
        found: &mut impl FnMut(Found),
    ) {
        let carried = self.carry.len();
        let mut data = std::mem::take(&mut self.carry);
        data.extend_from_slice(payload);
        let mut time = time;
        let mut at = 0;
        let mut astray = false;
        while at < data.len() {
            if at >= carried
                && let Some(start) = time.take()
            {
                self.clock = Some(Clock { start, samples: 0 });
            }
            match self.head(&data[at..], astray) {
                Head::Short => break,
                Head::Frame { len, skip, config } => {
                    if let Some(frame) = data.get(at + skip..at + len) {
                        self.frame(config, frame, found);
                    } else {
                        break;
                    }
                    (at, astray) = (at + len, false);
                }
                Head::Skip(len, reason) => {
                    found(Found::Ignored(reason));
                    (at, astray) = (at + len, false);
                }
                Head::Bad => {
                    if !std::mem::replace(&mut astray, true) {
                        found(Found::Ignored("bytes between audio frames"));
                    }
                    at += 1;
                }
            }
        }
        let rest = data.get(at..).unwrap_or_default();
        if rest.len() <= LONGEST {
            self.carry = rest.to_vec();
        }
    }

    /// What begins here. Where sync was lost, a header counts only with another one behind it.
    fn head(&self, data: &[u8], astray: bool) -> Head {
        let found = head(self.syntax, data);
        if let Head::Frame { len, .. } | Head::Skip(len, _) = found
            && astray
            && let Some(next) = data.get(len..)
            && matches!(head(self.syntax, next), Head::Bad)
        {
            return Head::Bad;
        }
        found
    }

    fn frame(&mut self, config: CodecConfig, frame: &[u8], found: &mut impl FnMut(Found)) {
        let Some(info) = config.audio() else {
            return;
        };
        let Some(clock) = self.clock.as_mut() else {
            return found(Found::Ignored("audio without a timestamp"));
        };
        if frame.is_empty() {
            return found(Found::Ignored("empty audio"));
        }
        let samples = u64::from(info.samples_per_frame.unwrap_or(1024));
        let after = |n: u64| Span::from_ticks(i64::try_from(n).unwrap_or(0), info.sample_rate);
        let time = clock.start + after(clock.samples);
        clock.samples += samples;
        let frame = Bytes::copy_from_slice(frame);
        found(Found::Frame(config, time, after(samples), frame));
    }
}

fn head(syntax: Syntax, data: &[u8]) -> Head {
    if data.len() < HEADER {
        return Head::Short;
    }
    match syntax {
        Syntax::Adts => adts(data),
        Syntax::Mpeg => mpeg(data),
        Syntax::Ac3 => ac3(data),
    }
}

fn adts(data: &[u8]) -> Head {
    let byte = |i: usize| usize::from(data[i]);
    if data[0] != 0xff || data[1] & 0xf6 != 0xf0 {
        return Head::Bad;
    }
    let skip = if data[1] & 1 == 1 { 7 } else { 9 };
    let len = (byte(3) & 3) << 11 | byte(4) << 3 | byte(5) >> 5;
    let object_type = (data[2] >> 6) + 1;
    let rate = data[2] >> 2 & 0xf;
    let channels = (data[2] & 1) << 2 | data[3] >> 6;
    if len < skip {
        return Head::Bad;
    }
    if data[6] & 3 != 0 {
        return Head::Skip(len, "several AAC blocks in a frame");
    }
    if channels == 0 {
        return Head::Skip(len, "AAC with channels told in band");
    }
    let asc = [
        object_type << 3 | rate >> 1,
        (rate & 1) << 7 | channels << 3,
    ];
    match AacConfig::parse(Bytes::copy_from_slice(&asc)) {
        Ok(config) => Head::Frame {
            len,
            skip,
            config: CodecConfig::Aac(config),
        },
        Err(_) => Head::Bad,
    }
}

/// Kilobits per second by index: of MPEG-1 layers II and III, of MPEG-2 layers II and III alike.
const KBPS: [[usize; 15]; 3] = [
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

fn mpeg(data: &[u8]) -> Head {
    if data[0] != 0xff || data[1] & 0xe0 != 0xe0 {
        return Head::Bad;
    }
    let config = match data[1] >> 1 & 3 {
        1 => Mp3Config::parse(data).map(CodecConfig::Mp3),
        2 => Mp2Config::parse(data).map(CodecConfig::Mp2),
        _ => return Head::Bad,
    };
    let Ok(config) = config else {
        return Head::Bad;
    };
    let is_mpeg1 = data[1] >> 3 & 3 == 3;
    let row = match (is_mpeg1, &config) {
        (true, CodecConfig::Mp2(_)) => 0,
        (true, _) => 1,
        (false, _) => 2,
    };
    let kbps = KBPS[row].get(usize::from(data[2] >> 4)).copied();
    let (Some(kbps @ 1..), Some(info)) = (kbps, config.audio()) else {
        return Head::Bad;
    };
    let rate = usize::try_from(info.sample_rate).unwrap_or(1).max(1);
    let samples = usize::try_from(info.samples_per_frame.unwrap_or(0)).unwrap_or(0);
    let len = samples / 8 * kbps * 1000 / rate + usize::from(data[2] >> 1 & 1);
    Head::Frame {
        len,
        skip: 0,
        config,
    }
}

/// Kilobits per second of AC-3, by half of `frmsizecod` (ETSI TS 102 366, table 4.13).
const AC3_KBPS: [usize; 19] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
];

fn ac3(data: &[u8]) -> Head {
    if data[..2] != [0x0b, 0x77] {
        return Head::Bad;
    }
    if data[5] >> 3 > 10 {
        let len = 2 * ((usize::from(data[2] & 7) << 8 | usize::from(data[3])) + 1);
        let dependent = data[2] >> 6 == 1 || data[2] >> 3 & 7 != 0;
        return match Ac3Config::parse(data) {
            Ok(_) if dependent => Head::Skip(len, "E-AC-3 beyond the first substream"),
            Ok(config) => ac3_frame(len, config),
            Err(_) if dependent => Head::Skip(len, "E-AC-3 beyond the first substream"),
            Err(_) => Head::Bad,
        };
    }
    let code = usize::from(data[4] & 0x3f);
    let (Some(kbps), Ok(config)) = (AC3_KBPS.get(code / 2), Ac3Config::parse(data)) else {
        return Head::Bad;
    };
    let words = match config.fscod {
        0 => kbps * 2,
        1 => kbps * 1536 * 1000 / (44_100 * 16) + (code & 1),
        _ => kbps * 3,
    };
    ac3_frame(2 * words, config)
}

const fn ac3_frame(len: usize, config: Ac3Config) -> Head {
    if len < HEADER {
        return Head::Bad;
    }
    Head::Frame {
        len,
        skip: 0,
        config: CodecConfig::Ac3(config),
    }
}

/// Opus (ETSI TS 102 366 knows it not; the mapping is opus-codec.org's "Opus in MPEG-TS"): packets
/// behind control headers.
pub(super) fn opus(
    time: Option<Timestamp>,
    mut payload: &[u8],
    config: &CodecConfig,
    found: &mut impl FnMut(Found),
) {
    let Some(mut time) = time else {
        return found(Found::Ignored("audio without a timestamp"));
    };
    while !payload.is_empty() {
        let Some((packet, rest)) = opus_packet(payload) else {
            return found(Found::Ignored("damaged Opus packet"));
        };
        payload = rest;
        let Some(duration) = opus_duration(packet) else {
            found(Found::Ignored("damaged Opus packet"));
            continue;
        };
        let packet = Bytes::copy_from_slice(packet);
        found(Found::Frame(config.clone(), time, duration, packet));
        time += duration;
    }
}

fn opus_packet(data: &[u8]) -> Option<(&[u8], &[u8])> {
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
fn opus_duration(packet: &[u8]) -> Option<Span> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// AAC-LC, 48 kHz, stereo.
    fn adts_frame(payload: &[u8]) -> Vec<u8> {
        let size = payload.len() + 7;
        let bits = |value: usize| u8::try_from(value & 0xff).unwrap();
        let sizes = [
            0x80 | bits(size >> 11),
            bits(size >> 3),
            bits(size << 5) | 0x1f,
        ];
        [&[0xff, 0xf1, 0x4c], &sizes[..], &[0xfc], payload].concat()
    }

    const fn time(frame: usize) -> Timestamp {
        Timestamp::from_nanos(frame as i64 * 1024 * 1_000_000_000 / 48_000)
    }

    #[test]
    fn sync_is_found_again() {
        let mut framed = Framed::new(Syntax::Adts);
        let frame = adts_frame(&[7; 40]);
        // Half a frame, with what looks like a header in it, then whole ones.
        let data = [
            &[7, 0xff, 0xf1, 0x4c, 0x80, 1, 0x1f, 0xfc, 7, 7][..],
            &frame,
            &frame,
        ]
        .concat();
        let (mut frames, mut ignored) = (0, 0);
        framed.read(Some(time(0)), &data, &mut |found| match found {
            Found::Frame(_, _, _, payload) => {
                assert_eq!(payload, [7; 40][..]);
                frames += 1;
            }
            Found::Ignored(_) => ignored += 1,
        });
        assert_eq!((frames, ignored), (2, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// Frames cut into packets anywhere come out whole, each at its time.
        #[test]
        fn frames_may_reach_over_packets(
            sizes in prop::collection::vec(1_usize..300, 1..30),
            cuts in prop::collection::vec(1_usize..700, 1..30),
        ) {
            let frames: Vec<Vec<u8>> = sizes.iter().map(|n| adts_frame(&vec![1; *n])).collect();
            let starts: Vec<usize> = frames
                .iter()
                .scan(0, |at, f| Some(std::mem::replace(at, *at + f.len())))
                .collect();
            let data = frames.concat();
            let mut framed = Framed::new(Syntax::Adts);
            let (mut at, mut seen) = (0, Vec::new());
            let all = cuts.into_iter().chain(std::iter::repeat(700));
            for cut in all {
                let end = data.len().min(at + cut);
                let first = starts.iter().position(|s| (at..end).contains(s));
                framed.read(first.map(time), &data[at..end], &mut |found| match found {
                    Found::Frame(_, time, _, payload) => seen.push((time, payload.len())),
                    Found::Ignored(reason) => panic!("{reason}"),
                });
                at = end;
                if at == data.len() {
                    break;
                }
            }
            prop_assert_eq!(seen.len(), frames.len());
            for (i, (at, len)) in seen.iter().enumerate() {
                prop_assert!((*at - time(i)).abs() <= Span::from_nanos(frames.len() as i64));
                prop_assert_eq!(*len, sizes[i]);
            }
        }
    }
}
