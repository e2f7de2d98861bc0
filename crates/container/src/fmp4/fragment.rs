//! A `moof` of others (ISO/IEC 14496-12 8.8): where each sample lies, and when it is due.

use bytes::Bytes;
use mp4_atom::{Atom as _, Moof, Traf, Trex};

use super::Mp4Error;
use super::movie::MovieTrack;
use super::needed::needed;
use super::shape::Timing;

/// More samples than any fragment has: five minutes of sound.
const SAMPLES: usize = 1 << 14;

/// One sample of a fragment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Which of the movie's tracks.
    pub(super) track: usize,
    /// From the beginning of the input.
    pub(super) offset: u64,
    pub(super) size: u32,
    /// Which sample entry, from 0.
    pub(super) entry: usize,
    pub(super) timing: Timing,
}

/// The samples in the order in which they lie. `begin` is where the `moof` does, `next` has the
/// decoding time that comes next for each track.
pub(super) fn pieces(
    body: Bytes,
    begin: u64,
    tracks: &[MovieTrack],
    next: &mut Vec<i64>,
) -> Result<Vec<Piece>, Mp4Error> {
    let moof = Moof::decode_body(&mut needed(body)?)?;
    next.resize(tracks.len(), 0);
    let mut all = Vec::new();
    // Without a base of its own, a run of tracks goes on where the one before it ended.
    let mut end = begin;
    for traf in &moof.traf {
        let track = tracks.iter().position(|t| t.number == traf.tfhd.track_id);
        let base = match traf.tfhd.base_data_offset {
            Some(base) => base,
            None if traf.tfhd.default_base_is_moof => begin,
            None => end,
        };
        let Some(track) = track else {
            continue;
        };
        let run = Run {
            traf,
            track: &tracks[track],
            place: track,
        };
        end = run.pieces(base, &mut next[track], &mut all)?;
    }
    all.sort_by_key(|p| p.offset);
    Ok(all)
}

struct Run<'a> {
    traf: &'a Traf,
    track: &'a MovieTrack,
    place: usize,
}

impl Run<'_> {
    /// Returns where its data ends.
    fn pieces(&self, base: u64, next: &mut i64, all: &mut Vec<Piece>) -> Result<u64, Mp4Error> {
        const NON_SYNC: u32 = 0x0001_0000;
        let head = &self.traf.tfhd;
        let defaults = self.track.defaults.as_ref();
        let or_default =
            |own: Option<u32>, field: fn(&Trex) -> u32| own.or_else(|| defaults.map(field));
        let duration = or_default(head.default_sample_duration, |d| d.default_sample_duration);
        let size = or_default(head.default_sample_size, |d| d.default_sample_size);
        let flags = or_default(head.default_sample_flags, |d| d.default_sample_flags);
        let entry = or_default(head.sample_description_index, |d| {
            d.default_sample_description_index
        });
        let entry = usize::try_from(entry.unwrap_or(1).max(1) - 1).unwrap_or(usize::MAX);
        if let Some(time) = &self.traf.tfdt {
            *next = i64::try_from(time.base_media_decode_time).unwrap_or(i64::MAX / 2);
        }
        let mut at = base;
        for run in &self.traf.trun {
            if let Some(offset) = run.data_offset {
                at = base.saturating_add_signed(offset.into());
            }
            if all.len().saturating_add(run.samples.len()) > SAMPLES {
                return Err(Mp4Error::TooLong("fragment"));
            }
            for sample in &run.samples {
                let duration = i64::from(sample.duration.or(duration).unwrap_or(0));
                let size = sample.size.or(size).unwrap_or(0);
                let composed = next.saturating_add(sample.cts.unwrap_or(0));
                all.push(Piece {
                    track: self.place,
                    offset: at,
                    size,
                    entry,
                    timing: Timing {
                        dts: self.track.time(*next),
                        pts: self.track.time(composed),
                        duration: self.track.span(duration),
                        sync: sample.flags.or(flags).unwrap_or(0) & NON_SYNC == 0,
                    },
                });
                at = at.saturating_add(size.into());
                *next = next.saturating_add(duration);
            }
        }
        Ok(at)
    }
}
