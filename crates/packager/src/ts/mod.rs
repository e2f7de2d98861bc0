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
use crate::multivariant::audio_groups;
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
    /// What `id` names, if it is what the multivariant playlist lists, or did: `v0.a1` is pictures
    /// with the first sound of a group, `v0` and `a1` are either alone. Sound that is gone is left
    /// out.
    pub(crate) fn paired(&self, id: &str) -> Option<Paired<'_>> {
        let (lead, sound) = split(id);
        if sound.is_some_and(|sound| !self.lies_beside(lead, sound)) {
            return None;
        }
        Some(Paired {
            lead: self.get(lead)?,
            sound: sound.and_then(|sound| self.get(sound)),
        })
    }

    /// A segment of what `id` names; `None` where there is no such, nor will be.
    #[must_use]
    pub fn in_ts(&self, id: &str, number: u64) -> Option<Found> {
        let (lead, sound) = split(id);
        if sound.is_some_and(|sound| !self.lies_beside(lead, sound)) {
            return None;
        }
        let segment = self.segment(lead, number)?;
        let beside = sound.and_then(|sound| self.segment(sound, number));
        let waits = self.paired(id).is_some_and(|p| !p.has_sound_of(number));
        if !segment.complete || waits {
            return Some(Found::Waits);
        }
        let beside = beside.filter(|s| s.complete).cloned();
        Some(Found::Whole(Arc::clone(segment), beside))
    }

    /// Whether this sound lies in the segments of these pictures, or did, or is not there.
    fn lies_beside(&self, lead: &str, sound: &str) -> bool {
        let listed = self.beside.iter().any(|id| **id == *sound);
        self.kind(lead) == Some(TrackKind::Video) && (listed || self.kind(sound).is_none())
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

/// The sounds that lie in the segments of pictures, the first of each group, and those that did
/// `before` and that `is_there` knows: they are in the hands of players.
pub(crate) fn beside(
    media: &[Arc<Media>],
    before: &[Arc<str>],
    is_there: impl Fn(&str) -> bool,
) -> Vec<Arc<str>> {
    let is_sound = |m: &&Arc<Media>| m.track.kind == TrackKind::Audio && carries(&m.track);
    let audio: Vec<_> = media.iter().filter(is_sound).collect();
    let groups = audio_groups(&audio);
    let first = groups.iter().filter_map(|(_, members)| members.first());
    let mut beside: Vec<_> = before.iter().filter(|id| is_there(id)).cloned().collect();
    for id in first.map(|m| m.id.as_str()) {
        if !beside.iter().any(|known| **known == *id) {
            beside.push(id.into());
        }
    }
    beside
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
