//! The chunk layer: what one side writes the other reads, however it is cut.

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;
use rtmp::chunk::{Limits, Message, Reader, Writer};

const LIMITS: Limits = Limits {
    message: 1 << 20,
    streams: 64,
};

/// An audio and a video message whose chunks alternate, as hardware encoders send them.
fn interleaved() -> BytesMut {
    let mut b = BytesMut::new();
    let head = |b: &mut BytesMut, id: u8, kind: u8, len: u64| {
        b.put_u8(id);
        b.put_uint(40, 3);
        b.put_uint(len, 3);
        b.put_u8(kind);
        b.put_u32_le(1);
    };
    head(&mut b, 6, 9, 300);
    b.put_bytes(0x11, 128);
    head(&mut b, 4, 8, 200);
    b.put_bytes(0x22, 128);
    b.put_u8(0xc6);
    b.put_bytes(0x11, 128);
    b.put_u8(0xc4);
    b.put_bytes(0x22, 72);
    b.put_u8(0xc6);
    b.put_bytes(0x11, 44);
    b
}

fn read_all(reader: &mut Reader, input: &mut BytesMut) -> Vec<Message> {
    std::iter::from_fn(|| reader.read(input).unwrap()).collect()
}

#[test]
fn interleaved_messages_come_out_whole() {
    let messages = read_all(&mut Reader::new(LIMITS), &mut interleaved());
    let shape: Vec<_> = messages
        .iter()
        .map(|m| (m.kind, m.body.len(), m.body[0]))
        .collect();
    assert_eq!(shape, [(8, 200, 0x22), (9, 300, 0x11)]);
    assert!(
        messages
            .iter()
            .all(|m| m.body.iter().all(|b| *b == m.body[0]))
    );
}

#[test]
fn a_byte_at_a_time_is_enough() {
    let mut reader = Reader::new(LIMITS);
    let mut input = BytesMut::new();
    let mut out = Vec::new();
    for byte in interleaved() {
        input.put_u8(byte);
        out.extend(read_all(&mut reader, &mut input));
    }
    assert_eq!(out.len(), 2);
}

#[test]
fn extended_timestamps_are_repeated_or_not() {
    for repeats in [true, false] {
        let mut b = BytesMut::new();
        b.put_u8(6);
        b.put_uint(0xff_ffff, 3);
        b.put_uint(200, 3);
        b.put_u8(9);
        b.put_u32_le(1);
        b.put_u32(0x0100_0001);
        b.put_bytes(7, 128);
        b.put_u8(0xc6);
        if repeats {
            b.put_u32(0x0100_0001);
        }
        b.put_bytes(7, 72);
        let messages = read_all(&mut Reader::new(LIMITS), &mut b);
        assert_eq!(messages[0].timestamp, 0x0100_0001);
        assert!(
            messages[0].body.iter().all(|b| *b == 7),
            "repeats: {repeats}"
        );
    }
}

#[test]
fn deltas_add_up() {
    let mut b = BytesMut::new();
    b.put_u8(4);
    b.put_uint(1000, 3);
    b.put_uint(1, 3);
    b.put_u8(8);
    b.put_u32_le(1);
    b.put_u8(0);
    b.put_u8(0x84);
    b.put_uint(23, 3);
    b.put_u8(0);
    b.put_u8(0xc4);
    b.put_u8(0);
    let times: Vec<u32> = read_all(&mut Reader::new(LIMITS), &mut b)
        .iter()
        .map(|m| m.timestamp)
        .collect();
    assert_eq!(times, [1000, 1023, 1046]);
}

#[test]
fn bounds_hold() {
    let mut long = BytesMut::new();
    long.put_u8(4);
    long.put_uint(0, 3);
    long.put_uint(0xff_ffff, 3);
    long.put_u8(9);
    long.put_u32_le(1);
    assert!(Reader::new(LIMITS).read(&mut long).is_err());
    let mut many = Reader::new(Limits {
        streams: 2,
        ..LIMITS
    });
    let mut b = BytesMut::new();
    for id in 3..6 {
        Writer::default().write(&mut b, id, (8, 0, 1), &[1]);
    }
    assert!((0..3).any(|_| many.read(&mut b).is_err()));
    assert!(
        Reader::new(LIMITS)
            .read(&mut BytesMut::from(&[0xc5, 0][..]))
            .is_err()
    );
    assert!(Reader::new(LIMITS).set_chunk_size(0).is_err());
}

/// Four zero bytes are payload where the extended timestamp is another, though the delta is zero.
#[test]
fn payload_is_no_extended_timestamp() {
    let mut b = BytesMut::new();
    b.put_u8(6);
    b.put_uint(0xff_ffff, 3);
    b.put_uint(200, 3);
    b.put_u8(9);
    b.put_u32_le(1);
    b.put_u32(0x0100_0001);
    b.put_bytes(0, 128);
    b.put_u8(0xc6);
    b.put_bytes(0, 72);
    let messages = read_all(&mut Reader::new(LIMITS), &mut b);
    assert_eq!((messages.len(), messages[0].body.len()), (1, 200));
    assert!(b.is_empty());
}

/// Each chunk stream begins a message within bounds, and none ends it.
#[test]
fn messages_that_never_end_are_bounded_together() {
    let mut reader = Reader::new(Limits {
        message: 4000,
        streams: 64,
    });
    let mut b = BytesMut::new();
    for id in 3..63 {
        b.put_u8(id);
        b.put_uint(0, 3);
        b.put_uint(4000, 3);
        b.put_u8(9);
        b.put_u32_le(1);
        b.put_bytes(0, 128);
    }
    for id in 3..63_u8 {
        b.put_u8(0xc0 | id);
        b.put_bytes(0, 128);
    }
    assert!(reader.read(&mut b).is_err());
}

#[test]
fn an_aborted_message_leaves_room_for_the_next() {
    let mut reader = Reader::new(LIMITS);
    let mut b = interleaved();
    b.truncate(12 + 128);
    assert_eq!(reader.read(&mut b), Ok(None));
    reader.abort(6);
    Writer::default().write(&mut b, 6, (9, 7, 1), &[5; 3]);
    let message = reader.read(&mut b).unwrap().unwrap();
    assert_eq!((message.timestamp, &message.body[..]), (7, &[5, 5, 5][..]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        messages in prop::collection::vec((3_u8..64, any::<u8>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..700)), 1..20),
        size in 1_usize..500,
        cut in 1_usize..300,
    ) {
        let mut writer = Writer::default();
        writer.set_chunk_size(size);
        let mut wire = BytesMut::new();
        for (id, kind, at, body) in &messages {
            writer.write(&mut wire, *id, (*kind, *at, 1), body);
        }
        let mut reader = Reader::new(LIMITS);
        reader.set_chunk_size(u32::try_from(size).unwrap()).unwrap();
        let mut input = BytesMut::new();
        let mut out = Vec::new();
        for piece in wire.chunks(cut) {
            input.extend_from_slice(piece);
            out.extend(read_all(&mut reader, &mut input));
        }
        prop_assert_eq!(out.len(), messages.len());
        for (got, (_, kind, at, body)) in out.iter().zip(&messages) {
            prop_assert_eq!((got.kind, got.timestamp, &got.body[..]), (*kind, *at, &body[..]));
        }
    }

    #[test]
    fn any_interleaving_is_read(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 1..8),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let mut left: Vec<(u8, Vec<Vec<u8>>)> = Vec::new();
        for (id, body) in (3_u8..).zip(&bodies) {
            let mut wire = BytesMut::new();
            Writer::default().write(&mut wire, id, (9, u32::from(id), 1), body);
            // A header of 12 bytes and a chunk; then one byte and a chunk each.
            let first = wire.split_to(wire.len().min(12 + 128)).to_vec();
            let rest = wire.chunks(1 + 128).map(<[u8]>::to_vec);
            let mut chunks: Vec<_> = std::iter::once(first).chain(rest).collect();
            chunks.reverse();
            left.push((id, chunks));
        }
        let mut input = BytesMut::new();
        let mut turns = turns.into_iter().cycle();
        while !left.is_empty() {
            let at = turns.next().map_or(0, |t| t.index(left.len()));
            let (_, chunks) = &mut left[at];
            input.extend_from_slice(&chunks.pop().unwrap_or_default());
            if chunks.is_empty() {
                left.remove(at);
            }
        }
        let mut out = read_all(&mut Reader::new(LIMITS), &mut input);
        out.sort_by_key(|m| m.timestamp);
        let got: Vec<&[u8]> = out.iter().map(|m| &m.body[..]).collect();
        let sent: Vec<&[u8]> = bodies.iter().map(|b| &b[..]).collect();
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let mut reader = Reader::new(Limits { message: 5000, streams: 8 });
        let mut input = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = reader.read(&mut input) {}
    }
}
