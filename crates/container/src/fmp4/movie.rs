//! The `moov` of others: its tracks, their clocks, and where their presentation begins.

use bytes::{Buf as _, Bytes};
use media::{Span, Timestamp};
use mp4_atom::{Atom as _, Moov, Trak, Trex};

use super::Mp4Error;
use super::entry::{Entry, is};
use super::needed::needed;
use super::shape::Shape;
use crate::ingest::{audio_track, video_track};

/// One track of a movie.
#[derive(Debug)]
pub(super) struct MovieTrack {
    /// `track_ID`.
    pub(super) number: u32,
    pub(super) timescale: u32,
    /// What is added to media time: the edit list's beginning.
    pub(super) shift: Span,
    pub(super) defaults: Option<Trex>,
    pub(super) shape: Shape,
}

impl MovieTrack {
    /// A time of the media as one of the presentation.
    pub(super) fn time(&self, ticks: i64) -> Timestamp {
        Timestamp::from_ticks(ticks, self.timescale) + self.shift
    }

    pub(super) fn span(&self, ticks: i64) -> Span {
        Span::from_ticks(ticks, self.timescale)
    }
}

/// Reads the body of a `moov`.
pub(super) fn read(body: Bytes) -> Result<Moov, Mp4Error> {
    let mut body = needed(body)?;
    let moov = Moov::decode_body(&mut body)?;
    if body.has_remaining() {
        return Err(mp4_atom::Error::UnderDecode(Moov::KIND).into());
    }
    Ok(moov)
}

/// The tracks that can be carried, with their place among the movie's; reasons for the others.
pub(super) fn tracks(
    moov: &Moov,
    most: usize,
    ignored: &mut Vec<&'static str>,
) -> Result<Vec<(usize, MovieTrack)>, Mp4Error> {
    let (mut videos, mut audios) = (0, 0);
    let mut all = Vec::new();
    for (place, trak) in moov.trak.iter().enumerate() {
        let handler = trak.mdia.hdlr.handler;
        let video = is(handler, b"vide");
        let (count, id): (&mut u16, fn(u16) -> _) = if video {
            (&mut videos, video_track)
        } else if is(handler, b"soun") {
            (&mut audios, audio_track)
        } else {
            ignored.push("track that is neither video nor audio");
            continue;
        };
        let codecs = &trak.mdia.minf.stbl.stsd.codecs;
        let entry = |codec| Ok::<_, Mp4Error>(Entry::of(codec)?.within(video));
        let entries = codecs.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        match entries.first() {
            None => continue,
            Some(Entry::Unusable(reason)) if entries.len() == 1 => {
                ignored.push(reason);
                continue;
            }
            Some(_) if all.len() >= most => {
                ignored.push("too many tracks");
                continue;
            }
            Some(_) => {}
        }
        let shape = Shape::new(id(*count), language(trak), entries);
        *count += 1;
        all.push((place, track(moov, trak, shape)));
    }
    if all.is_empty() {
        return Err(Mp4Error::NoTracks);
    }
    Ok(all)
}

fn track(moov: &Moov, trak: &Trak, shape: Shape) -> MovieTrack {
    let number = trak.tkhd.track_id;
    let trex = moov.mvex.as_ref().map(|m| &m.trex[..]).unwrap_or_default();
    MovieTrack {
        number,
        timescale: trak.mdia.mdhd.timescale,
        shift: shift(moov, trak),
        defaults: trex.iter().find(|t| t.track_id == number).cloned(),
        shape,
    }
}

/// Empty edits delay the track; the first other one says what of the media comes first. Further
/// ones are left alone, as by most players.
fn shift(moov: &Moov, trak: &Trak) -> Span {
    let edits = trak.edts.as_ref().and_then(|e| e.elst.as_ref());
    let mut delay = Span::ZERO;
    for edit in edits.map(|e| &e.entries[..]).unwrap_or_default() {
        let Some(start) = edit.media_time else {
            let ticks = i64::try_from(edit.segment_duration).unwrap_or(0);
            delay += Span::from_ticks(ticks, moov.mvhd.timescale);
            continue;
        };
        let start = i64::try_from(start).unwrap_or(0);
        return delay - Span::from_ticks(start, trak.mdia.mdhd.timescale);
    }
    delay
}

fn language(trak: &Trak) -> Option<String> {
    media::language::tag(&trak.mdia.mdhd.language)
}
