//! Messages out, as chunks. Each begins with a full header: bytes that depend on nothing before.

use bytes::{BufMut, BytesMut};

use super::{DEFAULT_CHUNK_SIZE, EXTENDED};

/// Writes chunks.
#[derive(Debug)]
pub struct Writer {
    chunk_size: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
        }
    }
}

impl Writer {
    /// The size that the peer was told.
    pub const fn set_chunk_size(&mut self, size: usize) {
        self.chunk_size = size;
    }

    /// Appends a message on a chunk stream (3..=63 for what is not control).
    pub fn write(
        &self,
        out: &mut BytesMut,
        chunk_stream: u8,
        message: (u8, u32, u32),
        body: &[u8],
    ) {
        let (kind, timestamp, stream) = message;
        let id = chunk_stream & 0x3f;
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        out.reserve(18 + body.len() + body.len() / self.chunk_size * 5);
        out.put_u8(id);
        out.put_uint(u64::from(timestamp.min(EXTENDED)), 3);
        out.put_uint(u64::from(len), 3);
        out.put_u8(kind);
        out.put_u32_le(stream);
        let mut pieces = body.chunks(self.chunk_size);
        for (i, piece) in std::iter::once(pieces.next().unwrap_or_default())
            .chain(pieces)
            .enumerate()
        {
            if i > 0 {
                out.put_u8(0xc0 | id);
            }
            if timestamp >= EXTENDED {
                out.put_u32(timestamp);
            }
            out.put_slice(piece);
        }
    }
}
