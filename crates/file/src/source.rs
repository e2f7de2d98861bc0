//! Reads a file's items, whatever it is: progressive MP4 sample by sample, the rest as it lies.

use std::io::SeekFrom;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use container::ingest::{Item, Stats};
use container::{flv, fmp4, ts};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::config::Play;
use crate::error::Error;
use crate::path::unreadable;

/// Read at a time.
const PIECE: usize = 64 << 10;
/// The tables of many hours.
const INDEX_BYTES: u64 = 64 << 20;

/// An open file, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    file: File,
    format: Format,
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Index(Box<fmp4::Index>),
    Fragments(Box<fmp4::Demux>),
    Ts(Box<ts::Demux>),
    Flv(Box<flv::Reader>),
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mp4,
    Ts,
    Flv,
}

impl Source {
    /// Opens what is to be played, which is at `path`.
    pub(crate) async fn open(path: &Path, play: &Play, out: &mut Vec<Item>) -> Result<Self, Error> {
        let name = &play.path;
        let opened = File::open(path).await;
        let mut file = opened.map_err(|source| unreadable(name, source))?;
        let mut head = Vec::new();
        let read = (&mut file).take(ts_head()).read_to_end(&mut head).await;
        read.map_err(|source| unreadable(name, source))?;
        let kind = kind(&head).ok_or_else(|| Error::Format(name.to_owned()))?;
        let mut source = Self {
            name: name.to_owned(),
            file,
            format: Format::Ts(Box::default()),
            ended: false,
        };
        source.format = match kind {
            Kind::Ts => Format::Ts(Box::new(ts::Demux::of_programme(play.programme))),
            Kind::Flv => Format::Flv(Box::default()),
            Kind::Mp4 => source.movie(out).await?,
        };
        source.seek(0).await?;
        Ok(source)
    }

    /// Whether there is video, and audio, where the file says so at its beginning.
    pub(crate) fn kinds(&self) -> Option<(bool, bool)> {
        match &self.format {
            Format::Index(index) => Some(index.kinds()),
            _ => None,
        }
    }

    /// Appends what comes next; whether there was anything.
    pub(crate) async fn next(&mut self, stats: &Stats, out: &mut Vec<Item>) -> Result<bool, Error> {
        if let Format::Index(index) = &mut self.format {
            let place = index
                .next_place()
                .map_err(|source| mp4(&self.name, source))?;
            let Some(place) = place else {
                return Ok(false);
            };
            let data = self.range(place.offset, place.size).await?;
            stats.read(data.len());
            if let Format::Index(index) = &mut self.format {
                index.sample(&place, data, out);
            }
            return Ok(true);
        }
        if self.ended {
            return Ok(false);
        }
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = self.file.read_buf(&mut piece).await;
        read.map_err(|source| unreadable(&self.name, source))?;
        stats.read(piece.len());
        self.ended = piece.is_empty();
        self.piece(piece.freeze(), stats, out)?;
        Ok(true)
    }

    fn piece(&mut self, piece: Bytes, stats: &Stats, out: &mut Vec<Item>) -> Result<(), Error> {
        match &mut self.format {
            Format::Fragments(demux) => demux.push(piece, out).map_err(|e| mp4(&self.name, e))?,
            Format::Ts(demux) => demux.push(piece, out),
            Format::Flv(reader) => reader.push(piece, out).map_err(|source| Error::Flv {
                path: self.name.clone(),
                source,
            })?,
            Format::Index(_) => {}
        }
        match &mut self.format {
            Format::Fragments(demux) if self.ended => demux.flush(out),
            Format::Flv(reader) if self.ended => reader.flush(out),
            Format::Ts(demux) if self.ended => {
                demux.flush(out);
                demux.counters().tell(stats);
            }
            _ => {}
        }
        Ok(())
    }

    /// Finds the `moov`, which may lie behind the media.
    async fn movie(&mut self, out: &mut Vec<Item>) -> Result<Format, Error> {
        let end = self.seek_from(SeekFrom::End(0)).await?;
        let mut at = 0;
        while at < end {
            let head = self
                .range(at, 16.min(usize::try_from(end - at).unwrap_or(16)))
                .await?;
            let (kind, head, size) = box_head(&head, end - at).ok_or_else(|| self.cut())?;
            match &kind {
                b"moof" => return Ok(Format::Fragments(Box::default())),
                b"moov" => return self.index(at + head, size.saturating_sub(head), out).await,
                _ if size < head => return Err(self.cut()),
                _ => at = at.checked_add(size).ok_or_else(|| self.cut())?,
            }
        }
        // A recorder writes it last.
        Err(self.cut())
    }

    async fn index(&mut self, at: u64, size: u64, out: &mut Vec<Item>) -> Result<Format, Error> {
        if size > INDEX_BYTES {
            return Err(mp4(&self.name, fmp4::Mp4Error::TooLong("box")));
        }
        let body = self.range(at, usize::try_from(size).unwrap_or(0)).await?;
        let index = fmp4::Index::new(body, fmp4::Limits::default());
        let mut index = index.map_err(|source| mp4(&self.name, source))?;
        if index.is_fragmented() {
            return Ok(Format::Fragments(Box::default()));
        }
        index.announce(out);
        Ok(Format::Index(Box::new(index)))
    }

    async fn range(&mut self, at: u64, size: usize) -> Result<Bytes, Error> {
        self.seek(at).await?;
        let mut data = BytesMut::new();
        let mut rest = (&mut self.file).take(size as u64);
        // What is there decides how much is allocated, not what the file says.
        while rest
            .read_buf(&mut data)
            .await
            .map_err(|e| unreadable(&self.name, e))?
            > 0
        {}
        if data.len() < size {
            return Err(self.cut());
        }
        Ok(data.freeze())
    }

    async fn seek(&mut self, at: u64) -> Result<(), Error> {
        self.seek_from(SeekFrom::Start(at)).await.map(|_| ())
    }

    async fn seek_from(&mut self, to: SeekFrom) -> Result<u64, Error> {
        let sought = self.file.seek(to).await;
        sought.map_err(|source| unreadable(&self.name, source))
    }

    fn cut(&self) -> Error {
        Error::CutShort(self.name.clone())
    }
}

/// Two packets of a transport stream and the byte behind them.
const fn ts_head() -> u64 {
    2 * 188 + 1
}

fn kind(head: &[u8]) -> Option<Kind> {
    const SYNC: u8 = 0x47;
    let at = |i: usize| head.get(i).copied();
    if head.starts_with(b"FLV") {
        return Some(Kind::Flv);
    }
    if at(0) == Some(SYNC) && matches!(at(188), Some(SYNC) | None) {
        return Some(Kind::Ts);
    }
    let boxes: [&[u8]; 9] = [
        b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"sidx", b"moof",
    ];
    let name = head.get(4..8)?;
    boxes.contains(&name).then_some(Kind::Mp4)
}

/// Name, length of the header, and length of the whole box; one without a length reaches to the
/// end.
fn box_head(data: &[u8], left: u64) -> Option<([u8; 4], u64, u64)> {
    let size = u32::from_be_bytes(data.get(..4)?.try_into().ok()?);
    let kind = data.get(4..8)?.try_into().ok()?;
    Some(match size {
        0 => (kind, 8, left),
        1 => {
            let long = u64::from_be_bytes(data.get(8..16)?.try_into().ok()?);
            (kind, 16, long)
        }
        _ => (kind, 8, size.into()),
    })
}

fn mp4(path: &str, source: fmp4::Mp4Error) -> Error {
    Error::Mp4 {
        path: path.to_owned(),
        source,
    }
}
