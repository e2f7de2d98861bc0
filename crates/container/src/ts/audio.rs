//! Sound in PES packets: frames that each tell their own length, one after the other, which may
//! begin in one packet and end in the next.

use bytes::Bytes;
use media::{CodecConfig, Span, Timestamp};

use super::heads::{Head, Syntax, head};
use super::latm::Latm;

/// No frame is longer: ADTS has 13 bits for its length.
const LONGEST: usize = 8 << 10;
/// One track's frames.
#[derive(Debug)]
pub(super) struct Framed {
    syntax: Syntax,
    latm: Latm,
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
            latm: Latm::new(),
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
                Head::Latm { len, skip } => {
                    let Some(element) = data.get(at + skip..at + len) else {
                        break;
                    };
                    match self.latm.read(element) {
                        Ok((config, frame)) => self.frame(config, &frame, found),
                        Err(reason) => found(Found::Ignored(reason)),
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
        if let Head::Frame { len, .. } | Head::Latm { len, .. } | Head::Skip(len, _) = found
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
