//! An FLV file, or stream over HTTP (Adobe FLV 10.1, annex E): a header, and tags with their times.

use bytes::{Buf as _, Bytes, BytesMut};
use media::repair::Unwrap;
use media::{Frame, Timestamp, Track};

use super::{Demux, FlvError, Item};
use crate::ingest;

const HEADER: usize = 9;
const TAG: usize = 11;
const PREVIOUS_SIZE: usize = 4;

/// Reads one input in pieces of any size.
#[derive(Debug)]
pub struct Reader {
    buf: BytesMut,
    started: bool,
    demux: Demux,
    clock: Unwrap,
    items: Vec<Item>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buf: BytesMut::new(),
            started: false,
            demux: Demux::new(),
            clock: Unwrap::new(32),
            items: Vec::new(),
        }
    }

    /// The next piece; appends what it completes. A tag that cannot be read is left out.
    ///
    /// # Errors
    /// No FLV header where the input begins.
    #[expect(clippy::needless_pass_by_value, reason = "the face of every demuxer")]
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<ingest::Item>) -> Result<(), FlvError> {
        self.buf.extend_from_slice(&bytes);
        if !self.started && !self.header()? {
            return Ok(());
        }
        while let Some((kind, time, body)) = self.tag() {
            self.read(kind, time, body, out);
        }
        Ok(())
    }

    /// The input ends: a tag that is cut short is told.
    pub fn flush(&mut self, out: &mut Vec<ingest::Item>) {
        if !self.buf.is_empty() {
            self.buf.clear();
            out.push(ingest::Item::Ignored("tag cut short"));
        }
    }

    fn header(&mut self) -> Result<bool, FlvError> {
        let seen = self.buf.len().min(3);
        if self.buf[..seen] != b"FLV"[..seen] {
            return Err(FlvError::NoHeader);
        }
        let Some(head) = self.buf.get(..HEADER) else {
            return Ok(false);
        };
        let size = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if size != HEADER as u32 {
            return Err(FlvError::NoHeader);
        }
        if self.buf.len() < HEADER + PREVIOUS_SIZE {
            return Ok(false);
        }
        self.buf.advance(HEADER + PREVIOUS_SIZE);
        self.started = true;
        Ok(true)
    }

    /// Type, milliseconds, and body of a tag that is there with the size that follows it.
    fn tag(&mut self) -> Option<(u8, u32, Bytes)> {
        let head: [u8; TAG] = self.buf.get(..TAG)?.try_into().ok()?;
        let [kind, s0, s1, s2, t0, t1, t2, high, ..] = head;
        let size = usize::try_from(u32::from_be_bytes([0, s0, s1, s2])).ok()?;
        if self.buf.len() < TAG + size + PREVIOUS_SIZE {
            return None;
        }
        self.buf.advance(TAG);
        let body = self.buf.split_to(size).freeze();
        self.buf.advance(PREVIOUS_SIZE);
        Some((kind, u32::from_be_bytes([high, t0, t1, t2]), body))
    }

    fn read(&mut self, kind: u8, time: u32, body: Bytes, out: &mut Vec<ingest::Item>) {
        const AUDIO: u8 = 8;
        const VIDEO: u8 = 9;
        if body.is_empty() {
            return;
        }
        let mut items = std::mem::take(&mut self.items);
        let read = match kind {
            AUDIO => self.demux.audio(body, &mut items),
            VIDEO => self.demux.video(body, &mut items),
            _ => Ok(()),
        };
        let millis = self.clock.extend(time.into());
        let dts = Timestamp::from_millis(millis);
        out.extend(items.drain(..).map(|item| item.at(dts)));
        self.items = items;
        if read.is_err() {
            out.push(ingest::Item::Ignored("unreadable tag"));
        }
    }
}

impl Item {
    /// As every source tells it, at this DTS.
    #[must_use]
    pub fn at(self, dts: Timestamp) -> ingest::Item {
        match self {
            Self::Config(track, config) => ingest::Item::Track(Track::new(track, config)),
            Self::Frame(unit) => ingest::Item::Frame(Frame {
                track: unit.track,
                dts,
                pts: dts + unit.composition,
                duration: None,
                random_access: unit.random_access,
                leading: unit.leading,
                payload: unit.payload,
            }),
            Self::End(track) => ingest::Item::End(track),
            Self::Ignored(reason) => ingest::Item::Ignored(reason),
        }
    }
}
