//! The same segments in MPEG-TS, for players that know no other (RFC 8216 3.2): pictures with a
//! sound in one, by the same numbers. Nothing is kept for it; what is asked for is made of what is
//! there.

mod multivariant;
mod mux;
mod playlist;

use std::sync::Arc;

use container::ts::Mux;
use media::{Track, TrackKind};

use crate::media::{Media, Snapshot};
use crate::segment::Segment;

pub use mux::segment;

/// What one TS playlist lists: pictures with a sound, or either alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paired<'a> {
    lead: &'a Arc<Media>,
    sound: Option<&'a Arc<Media>>,
}

/// A segment as it may be asked for.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is not whole yet.
    Waits,
    /// What it is made of: the pictures or the sound that lead, and sound beside them.
    Whole(Arc<Segment>, Option<Arc<Segment>>),
}

impl Snapshot {
    /// What `id` names: `v0.a1` is pictures with a sound, `v0` and `a1` are either alone. Sound
    /// that is gone is left out.
    pub(crate) fn paired(&self, id: &str) -> Option<Paired<'_>> {
        let (lead, sound) = split(id);
        Some(Paired {
            lead: self.get(lead)?,
            sound: sound.and_then(|sound| self.get(sound)),
        })
    }

    /// A segment of what `id` names; `None` where there is no such, nor will be.
    #[must_use]
    pub fn in_ts(&self, id: &str, number: u64) -> Option<Found> {
        let (lead, sound) = split(id);
        let segment = self.segment(lead, number)?;
        let beside = sound.and_then(|sound| self.segment(sound, number));
        let waits = self.paired(id).is_some_and(|p| !p.has_sound_of(number));
        if !segment.complete || waits {
            return Some(Found::Waits);
        }
        let beside = beside.filter(|s| s.complete).cloned();
        Some(Found::Whole(Arc::clone(segment), beside))
    }

    /// Whether there is anything that MPEG-TS has a place for.
    #[must_use]
    pub fn fits_ts(&self) -> bool {
        self.media.iter().any(|m| carries(&m.track))
    }
}

impl<'a> Paired<'a> {
    /// How its playlist and its segments are called.
    fn id(&self) -> String {
        match self.sound {
            Some(sound) => format!("{}.{}", self.lead.id, sound.id),
            None => self.lead.id.clone(),
        }
    }

    /// Segments that are whole in all that they are made of, oldest first.
    fn listed(&self) -> &'a [Arc<Segment>] {
        let all = &self.lead.segments;
        let whole = |s: &Arc<Segment>| s.complete && self.has_sound_of(s.number);
        &all[..all.iter().take_while(|s| whole(s)).count()]
    }

    /// Whether the sound of this segment is there, or will not come.
    fn has_sound_of(&self, number: u64) -> bool {
        let Some(sound) = self.sound.filter(|s| !s.hold && !s.ended) else {
            return true;
        };
        match sound.segment(number) {
            Some(segment) => segment.complete,
            None => sound.edge().is_some_and(|edge| edge.msn > number),
        }
    }
}

fn split(id: &str) -> (&str, Option<&str>) {
    id.split_once('.')
        .map_or((id, None), |(lead, sound)| (lead, Some(sound)))
}

/// Whether MPEG-TS has a place for this track.
fn carries(track: &Track) -> bool {
    let played = matches!(track.kind, TrackKind::Video | TrackKind::Audio);
    played && Mux::new().tracks(std::slice::from_ref(track)).is_empty()
}
