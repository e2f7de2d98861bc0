//! The chunk layer.

use bytes::BytesMut;

use crate::chunk::{ChunkError, Limits, Message, Reader, Writer};

const LIMITS: Limits = Limits {
    message: 16 << 10,
    streams: 8,
};

/// Chunks of any interleaving: the first byte says how they are cut on their way.
pub fn chunks(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else {
        return;
    };
    let whole = read_chunks(data, usize::MAX);
    let sliced = read_chunks(data, usize::from(*cut) + 1);
    assert_eq!(whole, sliced);
    let mut written = BytesMut::new();
    for m in &whole.0 {
        let head = (m.kind, m.timestamp, m.stream);
        Writer::default().write(&mut written, 3, head, &m.body);
    }
    let mut reader = Reader::new(LIMITS);
    for message in &whole.0 {
        assert_eq!(
            reader.read(&mut written).as_ref(),
            Ok(&Some(message.clone()))
        );
    }
    assert!(written.is_empty());
}

fn read_chunks(data: &[u8], cut: usize) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = Reader::new(LIMITS);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in data.chunks(cut) {
        input.extend_from_slice(piece);
        loop {
            let read = reader.read(&mut input);
            // Buffers double, and the first of several messages gets one at once.
            assert!(reader.held() <= 5 * LIMITS.message);
            match read {
                Err(error) => return (messages, Some(error)),
                Ok(None) => break,
                Ok(Some(message)) => {
                    assert!(message.body.len() <= LIMITS.message);
                    if let Err(error) = obey(&mut reader, &message) {
                        return (messages, Some(error));
                    }
                    messages.push(message);
                }
            }
        }
    }
    (messages, None)
}

fn obey(reader: &mut Reader, message: &Message) -> Result<(), ChunkError> {
    let number = message.body.first_chunk().map(|b| u32::from_be_bytes(*b));
    match (message.kind, number) {
        (1, Some(size)) => reader.set_chunk_size(size),
        (2, Some(stream)) => {
            reader.abort(stream);
            Ok(())
        }
        _ => Ok(()),
    }
}
