//! What readers are told of a track: its list, its growing segment, what a manifest says of it.

use std::sync::Arc;

use media::{Span, Timestamp, TrackKind};

use super::{Face, SOUND_CHUNK, TrackPackager};
use crate::config::Chunk;
use crate::dash::Representation;
use crate::media::{Gone, Media};
use crate::release::{Release, What};

impl TrackPackager {
    /// The state for readers; the old one where nothing changed.
    pub(crate) fn publish(&mut self, face: Face) -> Arc<Media> {
        match &self.published {
            Some(media) if !self.changed && self.face == Some(face) => return Arc::clone(media),
            _ => {}
        }
        let media = Arc::new(Media {
            id: self.id.to_string(),
            rendition: self.rendition.clone(),
            track: self.track.clone(),
            captions: self.captions,
            segments: self.listed.clone(),
            retained: self.retained.iter().map(|(_, s)| Arc::clone(s)).collect(),
            discontinuity_sequence: self.discontinuity_sequence,
            target_duration: face.target_duration,
            part_target: self.part_target.unwrap_or(self.part_wish),
            next_part: self.next_part,
            frame_rate: self.cadence.frame_rate(&self.track),
            hold: face.hold,
            ended: face.ended,
            independent_segments: face.independent_segments,
        });
        self.published = Some(Arc::clone(&media));
        (self.face, self.changed) = (Some(face), false);
        media
    }

    /// What readers saw last.
    pub(crate) fn published(&self) -> Option<Arc<Media>> {
        self.published.clone()
    }

    /// What readers of growing segments are told next, oldest first.
    pub(crate) fn next_release(&mut self) -> Option<Release> {
        let what = self.releases.pop_front()?;
        let media = Arc::clone(&self.id);
        Some(Release { media, what })
    }

    /// It ends. What is served of it nevertheless, until when: as long as of a list that has ended.
    pub(crate) fn leave(&mut self, now: Timestamp) -> Gone {
        self.end_segment();
        let held = self.retained.iter().map(|(_, s)| s);
        Gone {
            id: Arc::clone(&self.id),
            until: now + self.listed_duration() + self.window,
            segments: held.chain(&self.listed).cloned().collect(),
        }
    }

    /// All that is left to be told of a track that has left.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = Release> {
        self.releases.push_back(What::Gone);
        std::iter::from_fn(move || self.next_release())
    }

    /// Numbers and starts of the segments that have begun in this list.
    pub(crate) fn begun(&self) -> Vec<(u64, Timestamp)> {
        let listed = self.listed.iter().map(|s| (s.number, s.start));
        let last = self.listed.last().map(|s| s.number);
        let open = self.open.iter().filter(|s| last < Some(s.number));
        listed.chain(open.map(|s| (s.number, s.start))).collect()
    }

    /// What DASH clients are told of it.
    pub(crate) fn representation(&self) -> Representation {
        let complete = self.listed.iter().filter(|s| s.complete);
        let peak = complete.map(|s| s.bitrate()).max().unwrap_or(1);
        let nominal = Span::from_ticks(self.cadence.nominal(), self.timescale);
        let chunk = match (self.chunk, self.track.kind) {
            (Chunk::Part, _) => self.part_target.unwrap_or(self.part_wish),
            (Chunk::Frame, TrackKind::Video) => nominal,
            (Chunk::Frame, _) => SOUND_CHUNK + nominal,
        };
        Representation {
            id: Arc::clone(&self.id),
            track: self.track.clone(),
            init: Arc::clone(&self.init),
            timescale: self.timescale,
            chunk,
            frame_rate: self.cadence.fraction(&self.track),
            bandwidth: two_digits(peak),
        }
    }
}

/// Rounded up, so that it does not change with each segment.
const fn two_digits(n: u64) -> u64 {
    let mut unit = 1;
    while n / unit >= 100 {
        unit *= 10;
    }
    n.div_ceil(unit) * unit
}
