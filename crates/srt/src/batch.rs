//! Packets that leave together: headers of our own between shared payloads.

use bytes::Bytes;

use crate::packet::HEAD;

/// Packets of one write.
pub(crate) const MOST: usize = 32;

/// Packets of equal length, but for the last one.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) heads: Vec<[u8; HEAD]>,
    pub(crate) bodies: Vec<Bytes>,
}

impl Batch {
    pub(crate) const fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// The first ones have left.
    pub(crate) fn forget(&mut self, count: usize) {
        self.heads.drain(..count);
        self.bodies.drain(..count);
    }

    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.bodies.clear();
    }

    /// Whether a packet with a body of this length may follow.
    pub(crate) fn takes(&self, len: usize) -> bool {
        let Some(first) = self.bodies.first() else {
            return true;
        };
        let even = self
            .bodies
            .last()
            .is_some_and(|last| last.len() == first.len());
        self.bodies.len() < MOST && even && len <= first.len()
    }

    pub(crate) fn push(&mut self, head: [u8; HEAD], body: Bytes) {
        self.heads.push(head);
        self.bodies.push(body);
    }
}
