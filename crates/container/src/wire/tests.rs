use std::sync::Arc;

use bytes::{BufMut as _, Bytes};
use media::codec::{AacConfig, AudioInfo, Mp3Config, OpaqueConfig, OpusConfig};
use media::{CodecConfig, Frame, Role, Span, Timestamp, Track, TrackId, TrackKind};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Error, Message, Reader, put};

const MOST: usize = 1 << 20;

fn bytes_of(messages: &[Message]) -> Vec<u8> {
    let mut chunks = Vec::new();
    for message in messages {
        put(message, &mut chunks);
    }
    chunks.concat()
}

fn read_all(reader: &mut Reader) -> Vec<Message> {
    std::iter::from_fn(|| reader.take().expect("readable")).collect()
}

fn config() -> impl Strategy<Value = CodecConfig> {
    let audio = |sample_rate, channels| AudioInfo {
        sample_rate,
        channels,
        samples_per_frame: Some(1152),
    };
    let aac = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("a configuration");
    let opaque = vec(any::<u8>(), 0..40).prop_map(|data| {
        CodecConfig::Opaque(OpaqueConfig {
            kind: TrackKind::Data,
            fourcc: *b"scte",
            data: data.into(),
        })
    });
    prop_oneof![
        Just(CodecConfig::Aac(aac)),
        Just(CodecConfig::Opus(OpusConfig::new(2))),
        (1..96_000_u32, 1..8_u16)
            .prop_map(move |(r, c)| CodecConfig::Mp3(Mp3Config::new(audio(r, c)))),
        opaque,
    ]
}

fn track() -> impl Strategy<Value = Track> {
    let text = || proptest::option::of("[a-zé]{0,12}");
    (any::<u16>(), config(), text(), text()).prop_map(|(id, config, language, label)| Track {
        language,
        label,
        role: Role::Commentary,
        ..Track::new(TrackId(id), config)
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let times = (
        any::<i64>(),
        any::<i64>(),
        proptest::option::of(0..i64::MAX),
    );
    let flags = (any::<bool>(), any::<bool>());
    (any::<u16>(), times, flags, vec(any::<u8>(), 0..300)).prop_map(
        |(track, (dts, pts, duration), (random_access, leading), payload)| Frame {
            track: TrackId(track),
            dts: Timestamp::from_nanos(dts),
            pts: Timestamp::from_nanos(pts),
            duration: duration.map(Span::from_nanos),
            random_access,
            leading,
            payload: payload.into(),
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any::<u16>(), vec(track(), 0..4)).prop_map(|(rendition, tracks)| Message::Tracks {
            rendition,
            tracks: tracks.into(),
        }),
        (any::<u16>(), any::<i64>(), any::<bool>(), any::<bool>()).prop_map(
            |(rendition, id, spliced, lost)| Message::Group {
                rendition,
                id: Timestamp::from_nanos(id),
                spliced,
                lost,
            }
        ),
        (any::<u16>(), frame()).prop_map(|(rendition, frame)| Message::Frame { rendition, frame }),
        vec(any::<u8>(), 0..100).prop_map(|text| Message::Control(text.into())),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_is_cut(
        messages in vec(message(), 0..8),
        step in 1..500_usize,
    ) {
        let sent = bytes_of(&messages);
        let mut reader = Reader::new(MOST);
        let mut got = Vec::new();
        for piece in sent.chunks(step) {
            reader.space().put_slice(piece);
            got.extend(read_all(&mut reader));
        }
        prop_assert_eq!(got, messages);
        prop_assert!(reader.space().is_empty());
    }

    #[test]
    fn a_changed_byte_is_no_panic(messages in vec(message(), 1..4), at in any::<usize>(), to in any::<u8>()) {
        let mut sent = bytes_of(&messages);
        let at = at % sent.len();
        sent[at] = to;
        let mut reader = Reader::new(MOST);
        reader.space().put_slice(&sent);
        while let Ok(Some(_)) = reader.take() {}
    }
}

#[test]
fn a_long_message_is_refused_by_its_head() {
    let mut reader = Reader::new(100);
    reader.space().put_u32(101);
    let refused = Err(Error::TooLong {
        length: 101,
        most: 100,
    });
    assert_eq!(reader.take(), refused);
}

#[test]
fn a_payload_travels_uncopied() {
    let payload = Bytes::from(vec![7; 5_000]);
    let frame = Frame {
        track: TrackId(0),
        dts: Timestamp::ZERO,
        pts: Timestamp::ZERO,
        duration: None,
        random_access: true,
        leading: false,
        payload: payload.clone(),
    };
    let mut chunks = Vec::new();
    put(
        &Message::Frame {
            rendition: 0,
            frame,
        },
        &mut chunks,
    );
    assert_eq!(chunks.last().map(|c| c.as_ptr()), Some(payload.as_ptr()));
}

#[test]
fn an_empty_set_of_tracks_is_one() {
    let message = Message::Tracks {
        rendition: 3,
        tracks: Arc::new([]),
    };
    let mut reader = Reader::new(MOST);
    reader
        .space()
        .put_slice(&bytes_of(std::slice::from_ref(&message)));
    assert_eq!(reader.take(), Ok(Some(message)));
}
