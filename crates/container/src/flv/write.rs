//! Writes message bodies: legacy tags for H.264, AAC and MP3, enhanced ones for what has none and
//! for every track but the first of its kind.

use bytes::{BufMut as _, Bytes};
use media::{CodecConfig, Span, TrackId, TrackKind};

const KEYFRAME: u8 = 1;
const INTER: u8 = 2;
const EXTENDED_VIDEO: u8 = 0x80;
const EXTENDED_AUDIO: u8 = 0x90;
/// 44 kHz, 16 bit, stereo: what the tag says whatever the configuration does.
const SOUND: u8 = 0x0f;

const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const MULTITRACK_AUDIO: u8 = 5;
const MULTITRACK_VIDEO: u8 = 6;

/// What a message's body begins with, before the coded bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    bytes: [u8; 12],
    len: usize,
}

impl Head {
    fn put(&mut self, bytes: &[u8]) {
        let mut free = &mut self.bytes[self.len..];
        free.put_slice(bytes);
        self.len += bytes.len();
    }

    /// Its bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// How one track is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mux {
    kind: TrackKind,
    codec: Codec,
    /// Its number among the tracks of its kind, where it is not the first.
    number: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Avc,
    Aac,
    Mp3,
    Enhanced([u8; 4]),
}

impl Mux {
    /// For the `number`th track of its kind; `None` for what RTMP does not carry.
    #[must_use]
    pub fn new(config: &CodecConfig, number: u8) -> Option<Self> {
        let codec = match config {
            CodecConfig::H264(_) => Codec::Avc,
            CodecConfig::Aac(_) => Codec::Aac,
            CodecConfig::Mp3(_) => Codec::Mp3,
            CodecConfig::H265(_) => Codec::Enhanced(*b"hvc1"),
            CodecConfig::Av1(_) => Codec::Enhanced(*b"av01"),
            CodecConfig::Vp9(_) => Codec::Enhanced(*b"vp09"),
            CodecConfig::Opus(_) => Codec::Enhanced(*b"Opus"),
            CodecConfig::Ac3(c) if c.enhanced => Codec::Enhanced(*b"ec-3"),
            CodecConfig::Ac3(_) => Codec::Enhanced(*b"ac-3"),
            CodecConfig::Flac(_) => Codec::Enhanced(*b"fLaC"),
            CodecConfig::Opaque(o) => Codec::Enhanced(o.fourcc),
            _ => return None,
        };
        let kind = config.kind();
        let carried = matches!(kind, TrackKind::Video | TrackKind::Audio);
        carried.then_some(Self {
            kind,
            codec,
            number: (number > 0).then_some(number),
        })
    }

    /// The FourCC code of the codec, whether a legacy tag is written or not.
    #[must_use]
    pub const fn fourcc(&self) -> [u8; 4] {
        match self.codec {
            Codec::Avc => *b"avc1",
            Codec::Aac => *b"mp4a",
            Codec::Mp3 => *b".mp3",
            Codec::Enhanced(fourcc) => fourcc,
        }
    }

    /// Whether only a client that knows of FourCC codes can read it.
    #[must_use]
    pub const fn is_enhanced(&self) -> bool {
        self.number.is_some() || matches!(self.codec, Codec::Enhanced(_))
    }

    /// Whether only a client that knows of several tracks of a kind can read it.
    #[must_use]
    pub const fn is_multitrack(&self) -> bool {
        self.number.is_some()
    }

    /// What `onMetaData` says of the codec: a legacy number, or the FourCC as one.
    #[must_use]
    pub fn metadata_id(&self) -> f64 {
        match self.codec {
            Codec::Avc => 7.0,
            Codec::Aac => 10.0,
            Codec::Mp3 => 2.0,
            Codec::Enhanced(fourcc) => f64::from(u32::from_be_bytes(fourcc)),
        }
    }

    /// The whole body that carries the configuration; `None` for codecs that need none.
    #[must_use]
    pub fn config(&self, config: &CodecConfig) -> Option<Bytes> {
        let record = match config {
            CodecConfig::H264(c) => c.record().clone(),
            CodecConfig::H265(c) => c.record().clone(),
            CodecConfig::Av1(c) => c.record().clone(),
            CodecConfig::Aac(c) => c.record().clone(),
            CodecConfig::Vp9(c) => c.record().clone(),
            CodecConfig::Opus(c) => c.head(),
            CodecConfig::Flac(c) => c.head(),
            CodecConfig::Opaque(c) if !c.data.is_empty() => c.data.clone(),
            _ => return None,
        };
        let head = self.head(SEQUENCE_START, true, Span::ZERO);
        Some([head.as_slice(), &record].concat().into())
    }

    /// What precedes the coded bytes of one access unit.
    #[must_use]
    pub fn frame(&self, random_access: bool, composition: Span) -> Head {
        self.head(CODED_FRAMES, random_access, composition)
    }

    fn head(&self, packet: u8, random_access: bool, composition: Span) -> Head {
        let mut head = Head::default();
        let frame_type = if random_access { KEYFRAME } else { INTER } << 4;
        match (self.number, self.codec) {
            (None, Codec::Avc) => {
                head.put(&[frame_type | 7, packet]);
                head.put(&composition_time(composition));
            }
            (None, Codec::Aac) => head.put(&[0xa0 | SOUND, packet]),
            (None, Codec::Mp3) => head.put(&[0x20 | SOUND]),
            _ if self.kind == TrackKind::Video => {
                self.video(&mut head, packet, frame_type, composition)
            }
            _ => self.audio(&mut head, packet),
        }
        head
    }

    fn video(&self, head: &mut Head, packet: u8, frame_type: u8, composition: Span) {
        let composed = matches!(&self.fourcc(), b"avc1" | b"hvc1" | b"vvc1");
        let composed = composed && packet == CODED_FRAMES;
        let bare = composed && composition == Span::ZERO;
        let packet = if bare { CODED_FRAMES_X } else { packet };
        match self.number {
            None => {
                head.put(&[EXTENDED_VIDEO | frame_type | packet]);
                head.put(&self.fourcc());
            }
            // One track in the message: type 0 in the high bits.
            Some(number) => {
                head.put(&[EXTENDED_VIDEO | frame_type | MULTITRACK_VIDEO, packet]);
                head.put(&self.fourcc());
                head.put(&[number]);
            }
        }
        if composed && !bare {
            head.put(&composition_time(composition));
        }
    }

    fn audio(&self, head: &mut Head, packet: u8) {
        match self.number {
            None => {
                head.put(&[EXTENDED_AUDIO | packet]);
                head.put(&self.fourcc());
            }
            Some(number) => {
                head.put(&[EXTENDED_AUDIO | MULTITRACK_AUDIO, packet]);
                head.put(&self.fourcc());
                head.put(&[number]);
            }
        }
    }
}

/// 24 bits of signed milliseconds.
fn composition_time(composition: Span) -> [u8; 3] {
    let millis = composition.as_millis().clamp(-0x80_0000, 0x7f_ffff);
    let [.., a, b, c] = millis.to_be_bytes();
    [a, b, c]
}

/// The number of a track among those of its kind, as bridges from RTMP give them.
#[must_use]
pub fn number_of(track: TrackId) -> u8 {
    u8::try_from(track.0 / 2).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use media::codec::{AacConfig, OpaqueConfig};

    use super::*;
    use crate::flv::{Demux, Item, audio_track};

    fn aac() -> CodecConfig {
        CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
    }

    fn read(bodies: &[Bytes]) -> Vec<Item> {
        let (mut demux, mut items) = (Demux::new(), Vec::new());
        for body in bodies {
            demux.audio(body.clone(), &mut items).unwrap();
        }
        items
    }

    #[test]
    fn what_is_written_is_read() {
        for number in [0, 1, 3] {
            let config = aac();
            let mux = Mux::new(&config, number).unwrap();
            assert_eq!(mux.is_multitrack(), number > 0);
            let head = mux.frame(true, Span::ZERO);
            let frame = Bytes::from([head.as_slice(), &[1, 2, 3]].concat());
            let items = read(&[mux.config(&config).unwrap(), frame]);
            let track = audio_track(number);
            assert_eq!(items[0], Item::Config(track, config));
            let Item::Frame(unit) = &items[1] else {
                panic!("{items:?}");
            };
            assert_eq!((unit.track, &unit.payload[..]), (track, &[1_u8, 2, 3][..]));
        }
    }

    #[test]
    fn a_frame_of_another_codec_is_none_of_the_track() {
        let mux = Mux::new(&aac(), 0).unwrap();
        let opus = Bytes::from_static(b"\x91Opus\x01");
        let items = read(&[mux.config(&aac()).unwrap(), opus]);
        assert_eq!(
            items[1..],
            [Item::Ignored("audio before its configuration")]
        );
    }

    #[test]
    fn composition_is_left_out_where_there_is_none() {
        let config = CodecConfig::Opaque(OpaqueConfig {
            kind: TrackKind::Video,
            fourcc: *b"vvc1",
            data: Bytes::from_static(&[1]),
        });
        let mux = Mux::new(&config, 0).unwrap();
        assert_eq!(mux.frame(true, Span::ZERO).as_slice(), b"\x93vvc1");
        let head = mux.frame(false, Span::from_millis(-2));
        assert_eq!(head.as_slice(), b"\xa1vvc1\xff\xff\xfe");
    }
}
