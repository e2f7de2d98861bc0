//! Aggregate messages (RTMP 1.0, 7.1.6): several in one, as some servers send to players.

use bytes::{Buf as _, Bytes};

/// Type, length, time, stream; behind the body stands the length of both once more.
const HEAD: usize = 11;
const TAIL: usize = 4;

/// One aggregate message, taken apart as it is read.
#[derive(Debug, Default)]
pub(crate) struct Aggregate {
    rest: Bytes,
    /// The message's own time.
    timestamp: u32,
    /// The first part's, which the others' count from.
    first: Option<u32>,
}

impl Aggregate {
    pub(crate) const fn new(timestamp: u32, body: Bytes) -> Self {
        Self {
            rest: body,
            timestamp,
            first: None,
        }
    }

    /// The next part: type, timestamp, body. What is cut short is none.
    pub(crate) fn next(&mut self) -> Option<(u8, u32, Bytes)> {
        let &[kind, l2, l1, l0, t2, t1, t0, t3, ..] = self.rest.first_chunk::<HEAD>()?;
        let len = usize::try_from(u32::from_be_bytes([0, l2, l1, l0])).ok()?;
        if self.rest.len() < HEAD + len {
            self.rest.clear();
            return None;
        }
        let time = u32::from_be_bytes([t3, t2, t1, t0]);
        let first = *self.first.get_or_insert(time);
        self.rest.advance(HEAD);
        let body = self.rest.split_to(len);
        self.rest.advance(TAIL.min(self.rest.len()));
        let since = time.wrapping_sub(first);
        Some((kind, self.timestamp.wrapping_add(since), body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: u8, time: u32, body: &[u8]) -> Vec<u8> {
        let [t3, t2, t1, t0] = time.to_be_bytes();
        let len = u8::try_from(body.len()).unwrap();
        let head = [kind, 0, 0, len, t2, t1, t0, t3, 0, 0, 0];
        [&head[..], body, &[0, 0, 0, len + 11]].concat()
    }

    #[test]
    fn parts_keep_their_distances() {
        let body = [part(9, 0x0100_0000, b"abc"), part(8, 0x0100_0014, b"")].concat();
        let mut aggregate = Aggregate::new(u32::MAX, Bytes::from(body.clone()));
        let video = (9, u32::MAX, Bytes::from_static(b"abc"));
        assert_eq!(aggregate.next(), Some(video));
        assert_eq!(aggregate.next(), Some((8, 19, Bytes::new())));
        assert_eq!(aggregate.next(), None);
        let mut cut = Aggregate::new(0, Bytes::from(body).slice(..HEAD + 2));
        assert_eq!((cut.next(), cut.next()), (None, None));
    }
}
