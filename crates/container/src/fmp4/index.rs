//! Progressive MP4 by its sample tables (ISO/IEC 14496-12 8.6, 8.7): where each sample lies, in the
//! order of decoding times. The tables stay as short as they are written.

use bytes::Bytes;
use media::{Span, Timestamp};
use mp4_atom::{Stbl, StszSamples};

use super::movie::{self, MovieTrack};
use super::shape::Timing;
use super::{Limits, Mp4Error};
use crate::ingest::Item;

/// The samples of a file, one after the other. What lies where it says is given back to
/// [`Index::sample`].
#[derive(Debug)]
pub struct Index {
    tracks: Vec<Indexed>,
    limits: Limits,
    ignored: Vec<&'static str>,
    fragmented: bool,
}

#[derive(Debug)]
struct Indexed {
    movie: MovieTrack,
    cursor: Cursor,
    next: Option<Entry>,
}

/// Where a sample lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    track: usize,
    entry: usize,
    timing: Timing,
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// Bytes.
    pub size: usize,
}

impl Place {
    /// When it is to be decoded.
    #[must_use]
    pub const fn dts(&self) -> Timestamp {
        self.timing.dts
    }

    /// How long it lasts.
    #[must_use]
    pub const fn duration(&self) -> Span {
        self.timing.duration
    }
}

impl Index {
    /// Reads the body of a file's `moov`.
    ///
    /// # Errors
    /// A `moov` that cannot be read, encrypted media, or no track that can be carried.
    pub fn new(moov: Bytes, limits: Limits) -> Result<Self, Mp4Error> {
        let moov = movie::read(moov)?;
        let mut ignored = Vec::new();
        let tracks = movie::tracks(&moov, limits.tracks, &mut ignored)?;
        let indexed = |(place, movie): (usize, MovieTrack)| {
            let stbl = moov.trak[place].mdia.minf.stbl.clone();
            let mut cursor = Cursor::new(stbl);
            let next = cursor.next();
            Indexed {
                movie,
                cursor,
                next,
            }
        };
        Ok(Self {
            tracks: tracks.into_iter().map(indexed).collect(),
            limits,
            ignored,
            fragmented: moov.mvex.is_some(),
        })
    }

    /// Whether the samples are in fragments, not in the tables: for [`Demux`](super::Demux).
    #[must_use]
    pub fn is_fragmented(&self) -> bool {
        self.fragmented && self.tracks.iter().all(|t| t.next.is_none())
    }

    /// Whether there is video, and audio.
    #[must_use]
    pub fn kinds(&self) -> (bool, bool) {
        let is_video = |t: &Indexed| t.movie.shape.track.0.is_multiple_of(2);
        let videos = self.tracks.iter().filter(|t| is_video(t)).count();
        (videos > 0, videos < self.tracks.len())
    }

    /// Tells of the tracks, and of what is left out.
    pub fn announce(&mut self, out: &mut Vec<Item>) {
        out.extend(self.ignored.drain(..).map(Item::Ignored));
        for track in &mut self.tracks {
            track.movie.shape.announce(out);
        }
    }

    /// The sample that is decoded next, of any track.
    ///
    /// # Errors
    /// One that is longer than is allowed.
    pub fn next_place(&mut self) -> Result<Option<Place>, Mp4Error> {
        let place = |(number, track): (usize, &Indexed)| {
            let entry = track.next?;
            let movie = &track.movie;
            let composed = entry.dts.saturating_add(entry.composition);
            Some(Place {
                track: number,
                entry: entry.description,
                timing: Timing {
                    dts: movie.time(entry.dts),
                    pts: movie.time(composed),
                    duration: movie.span(entry.duration),
                    sync: entry.sync,
                },
                offset: entry.offset,
                size: usize::try_from(entry.size).unwrap_or(usize::MAX),
            })
        };
        let all = self.tracks.iter().enumerate().filter_map(place);
        let Some(first) = all.min_by_key(|p| p.timing.dts) else {
            return Ok(None);
        };
        if first.size > self.limits.sample_bytes {
            return Err(Mp4Error::TooLong("sample"));
        }
        let track = &mut self.tracks[first.track];
        track.next = track.cursor.next();
        Ok(Some(first))
    }

    /// What lies at a place.
    pub fn sample(&mut self, place: &Place, data: Bytes, out: &mut Vec<Item>) {
        if let Some(track) = self.tracks.get_mut(place.track) {
            let shape = &mut track.movie.shape;
            shape.sample(place.entry, place.timing, data, out);
        }
    }

    /// Begins anew with the first sample.
    pub fn rewind(&mut self) {
        for track in &mut self.tracks {
            track.cursor.rewind();
            track.next = track.cursor.next();
        }
    }
}

/// One sample, in ticks.
#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u64,
    size: u32,
    dts: i64,
    duration: i64,
    composition: i64,
    sync: bool,
    description: usize,
}

/// Walks over one track's tables.
#[derive(Debug)]
struct Cursor {
    stbl: Stbl,
    at: At,
}

/// Places in the tables, and how far into their entries.
#[derive(Debug, Clone, Copy, Default)]
struct At {
    sample: usize,
    dts: i64,
    times: (usize, u32),
    compositions: (usize, u32),
    syncs: usize,
    /// Chunk, entry of `stsc`, sample within the chunk, offset within it.
    chunk: usize,
    runs: usize,
    within: u32,
    offset: u64,
}

impl Cursor {
    fn new(stbl: Stbl) -> Self {
        Self {
            stbl,
            at: At::default(),
        }
    }

    fn rewind(&mut self) {
        self.at = At::default();
    }

    fn next(&mut self) -> Option<Entry> {
        let size = self.size()?;
        let (start, description) = self.place()?;
        let duration = self.duration()?;
        let composition = self.composition();
        let sync = self.sync();
        let entry = Entry {
            offset: start.saturating_add(self.at.offset),
            size,
            dts: self.at.dts,
            duration,
            composition,
            sync,
            description,
        };
        let at = &mut self.at;
        at.sample += 1;
        at.within += 1;
        at.offset = at.offset.saturating_add(size.into());
        at.dts = at.dts.saturating_add(duration);
        Some(entry)
    }

    fn size(&self) -> Option<u32> {
        match &self.stbl.stsz.samples {
            StszSamples::Identical { count, size } => {
                (self.at.sample < usize::try_from(*count).ok()?).then_some(*size)
            }
            StszSamples::Different { sizes } => sizes.get(self.at.sample).copied(),
        }
    }

    /// Where the chunk begins, and which entry describes it.
    fn place(&mut self) -> Option<(u64, usize)> {
        let runs = &self.stbl.stsc.entries;
        loop {
            let run = runs.get(self.at.runs)?;
            if self.at.within < run.samples_per_chunk {
                let entry = usize::try_from(run.sample_description_index.max(1) - 1).ok()?;
                return Some((self.chunk(self.at.chunk)?, entry));
            }
            self.at.chunk += 1;
            (self.at.within, self.at.offset) = (0, 0);
            let next = runs.get(self.at.runs + 1);
            let begins = next.map(|r| usize::try_from(r.first_chunk.max(1) - 1));
            if begins == Some(Ok(self.at.chunk)) {
                self.at.runs += 1;
            }
            self.chunk(self.at.chunk)?;
        }
    }

    fn chunk(&self, number: usize) -> Option<u64> {
        match (&self.stbl.stco, &self.stbl.co64) {
            (_, Some(long)) => long.entries.get(number).copied(),
            (Some(short), None) => short.entries.get(number).map(|o| u64::from(*o)),
            (None, None) => None,
        }
    }

    fn duration(&mut self) -> Option<i64> {
        let entries = &self.stbl.stts.entries;
        let entry = run(&mut self.at.times, |i| Some(entries.get(i)?.sample_count))?;
        Some(entries[entry].sample_delta.into())
    }

    fn composition(&mut self) -> i64 {
        let entries = self.stbl.ctts.as_ref().map(|c| &c.entries[..]);
        let entries = entries.unwrap_or_default();
        let at = &mut self.at.compositions;
        run(at, |i| Some(entries.get(i)?.sample_count)).map_or(0, |i| entries[i].sample_offset)
    }

    /// Without a table every sample is one.
    fn sync(&mut self) -> bool {
        let Some(table) = &self.stbl.stss else {
            return true;
        };
        let number = u32::try_from(self.at.sample + 1).unwrap_or(u32::MAX);
        while table
            .entries
            .get(self.at.syncs)
            .is_some_and(|n| *n < number)
        {
            self.at.syncs += 1;
        }
        table.entries.get(self.at.syncs) == Some(&number)
    }
}

/// Steps through entries that each stand for a number of samples; which one it is.
fn run(at: &mut (usize, u32), count: impl Fn(usize) -> Option<u32>) -> Option<usize> {
    while at.1 >= count(at.0)? {
        *at = (at.0 + 1, 0);
    }
    at.1 += 1;
    Some(at.0)
}
