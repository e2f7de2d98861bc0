//! Chunks in, messages out. Every chunk stream has a buffer of its own, so that any interleaving
//! that the protocol allows is read.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{ChunkError, DEFAULT_CHUNK_SIZE, EXTENDED, Message};

/// Bounds of what a peer may make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message; all unfinished ones together may have twice as many.
    pub message: usize,
    /// Chunk streams.
    pub streams: usize,
}

/// Up to here a message's buffer is made at once; beyond, it grows with what arrives.
const AT_ONCE: usize = 16 << 10;

/// Reads chunks.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    head: Head,
    /// The last header's extended timestamp, if it had one: type 3 chunks repeat it.
    extended: Option<u32>,
    body: Vec<u8>,
    open: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Head {
    timestamp: u32,
    delta: u32,
    len: usize,
    kind: u8,
    stream: u32,
}

impl Reader {
    /// A reader at the start of a session.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: Vec::new(),
        }
    }

    /// Other bounds, from the next message on.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The peer's chunk size (5.4.1).
    ///
    /// # Errors
    /// One that the protocol forbids.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), ChunkError> {
        if size == 0 || size > i32::MAX.unsigned_abs() {
            return Err(ChunkError::ChunkSize(size));
        }
        self.chunk_size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(())
    }

    /// The peer gives up the message it was sending on a chunk stream (5.4.2).
    pub fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.id == id) {
            stream.body = Vec::new();
            stream.open = false;
        }
    }

    /// Takes one chunk's worth from `input` where it is all there, until a message is whole.
    ///
    /// # Errors
    /// A broken header or bound; the session cannot go on.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Message>, ChunkError> {
        loop {
            let Some(header) = self.header(input)? else {
                return Ok(None);
            };
            let stream = &self.streams[header.at];
            let head = header.head;
            let have = if header.begins { 0 } else { stream.body.len() };
            let take = (head.len - have).min(self.chunk_size);
            if input.len() < header.size + take {
                return Ok(None);
            }
            self.check_held(&header, take)?;
            input.advance(header.size);
            if let Some(message) = self.append(&header, take, input) {
                return Ok(Some(message));
            }
        }
    }

    /// Many streams, each with a message that never ends, are bounded as one is.
    fn check_held(&self, header: &Header, take: usize) -> Result<(), ChunkError> {
        let most = self.limits.message.saturating_mul(2);
        let held = |(at, s): (usize, &Stream)| {
            let stays = at != header.at || !header.begins;
            if stays { s.body.len() } else { 0 }
        };
        let all: usize = self.streams.iter().enumerate().map(held).sum();
        if all + take > most {
            return Err(ChunkError::TooMuch(most));
        }
        Ok(())
    }

    /// What its buffers take.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.streams.iter().map(|s| s.body.capacity()).sum()
    }

    fn append(&mut self, header: &Header, take: usize, input: &mut BytesMut) -> Option<Message> {
        // One that begins among unfinished ones gets no more than it brings: streams times buffers
        // would be a multiple of what came.
        let mut others = self.streams.iter().enumerate();
        let alone = others.all(|(at, s)| at == header.at || !s.open);
        let at_once = if alone { AT_ONCE } else { 0 };
        let stream = &mut self.streams[header.at];
        if header.begins {
            stream.body = Vec::with_capacity(header.head.len.min(at_once.max(take)));
            stream.open = true;
        }
        stream.head = header.head;
        stream.extended = header.extended;
        grow(&mut stream.body, take, header.head.len);
        stream.body.extend_from_slice(&input[..take]);
        input.advance(take);
        if stream.body.len() < header.head.len {
            return None;
        }
        stream.open = false;
        let body = std::mem::take(&mut stream.body);
        Some(Message {
            kind: header.head.kind,
            timestamp: header.head.timestamp,
            stream: header.head.stream,
            body: Bytes::from(body),
        })
    }

    /// The next chunk's header without consuming it; `None` where it is not all there.
    fn header(&mut self, input: &BytesMut) -> Result<Option<Header>, ChunkError> {
        let mut rest = &input[..];
        let Some((format, id)) = basic_header(&mut rest) else {
            return Ok(None);
        };
        let at = self.stream(id, format)?;
        let stream = &self.streams[at];
        let Some((head, extended)) = message_header(&mut rest, format, stream) else {
            return Ok(None);
        };
        if head.len > self.limits.message {
            return Err(ChunkError::TooLong {
                len: head.len,
                max: self.limits.message,
            });
        }
        Ok(Some(Header {
            at,
            head,
            extended,
            // A header with a length begins a message, even within one that was given up.
            begins: format < 3 || !stream.open,
            size: input.len() - rest.len(),
        }))
    }

    fn stream(&mut self, id: u32, format: u8) -> Result<usize, ChunkError> {
        if let Some(at) = self.streams.iter().position(|s| s.id == id) {
            return Ok(at);
        }
        if format != 0 {
            // librtmp's relatives begin a stream with type 1: message stream 0, time 0.
            if format != 1 {
                return Err(ChunkError::Orphan(id));
            }
        }
        if self.streams.len() >= self.limits.streams {
            return Err(ChunkError::TooManyStreams(self.limits.streams));
        }
        self.streams.push(Stream {
            id,
            head: Head::default(),
            extended: None,
            body: Vec::new(),
            open: false,
        });
        Ok(self.streams.len() - 1)
    }
}

/// Doubles, but never beyond the message: its last buffer is exactly as large as it is.
fn grow(body: &mut Vec<u8>, by: usize, len: usize) {
    let needed = body.len() + by;
    if needed > body.capacity() {
        let target = (body.capacity() * 2).max(needed).min(len);
        body.reserve_exact(target - body.len());
    }
}

struct Header {
    at: usize,
    head: Head,
    extended: Option<u32>,
    begins: bool,
    size: usize,
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

/// 5.3.1.1: two bits of format, then a chunk stream id of 6, 8 or 16 bits.
fn basic_header(rest: &mut &[u8]) -> Option<(u8, u32)> {
    let [first] = take(rest)?;
    let id = match first & 0x3f {
        0 => u32::from(take::<1>(rest)?[0]) + 64,
        1 => u32::from(u16::from_le_bytes(take(rest)?)) + 64,
        id => u32::from(id),
    };
    Some((first >> 6, id))
}

/// 5.3.1.2, with the extended timestamp of 5.3.1.3.
fn message_header(rest: &mut &[u8], format: u8, stream: &Stream) -> Option<(Head, Option<u32>)> {
    let mut head = stream.head;
    let mut extended = stream.extended;
    let mut field = 0;
    if format < 3 {
        field = u24(take(rest)?);
        extended = (field == EXTENDED).then_some(field);
    }
    if format < 2 {
        let [a, b, c, kind] = take(rest)?;
        (head.len, head.kind) = (usize::try_from(u24([a, b, c])).ok()?, kind);
    }
    if format == 0 {
        head.stream = u32::from_le_bytes(take(rest)?);
    }
    if let (0..3, Some(value)) = (format, &mut extended) {
        *value = u32::from_be_bytes(take(rest)?);
        field = *value;
    } else if let Some(value) = extended {
        skip_repeated(rest, value, head.timestamp)?;
    }
    // A chunk in the middle of a message says nothing new about time.
    if format == 3 && stream.open {
        return Some((head, extended));
    }
    match format {
        0 => (head.timestamp, head.delta) = (field, 0),
        3 => head.timestamp = head.timestamp.wrapping_add(head.delta),
        _ => {
            head.delta = field;
            head.timestamp = head.timestamp.wrapping_add(field);
        }
    }
    Some((head, extended))
}

/// Type 3 chunks repeat the extended timestamp as it was sent, or as the absolute time it makes;
/// some encoders leave it out: what is neither is payload.
fn skip_repeated(rest: &mut &[u8], sent: u32, timestamp: u32) -> Option<()> {
    let next: [u8; 4] = *rest.first_chunk()?;
    let value = u32::from_be_bytes(next);
    if value == sent || value == timestamp {
        *rest = &rest[4..];
    }
    Some(())
}

fn u24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}
