//! Fragmented MP4 of others, as it comes: an initialisation, then fragments.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use mp4_atom::{Atom as _, DecodeMaybe as _, FourCC, Header, Mdat, Moof, Moov};

use super::Mp4Error;
use super::fragment::{self, Piece};
use super::movie::{self, MovieTrack};
use crate::ingest::Item;

/// How much of an input is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a `moov` or `moof`.
    pub header_bytes: usize,
    /// Bytes of one sample.
    pub sample_bytes: usize,
    /// Bytes of the samples of a fragment of several tracks, which are put into order.
    pub fragment_bytes: usize,
    /// The most tracks.
    pub tracks: usize,
}

impl Default for Limits {
    /// 4 MiB, 8 MiB, 64 MiB; 16 tracks.
    fn default() -> Self {
        Self {
            header_bytes: 4 << 20,
            sample_bytes: 8 << 20,
            fragment_bytes: 64 << 20,
            tracks: 16,
        }
    }
}

/// Reads one input in pieces of any size; samples of one track are told as they come, those of
/// several once their fragment is there, in the order of their DTS. Another `moov` replaces the
/// tracks.
#[derive(Debug)]
pub struct Demux {
    limits: Limits,
    buf: BytesMut,
    /// Where `buf` begins in the input.
    position: u64,
    state: State,
    tracks: Vec<MovieTrack>,
    /// The decoding time that comes next for each.
    next: Vec<i64>,
    pieces: VecDeque<Piece>,
    /// What waits for the end of its fragment.
    held: Vec<Item>,
    held_bytes: usize,
}

/// What is being read.
#[derive(Debug, Clone, Copy)]
enum State {
    Header,
    /// A box that is wanted as a whole: where it began, and how long its body is.
    Whole(FourCC, u64, usize),
    /// An `mdat`, or a box that nobody wants, until there.
    Mdat(u64),
    Skip(u64),
}

impl Default for Demux {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Demux {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buf: BytesMut::new(),
            position: 0,
            state: State::Header,
            tracks: Vec::new(),
            next: Vec::new(),
            pieces: VecDeque::new(),
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    /// The next piece; appends what it completes.
    ///
    /// # Errors
    /// Encrypted media, boxes that cannot be read, limits that are passed. What comes after an
    /// error in the same input cannot be read; [`flush`](Self::flush) begins another.
    #[expect(clippy::needless_pass_by_value, reason = "the face of every demuxer")]
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Item>) -> Result<(), Mp4Error> {
        self.buf.extend_from_slice(&bytes);
        while self.step(out)? {}
        Ok(())
    }

    /// The input ends, or a piece of it such as a segment: what comes next begins with a box, and
    /// offsets count from there.
    pub fn flush(&mut self, out: &mut Vec<Item>) {
        self.end_fragment(out);
        let cut = !matches!(self.state, State::Header) || !self.buf.is_empty();
        if cut && !matches!(self.state, State::Skip(u64::MAX) | State::Mdat(u64::MAX)) {
            out.push(Item::Ignored("box cut short"));
        }
        self.buf.clear();
        self.position = 0;
        self.state = State::Header;
    }

    /// Whether there was something to do.
    fn step(&mut self, out: &mut Vec<Item>) -> Result<bool, Mp4Error> {
        match self.state {
            State::Header => self.header(),
            State::Skip(end) => {
                self.drop_until(end);
                Ok(self.ends(end))
            }
            State::Whole(kind, begin, size) => {
                if self.buf.len() < size {
                    return Ok(false);
                }
                let body = self.take(size);
                self.state = State::Header;
                self.whole(kind, begin, body, out)?;
                Ok(true)
            }
            State::Mdat(end) => self.mdat(end, out),
        }
    }

    fn header(&mut self) -> Result<bool, Mp4Error> {
        let begin = self.position;
        let mut peek = &self.buf[..];
        let Some(header) = Header::decode_maybe(&mut peek)? else {
            return Ok(false);
        };
        let used = self.buf.len() - peek.len();
        let end = header.size.map_or(u64::MAX, |size| {
            begin
                .saturating_add(used as u64)
                .saturating_add(size as u64)
        });
        let wanted = header.kind == Moov::KIND || header.kind == Moof::KIND;
        self.state = match header.size {
            Some(size) if wanted && size <= self.limits.header_bytes => {
                State::Whole(header.kind, begin, size)
            }
            _ if wanted => return Err(Mp4Error::TooLong("box")),
            _ if header.kind == Mdat::KIND => State::Mdat(end),
            _ => State::Skip(end),
        };
        self.take(used);
        Ok(true)
    }

    fn whole(
        &mut self,
        kind: FourCC,
        begin: u64,
        body: Bytes,
        out: &mut Vec<Item>,
    ) -> Result<(), Mp4Error> {
        self.end_fragment(out);
        if kind == Moov::KIND {
            return self.movie(body, out);
        }
        let pieces = fragment::pieces(body, begin, &self.tracks, &mut self.next)?;
        self.pieces = pieces.into();
        Ok(())
    }

    fn movie(&mut self, body: Bytes, out: &mut Vec<Item>) -> Result<(), Mp4Error> {
        let moov = movie::read(body)?;
        let mut ignored = Vec::new();
        let tracks = movie::tracks(&moov, self.limits.tracks, &mut ignored)?;
        out.extend(ignored.into_iter().map(Item::Ignored));
        let tracks = tracks.into_iter().map(|(_, track)| track).collect();
        let before = std::mem::replace(&mut self.tracks, tracks);
        self.next.clear();
        for track in &mut self.tracks {
            let id = track.shape.track;
            if let Some(before) = before.iter().find(|t| t.shape.track == id) {
                track.shape.take_over(&before.shape);
            }
            track.shape.announce(out);
        }
        let is_gone = |t: &&MovieTrack| !self.tracks.iter().any(|n| n.shape.track == t.shape.track);
        let gone = before.iter().filter(is_gone);
        out.extend(gone.map(|t| Item::End(t.shape.track)));
        Ok(())
    }

    /// Takes out the samples that are there.
    fn mdat(&mut self, end: u64, out: &mut Vec<Item>) -> Result<bool, Mp4Error> {
        while let Some(piece) = self.pieces.front().copied() {
            if piece.offset >= end {
                break;
            }
            let (Some(skip), Ok(size)) = (
                piece.offset.checked_sub(self.position),
                usize::try_from(piece.size),
            ) else {
                self.pieces.pop_front();
                out.push(Item::Ignored("sample outside of its mdat"));
                continue;
            };
            if size > self.limits.sample_bytes {
                return Err(Mp4Error::TooLong("sample"));
            }
            if skip > 0 {
                self.drop_until(piece.offset);
            }
            if self.position < piece.offset || self.buf.len() < size {
                return Ok(false);
            }
            self.pieces.pop_front();
            let data = self.take(size);
            self.sample(piece, data, out)?;
        }
        self.drop_until(end);
        let done = self.ends(end);
        if done && self.pieces.is_empty() {
            self.end_fragment(out);
        }
        Ok(done)
    }

    fn sample(&mut self, piece: Piece, data: Bytes, out: &mut Vec<Item>) -> Result<(), Mp4Error> {
        let several = self.tracks.len() > 1;
        let Some(track) = self.tracks.get_mut(piece.track) else {
            return Ok(());
        };
        if !several {
            track.shape.sample(piece.entry, piece.timing, data, out);
            return Ok(());
        }
        self.held_bytes += data.len();
        if self.held_bytes > self.limits.fragment_bytes {
            return Err(Mp4Error::TooLong("fragment"));
        }
        let held = &mut self.held;
        track.shape.sample(piece.entry, piece.timing, data, held);
        Ok(())
    }

    /// What was held goes on in order of DTS; a configuration stays ahead of its frames.
    fn end_fragment(&mut self, out: &mut Vec<Item>) {
        self.held_bytes = 0;
        self.pieces.clear();
        let mut frames = Vec::new();
        for item in self.held.drain(..) {
            match item {
                Item::Frame(frame) => frames.push(frame),
                other => out.push(other),
            }
        }
        frames.sort_by_key(|f| f.dts);
        out.extend(frames.into_iter().map(Item::Frame));
    }

    fn take(&mut self, size: usize) -> Bytes {
        self.position += size as u64;
        self.buf.split_to(size).freeze()
    }

    fn drop_until(&mut self, end: u64) {
        let left = usize::try_from(end - self.position.min(end)).unwrap_or(usize::MAX);
        let size = left.min(self.buf.len());
        self.buf.advance(size);
        self.position += size as u64;
    }

    fn ends(&mut self, end: u64) -> bool {
        let done = self.position >= end;
        if done {
            self.state = State::Header;
        }
        done
    }
}
