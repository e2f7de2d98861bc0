//! Response bodies that share the packager's buffers: nothing is copied, and a slow reader holds
//! its own segment alive, nothing else.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use packager::Part;

/// Some of a segment's buffers, in order.
#[derive(Debug)]
pub(crate) struct Shared {
    parts: Vec<Arc<Part>>,
    part: usize,
    buffer: usize,
    skip: usize,
    left: usize,
    delivered: Arc<std::sync::atomic::AtomicU64>,
}

impl Shared {
    /// `len` bytes from `skip` on of all parts one after another.
    pub(crate) fn new(
        parts: Vec<Arc<Part>>,
        (skip, len): (usize, usize),
        delivered: Arc<std::sync::atomic::AtomicU64>,
    ) -> Self {
        Self {
            parts,
            part: 0,
            buffer: 0,
            skip,
            left: len,
            delivered,
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        while self.left > 0 {
            let part = self.parts.get(self.part)?;
            let Some(buffer) = part.buffers.get(self.buffer) else {
                self.part += 1;
                self.buffer = 0;
                continue;
            };
            self.buffer += 1;
            if self.skip >= buffer.len() {
                self.skip -= buffer.len();
                continue;
            }
            let end = buffer.len().min(self.skip + self.left);
            let slice = buffer.slice(std::mem::take(&mut self.skip)..end);
            self.left -= slice.len();
            return Some(slice);
        }
        None
    }
}

impl Body for Shared {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.next();
        if let Some(slice) = &next {
            let len = slice.len() as u64;
            self.delivered
                .fetch_add(len, std::sync::atomic::Ordering::Relaxed);
        }
        Poll::Ready(next.map(|slice| Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
