//! Packed audio (RFC 8216 3.4): AAC in ADTS, its time in an ID3 tag.

use bytes::{Buf as _, Bytes};
use container::ingest::{Item, audio_track};
use media::codec::AacConfig;
use media::repair::Unwrap;
use media::{CodecConfig, Frame, Span, Timestamp, Track};

const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Reads the segments of one rendition.
#[derive(Debug)]
pub(super) struct Packed {
    clock: Unwrap,
    /// Where the next frame lies, in samples at its rate since `origin`.
    origin: Timestamp,
    samples: i64,
    config: Option<[u8; 2]>,
}

/// One ADTS header.
struct Adts {
    /// Bytes of header, and with the frame behind it.
    header: usize,
    length: usize,
    rate: u32,
    config: [u8; 2],
}

impl Packed {
    pub(super) fn new() -> Self {
        Self {
            clock: Unwrap::new(33),
            origin: Timestamp::ZERO,
            samples: 0,
            config: None,
        }
    }

    /// One whole segment.
    pub(super) fn segment(&mut self, mut bytes: Bytes, out: &mut Vec<Item>) {
        while let Some(length) = id3_length(&bytes) {
            let tag = bytes.split_to(length.min(bytes.len()));
            if let Some(ticks) = timestamp(&tag) {
                self.origin = Timestamp::from_ticks(self.clock.extend(ticks), 90_000);
                self.samples = 0;
            }
        }
        while !bytes.is_empty() {
            let Some(adts) = Adts::read(&bytes) else {
                out.push(Item::Ignored("no ADTS frame"));
                return;
            };
            if adts.length > bytes.len() {
                out.push(Item::Ignored("cut off"));
                return;
            }
            let mut payload = bytes.split_to(adts.length);
            payload.advance(adts.header);
            self.frame(&adts, payload, out);
        }
    }

    fn frame(&mut self, adts: &Adts, payload: Bytes, out: &mut Vec<Item>) {
        if self.config != Some(adts.config) {
            let record = Bytes::copy_from_slice(&adts.config);
            match AacConfig::parse(record) {
                Ok(config) => {
                    self.config = Some(adts.config);
                    let track = Track::new(audio_track(0), CodecConfig::Aac(config));
                    out.push(Item::Track(track));
                }
                Err(_) => return out.push(Item::Ignored("AAC of an unknown kind")),
            }
        }
        let at = self.origin + Span::from_ticks(self.samples, adts.rate);
        self.samples += 1_024;
        out.push(Item::Frame(Frame {
            track: audio_track(0),
            dts: at,
            pts: at,
            duration: Some(Span::from_ticks(1_024, adts.rate)),
            random_access: true,
            leading: false,
            payload,
        }));
    }
}

impl Adts {
    /// ISO/IEC 14496-3 1.A.2.2; frames of one raw data block, as all encoders write them.
    fn read(bytes: &[u8]) -> Option<Self> {
        let b: &[u8; 7] = bytes.first_chunk()?;
        if b[0] != 0xff || b[1] & 0xf6 != 0xf0 || b[6] & 3 != 0 {
            return None;
        }
        let header = if b[1] & 1 == 1 { 7 } else { 9 };
        let (kind, index) = ((b[2] >> 6) + 1, b[2] >> 2 & 15);
        let channels = (b[2] & 1) << 2 | b[3] >> 6;
        let length = usize::from(b[3] & 3) << 11 | usize::from(b[4]) << 3 | usize::from(b[5] >> 5);
        let rate = *RATES.get(usize::from(index))?;
        (length > header).then_some(Self {
            header,
            length,
            rate,
            config: [kind << 3 | index >> 1, index << 7 | channels << 3],
        })
    }
}

/// Bytes of the ID3v2 tag that is at the front.
fn id3_length(bytes: &[u8]) -> Option<usize> {
    let b: &[u8; 10] = bytes.first_chunk()?;
    let size = b[6..].iter().fold(0, |n, b| n << 7 | usize::from(b & 0x7f));
    let footer = if b[5] & 0x10 == 0 { 0 } else { 10 };
    b.starts_with(b"ID3").then_some(10 + size + footer)
}

/// The 33 bits of the PRIV frame that Apple defined.
fn timestamp(tag: &[u8]) -> Option<u64> {
    let at = tag.windows(OWNER.len()).position(|w| w == OWNER)?;
    let value: &[u8; 8] = tag.get(at + OWNER.len()..)?.first_chunk()?;
    Some(u64::from_be_bytes(*value) & ((1 << 33) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(ticks: u64) -> Bytes {
        let mut frame = b"PRIV\0\0\0\x35\0\0".to_vec();
        frame.extend_from_slice(OWNER);
        frame.extend_from_slice(&ticks.to_be_bytes());
        let mut bytes = b"ID3\x04\0\0\0\0\0".to_vec();
        bytes.push(u8::try_from(frame.len()).unwrap());
        bytes.extend_from_slice(&frame);
        for n in 0..3 {
            // AAC-LC, 48 kHz, stereo; eleven bytes in all.
            bytes.extend_from_slice(&[0xff, 0xf1, 0x4c, 0x80, 0x01, 0x7f, 0xfc, n, n, n, n]);
        }
        bytes.into()
    }

    #[test]
    fn frames_go_on_from_the_tag() {
        let (mut packed, mut out) = (Packed::new(), Vec::new());
        packed.segment(segment((1 << 33) - 90_000), &mut out);
        packed.segment(segment(0), &mut out);
        let Item::Track(track) = &out[0] else {
            panic!("{out:?}")
        };
        assert_eq!(track.config.rfc6381().as_deref(), Some("mp4a.40.2"));
        let frame = |item: &Item| match item {
            Item::Frame(f) => (f.dts, f.payload.to_vec()),
            other => panic!("{other:?}"),
        };
        let frames: Vec<_> = out[1..].iter().map(frame).collect();
        assert_eq!(frames.len(), 6);
        assert_eq!(frames[1].1, [1; 4]);
        assert_eq!(frames[3].0 - frames[0].0, Span::from_secs(1));
        assert_eq!(frames[1].0 - frames[0].0, Span::from_ticks(1_024, 48_000));
    }

    #[test]
    fn garbage_ends_a_segment() {
        let mut out = Vec::new();
        Packed::new().segment(
            Bytes::from_static(b"ID3\x04\0\0\x7f\x7f\x7f\x7f...."),
            &mut out,
        );
        assert!(out.is_empty());
        Packed::new().segment(segment(0).slice(..80), &mut out);
        assert!(matches!(out.last(), Some(Item::Ignored(_))), "{out:?}");
    }
}
