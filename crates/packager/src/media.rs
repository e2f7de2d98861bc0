//! What readers see: immutable states of the playlists, replaced at each change.

use std::sync::Arc;

use media::{Span, Timestamp, Track, TrackKind};

use crate::cue::DateRanges;
use crate::segment::{Init, Part, PartName, Segment};

/// The state of one media playlist. Cheap to replace: everything heavy is shared.
#[derive(Debug, Clone)]
pub struct Media {
    /// Names the playlist and its resources: `v0`, `a1`, `v0-720p`.
    pub id: String,
    /// The rendition it belongs to.
    pub rendition: String,
    /// The track as it is now.
    pub track: Track,
    /// Listed segments, oldest first; the last may be growing.
    pub segments: Vec<Arc<Segment>>,
    /// Segments that have left the playlist and are still served.
    pub retained: Vec<Arc<Segment>>,
    /// Discontinuity number of the first listed segment.
    pub discontinuity_sequence: u64,
    /// Upper bound of every segment's rounded duration, in seconds.
    pub target_duration: u32,
    /// Upper bound of every part's duration.
    pub part_target: Span,
    /// The name that the next part will have.
    pub next_part: PartName,
    /// Frames per second, told or measured; video only.
    pub frame_rate: Option<f64>,
    /// Whether the video carries closed captions.
    pub captions: bool,
    /// No media arrives: the playlist is frozen.
    pub hold: bool,
    /// The stream has ended.
    pub ended: bool,
    /// Whether every segment can be promised to start with a keyframe.
    pub independent_segments: bool,
}

/// The live edge of a playlist, as a blocking reload asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The last listed segment, complete or growing.
    pub msn: u64,
    /// How many parts of it are listed.
    pub parts: u32,
    /// Whether it is complete.
    pub complete: bool,
}

impl Media {
    /// Media sequence number of the first listed segment.
    #[must_use]
    pub fn media_sequence(&self) -> u64 {
        self.segments.first().map_or(0, |s| s.number)
    }

    /// The live edge; `None` where nothing is listed.
    #[must_use]
    pub fn edge(&self) -> Option<Edge> {
        self.segments.last().map(|s| Edge {
            msn: s.number,
            parts: u32::try_from(s.parts.len()).unwrap_or(u32::MAX),
            complete: s.complete,
        })
    }

    /// Whether every listed segment starts with a keyframe, and those to come are expected to.
    #[must_use]
    pub fn is_independent(&self) -> bool {
        self.independent_segments && self.segments.iter().all(|s| s.independent)
    }

    /// The last complete listed segment's number.
    #[must_use]
    pub fn last_complete(&self) -> Option<u64> {
        let mut newest_first = self.segments.iter().rev();
        newest_first.find(|s| s.complete).map(|s| s.number)
    }

    /// A segment that is listed, or left the playlist lately.
    #[must_use]
    pub fn segment(&self, number: u64) -> Option<&Arc<Segment>> {
        self.held().find(|s| s.number == number)
    }

    /// A part that is listed, or left the playlist lately, by the name in its URI.
    #[must_use]
    pub fn part(&self, name: PartName) -> Option<&Arc<Part>> {
        self.held()
            .flat_map(|s| &s.parts)
            .find(|part| part.name == name)
    }

    /// An initialisation section that some held segment uses, by its hash.
    #[must_use]
    pub fn init(&self, hash: &str) -> Option<&Arc<Init>> {
        self.held().map(|s| &s.init).find(|i| i.hash == hash)
    }

    /// Whether `name` is what the playlist hints at.
    #[must_use]
    pub fn is_hinted(&self, name: PartName) -> bool {
        !self.hold && !self.ended && name == self.next_part
    }

    /// Newest first: what is asked for is near the edge.
    fn held(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.segments.iter().rev().chain(self.retained.iter().rev())
    }

    /// Bytes of all held segments.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.held().map(|s| s.len).sum()
    }
}

/// All that a presentation serves at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// One playlist per track and rendition. The first one leads.
    pub media: Vec<Arc<Media>>,
    /// Those of pictures, by their index, as players shall prefer them.
    pub variants: Vec<usize>,
    /// Grows with every change.
    pub version: u64,
    /// Programme time of the newest sample that is listed.
    pub edge: Option<Timestamp>,
    /// What is served of tracks that are gone.
    pub(crate) gone: Arc<Vec<Gone>>,
    /// Sounds that lie in the segments of pictures in MPEG-TS, or did.
    pub(crate) beside: Arc<[Arc<str>]>,
    /// Cues of the source.
    pub(crate) ranges: Arc<DateRanges>,
}

/// What is served of a track that is gone.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    pub(crate) id: Arc<str>,
    pub(crate) until: Timestamp,
    pub(crate) segments: Vec<Arc<Segment>>,
}

impl Snapshot {
    /// The playlist with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Media>> {
        self.media.iter().find(|m| m.id == id)
    }

    /// A segment that is listed, or left its playlist lately, or was left by a track that is gone.
    #[must_use]
    pub fn segment(&self, id: &str, number: u64) -> Option<&Arc<Segment>> {
        let listed = self.get(id).and_then(|m| m.segment(number));
        listed.or_else(|| self.gone(id).find(|s| s.number == number))
    }

    /// An initialisation section that some segment of these uses, by its hash.
    #[must_use]
    pub fn init(&self, id: &str, hash: &str) -> Option<&Arc<Init>> {
        let held = self.get(id).and_then(|m| m.init(hash));
        let gone = || self.gone(id).map(|s| &s.init).find(|i| i.hash == hash);
        held.or_else(gone)
    }

    /// Of a track that is listed, or gone and still served.
    pub(crate) fn kind(&self, id: &str) -> Option<TrackKind> {
        let listed = self.get(id).map(|m| m.track.kind);
        listed.or_else(|| self.gone(id).next().map(|s| s.init.track.kind))
    }

    fn gone<'a, 'b>(&'a self, id: &'b str) -> impl Iterator<Item = &'a Arc<Segment>> + use<'a, 'b> {
        let of = self.gone.iter().filter(move |g| &*g.id == id);
        of.flat_map(|g| &g.segments)
    }

    /// Whether players can be sent here: every playlist has a complete segment.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.media.is_empty() && self.media.iter().all(|m| m.last_complete().is_some())
    }
}
