//! Media on its way out: small headers of our own between payloads that are shared with everybody.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut as _, Bytes};

use crate::chunk::EXTENDED;

/// What is kept of a queue that was longer once: the first group of a player, or a large keyframe.
const KEPT: usize = 32;
/// Headers are of this length, or less.
const HEAD: usize = 32;

/// A queue of chunks. Nothing in it is a copy of coded bytes, and once it has grown nothing is
/// allocated.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    heads: Vec<u8>,
    pieces: VecDeque<Piece>,
    /// How much of the first piece is gone.
    taken: usize,
    remaining: usize,
}

#[derive(Debug)]
enum Piece {
    Head { start: usize, end: usize },
    Payload(Bytes),
}

impl Outgoing {
    /// Appends one message whose body is `head` and `payload` (RTMP 1.0, 5.3): each begins with a
    /// full header, so that it depends on nothing before.
    pub(crate) fn message(
        &mut self,
        (chunk_stream, kind): (u8, u8),
        (timestamp, stream): (u32, u32),
        (head, payload): (&[u8], &Bytes),
        chunk_size: usize,
    ) {
        let start = self.heads.len();
        let len = head.len() + payload.len();
        self.heads.put_u8(chunk_stream);
        self.heads.put_uint(u64::from(timestamp.min(EXTENDED)), 3);
        self.heads.put_uint(len as u64, 3);
        self.heads.put_u8(kind);
        self.heads.put_u32_le(stream);
        self.extend(timestamp);
        self.heads.put_slice(head);
        self.push_head(start);
        let mut rest = payload.clone();
        let mut room = chunk_size.saturating_sub(head.len());
        while rest.len() > room {
            self.push(rest.split_to(room));
            let start = self.heads.len();
            self.heads.put_u8(0xc0 | chunk_stream);
            self.extend(timestamp);
            self.push_head(start);
            room = chunk_size;
        }
        self.push(rest);
    }

    /// Appends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: Bytes) {
        self.push(bytes);
    }

    fn extend(&mut self, timestamp: u32) {
        if timestamp >= EXTENDED {
            self.heads.put_u32(timestamp);
        }
    }

    fn push_head(&mut self, start: usize) {
        let end = self.heads.len();
        self.remaining += end - start;
        self.pieces.push_back(Piece::Head { start, end });
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.remaining += bytes.len();
            self.pieces.push_back(Piece::Payload(bytes));
        }
    }

    fn bytes<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        match piece {
            Piece::Head { start, end } => &self.heads[*start..*end],
            Piece::Payload(bytes) => bytes,
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        let first = self.pieces.front();
        first.map_or(&[], |piece| &self.bytes(piece)[self.taken..])
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.taken;
        let count = slices.len().min(self.pieces.len());
        for (slice, piece) in slices.iter_mut().zip(&self.pieces).take(count) {
            *slice = IoSlice::new(&self.bytes(piece)[std::mem::take(&mut skip)..]);
        }
        count
    }

    fn advance(&mut self, count: usize) {
        self.remaining -= count;
        self.taken += count;
        while let Some(first) = self.pieces.front() {
            let len = self.bytes(first).len();
            if self.taken < len {
                return;
            }
            self.taken -= len;
            self.pieces.pop_front();
        }
        self.heads.clear();
        if self.pieces.capacity() > KEPT {
            self.pieces.shrink_to(KEPT);
            self.heads.shrink_to(KEPT * HEAD);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::{Limits, Reader};

    proptest! {
        #[test]
        fn a_reader_gets_what_was_sent(
            messages in proptest::collection::vec((any::<u32>(), 0..12_usize, 0..700_usize), 1..8),
            steps in proptest::collection::vec(1..400_usize, 1..40),
        ) {
            let mut out = Outgoing::default();
            let mut sent = Vec::new();
            for (timestamp, head, payload) in messages {
                let (head, payload) = (vec![7; head], Bytes::from(vec![9; payload]));
                out.message((6, 9), (timestamp, 1), (&head, &payload), 128);
                sent.push((timestamp, [&head[..], &payload].concat()));
            }
            let mut wire = BytesMut::new();
            for step in steps.iter().cycle() {
                let mut slices = [IoSlice::new(&[]); 5];
                let count = out.chunks_vectored(&mut slices);
                let seen: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
                let step = (*step).min(seen.len());
                wire.extend_from_slice(&seen[..step]);
                out.advance(step);
                if !out.has_remaining() {
                    break;
                }
            }
            let mut reader = Reader::new(Limits { message: 1 << 20, streams: 4 });
            for (timestamp, body) in sent {
                let message = reader.read(&mut wire).unwrap().unwrap();
                prop_assert_eq!((message.timestamp, &message.body[..]), (timestamp, &body[..]));
            }
            prop_assert!(wire.is_empty());
        }
    }
}
