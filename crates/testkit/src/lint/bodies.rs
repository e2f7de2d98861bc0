//! Rules about bytes: what parts and segments hold, and whether it is what the playlist says.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::{Buf as _, Bytes};
use container::fmp4::{self, Chunk};
use media::{Span, Timestamp};
use mp4_atom::{Atom as _, Decode as _, Header, Moov};

use super::Rule;
use super::ledger::Bench;
use super::playlist::{Part, Segment};
use super::single::secs;

/// Dates have milliseconds, rounded down.
const DATE_ROUNDING: Span = Span::from_millis(2);
/// The next `tfdt` absorbs what a last sample's nominal duration is wrong by.
const ABSORBED: Span = Span::from_millis(40);
/// Decimal seconds of playlists are this exact.
const DECIMALS: Span = Span::from_nanos(100_000);

/// What an initialisation section tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Init {
    pub(super) timescale: u32,
    pub(super) video: bool,
}

impl Init {
    pub(super) fn read(bytes: &Bytes) -> Option<Self> {
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let header = Header::decode(&mut rest).ok()?;
            let size = header.size.filter(|s| *s <= rest.len())?;
            if header.kind == Moov::KIND {
                let moov = Moov::decode_body(&mut rest.split_to(size)).ok()?;
                let mdia = &moov.trak.first()?.mdia;
                return Some(Self {
                    timescale: mdia.mdhd.timescale,
                    video: mdia.hdlr.handler == b"vide".into(),
                });
            }
            rest.advance(size);
        }
        None
    }
}

/// The fingerprint of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print(usize, u64);

impl Print {
    pub(super) fn of(bytes: &Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self(bytes.len(), hasher.finish())
    }
}

/// All that was ever downloaded, by URI.
#[derive(Debug, Default)]
pub(super) struct Prints(HashMap<String, Print>);

impl Prints {
    pub(super) fn check(&mut self, b: &mut Bench<'_>, uri: &str, bytes: &Bytes) {
        let print = Print::of(bytes);
        let known = *self.0.entry(uri.to_owned()).or_insert(print);
        b.check(Rule::Reuse, known == print, || {
            format!(
                "{} bytes now, {} bytes with another content before",
                print.0, known.0
            )
        });
    }
}

/// Where the decode times of a track have got to.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    /// Decode time of the newest sample, and where the part ends that holds it.
    newest: Option<(Timestamp, Timestamp)>,
}

/// What programme time is, less what decode and composition times say. The same for all tracks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Origin(Option<Span>);

/// One part in its place.
pub(super) struct Placed<'a> {
    pub(super) segment: &'a Segment,
    pub(super) part: &'a Part,
    pub(super) first: bool,
    /// Whether the part before it is known and listed right before it.
    pub(super) follows: bool,
    pub(super) init: Init,
    pub(super) bytes: &'a Bytes,
}

/// Checks a part against its tag, the part before it and its segment's date.
pub(super) fn part(b: &mut Bench<'_>, track: &mut Track, origin: &mut Origin, p: &Placed<'_>) {
    let chunks = match fmp4::read_chunks(p.bytes) {
        Ok(chunks) if chunks.iter().any(|c| !c.samples.is_empty()) => chunks,
        Ok(_) => return b.check(Rule::H7, false, || "a part without samples".to_owned()),
        Err(e) => return b.check(Rule::H7, false, || e.to_string()),
    };
    let ticks: u64 = chunks.iter().map(Chunk::duration).sum();
    let duration = Span::from_ticks(to_i64(ticks), p.init.timescale);
    let off = (duration - p.part.duration).abs();
    b.check(Rule::H5, off <= DECIMALS, || {
        format!(
            "DURATION={}, its samples last {}",
            secs(Some(p.part.duration)),
            secs(Some(duration))
        )
    });
    independence(b, p, &chunks);
    clock(b, track, p, &chunks);
    if p.first {
        date(b, origin, p, &chunks[0]);
    }
}

fn independence(b: &mut Bench<'_>, p: &Placed<'_>, chunks: &[Chunk]) {
    let has = chunks
        .iter()
        .flat_map(|c| &c.samples)
        .any(|s| s.random_access);
    b.check(Rule::H22, has == p.part.independent, || {
        let said = if p.part.independent {
            "marked"
        } else {
            "not marked"
        };
        format!(
            "{said} INDEPENDENT, it has {} independent frame",
            if has { "an" } else { "no" }
        )
    });
}

/// EXT-X-INDEPENDENT-SEGMENTS: a segment begins with a frame that needs no other.
pub(super) fn independent_start(b: &mut Bench<'_>, bytes: &Bytes) {
    let chunks = fmp4::read_chunks(bytes).unwrap_or_default();
    let starts = chunks
        .first()
        .and_then(|c| c.samples.first())
        .is_some_and(|s| s.random_access);
    b.check(Rule::Independent, starts, || {
        "begins with a frame that needs others".to_owned()
    });
}

fn clock(b: &mut Bench<'_>, track: &mut Track, p: &Placed<'_>, chunks: &[Chunk]) {
    for (i, chunk) in chunks.iter().enumerate() {
        let at = |ticks: u64| Timestamp::from_ticks(to_i64(ticks), p.init.timescale);
        let start = at(chunk.base_media_decode_time);
        if let Some((newest, end)) = track.newest {
            b.check(Rule::Clock, start > newest, || {
                format!("tfdt goes back by {} ms", (newest - start).as_millis())
            });
            let hole = start - end;
            b.check(
                Rule::Clock,
                i == 0 && !p.follows || hole.abs() <= ABSORBED,
                || {
                    format!(
                        "tfdt is {} ms from the end of the part before",
                        hole.as_millis()
                    )
                },
            );
        }
        let last = chunk.samples.last().map_or(0, |s| u64::from(s.duration));
        let end = chunk.base_media_decode_time + chunk.duration();
        track.newest = Some((at(end - last), at(end)));
    }
}

fn date(b: &mut Bench<'_>, origin: &mut Origin, p: &Placed<'_>, chunk: &Chunk) {
    let Some((date, first)) = p.segment.date.zip(chunk.samples.first()) else {
        return;
    };
    let ticks = to_i64(chunk.base_media_decode_time) + i64::from(first.composition);
    let offset = date - Timestamp::from_ticks(ticks, p.init.timescale);
    let known = *origin.0.get_or_insert(offset);
    b.check(Rule::Clock, (offset - known).abs() <= DATE_ROUNDING, || {
        format!(
            "PROGRAM-DATE-TIME of {} is {} ms off its samples' time",
            p.segment.number,
            (offset - known).as_millis()
        )
    });
}

/// H7: the segment's bytes are its parts'.
pub(super) fn concatenation(b: &mut Bench<'_>, segment: &Bytes, parts: &[&Bytes]) {
    let mut rest = &segment[..];
    for (i, part) in parts.iter().enumerate() {
        let Some(after) = rest.strip_prefix(&part[..]) else {
            return b.check(Rule::H7, false, || format!("differs from its part {i}"));
        };
        rest = after;
    }
    b.check(Rule::H7, rest.is_empty(), || {
        format!("{} bytes more than its parts", rest.len())
    });
}

fn to_i64(v: u64) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}
