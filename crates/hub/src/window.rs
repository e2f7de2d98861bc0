//! The window of recent frames and the marks where groups begin. Pure; its owner locks it.

use std::collections::VecDeque;
use std::sync::Arc;

use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};

use crate::broadcast::Group;
use crate::event::EndReason;
use crate::publisher::Refused;

/// How much a broadcast holds beyond its newest group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Media time, from the oldest frame's DTS to the newest one's.
    pub duration: Span,
    /// Bytes, of payloads and of the frames that carry them ([`Limits::cost`]). A newest group that
    /// alone exceeds this loses its oldest frames and can no longer be joined.
    pub bytes: usize,
}

impl Limits {
    /// What one frame counts against `bytes`: its payload and its own size, so that empty frames
    /// are bounded too.
    #[must_use]
    pub const fn cost(frame: &Frame) -> usize {
        frame.payload.len() + size_of::<Frame>()
    }
}

impl Default for Limits {
    /// 10 s and 32 MiB.
    fn default() -> Self {
        Self {
            duration: Span::from_secs(10),
            bytes: 32 << 20,
        }
    }
}

/// Sound alone is grouped by this much, on a grid: renditions with equal times get equal ids.
const AUDIO_GROUP: Span = Span::from_secs(1);

#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) id: Timestamp,
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) tracks: Arc<[Track]>,
    pub(crate) spliced: bool,
}

#[derive(Debug)]
pub(crate) struct Window {
    limits: Limits,
    frames: VecDeque<Frame>,
    groups: VecDeque<Mark>,
    /// Frames that were evicted; the number of the oldest frame held.
    base: u64,
    next_group: u64,
    bytes: usize,
    tracks: Arc<[Track]>,
    /// A set that takes effect with the next group.
    pending: Option<Arc<[Track]>>,
    /// The next group comes from another source.
    splices: bool,
    ended: Option<EndReason>,
}

/// What a push did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pushed {
    pub(crate) opened: bool,
    pub(crate) evicted: u64,
    /// The newest group lost its beginning just now.
    pub(crate) torn: bool,
}

impl Window {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            frames: VecDeque::new(),
            groups: VecDeque::new(),
            base: 0,
            next_group: 0,
            bytes: 0,
            tracks: Arc::new([]),
            pending: None,
            splices: false,
            ended: None,
        }
    }

    pub(crate) fn set_tracks(&mut self, tracks: Arc<[Track]>) {
        self.pending = Some(tracks);
    }

    pub(crate) fn splice(&mut self) {
        self.splices = true;
    }

    pub(crate) const fn tracks(&self) -> &Arc<[Track]> {
        &self.tracks
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    /// The first reason stays.
    pub(crate) fn end(&mut self, reason: EndReason) {
        self.ended.get_or_insert(reason);
    }

    /// The number of the oldest frame.
    pub(crate) const fn base(&self) -> u64 {
        self.base
    }

    /// The number after the newest frame's.
    pub(crate) fn head(&self) -> u64 {
        self.base + self.frames.len() as u64
    }

    /// The number of the group that opens next.
    pub(crate) const fn next_group(&self) -> u64 {
        self.next_group
    }

    pub(crate) fn frame(&self, number: u64) -> Option<&Frame> {
        let at = number.checked_sub(self.base)?;
        self.frames.get(usize::try_from(at).ok()?)
    }

    /// The group with this number, where it is held whole.
    pub(crate) fn group(&self, number: u64) -> Option<&Mark> {
        let at = number.checked_sub(self.groups.front()?.number)?;
        let group = self.groups.get(usize::try_from(at).ok()?);
        group.filter(|g| g.first >= self.base)
    }

    /// The newest group, where it can be joined.
    pub(crate) fn newest(&self) -> Option<&Mark> {
        self.groups.back().filter(|g| g.first >= self.base)
    }

    /// The frames of the newest `groups` groups that are held whole.
    pub(crate) fn recent(&self, groups: usize) -> Vec<Group> {
        let whole = self.groups.iter().filter(|g| g.first >= self.base);
        let skipped = whole.clone().count().saturating_sub(groups);
        let ends = self.groups.iter().skip(1).map(|g| g.first);
        let until = ends.chain([self.head()]).collect::<Vec<_>>();
        let held = self.groups.iter().zip(until);
        held.filter(|(g, _)| g.first >= self.base)
            .skip(skipped)
            .map(|(group, until)| Group {
                id: group.id,
                tracks: Arc::clone(&group.tracks),
                frames: (group.first..until)
                    .filter_map(|n| self.frame(n).cloned())
                    .collect(),
            })
            .collect()
    }

    /// The number of the group with this id, or of the next one after it.
    pub(crate) fn group_from(&self, id: Timestamp) -> u64 {
        let found = self.groups.iter().find(|g| g.id >= id);
        found.map_or(self.next_group, |g| g.number)
    }

    /// How far the newest frame is ahead of frame `number`.
    pub(crate) fn behind(&self, number: u64) -> Span {
        match (self.frame(number), self.frames.back()) {
            (Some(mine), Some(newest)) => newest.dts - mine.dts,
            _ => Span::ZERO,
        }
    }

    /// Appends a frame. What has to leave goes to `dead`, to be freed outside the lock.
    pub(crate) fn push(&mut self, frame: Frame, dead: &mut Vec<Frame>) -> Result<Pushed, Refused> {
        if self.ended.is_some() {
            return Err(Refused::Ended);
        }
        let opened = self.opens_group(&frame);
        if !opened && self.groups.is_empty() {
            return Err(Refused::MissingKeyframe);
        }
        if opened {
            self.open_group(frame.pts);
        }
        self.bytes += Limits::cost(&frame);
        self.frames.push_back(frame);
        let was_whole = self.newest().is_some();
        let evicted = self.evict(dead);
        Ok(Pushed {
            opened,
            evicted,
            torn: was_whole && self.newest().is_none(),
        })
    }

    fn opens_group(&self, frame: &Frame) -> bool {
        if !frame.random_access {
            return false;
        }
        let tracks = self.pending.as_ref().unwrap_or(&self.tracks);
        match lead(tracks) {
            Some((lead, _)) if lead != frame.track => false,
            Some((_, TrackKind::Video)) => true,
            _ => self.pending.is_some() || self.leaves_second(frame.pts),
        }
    }

    fn leaves_second(&self, pts: Timestamp) -> bool {
        let second = |t: Timestamp| t.as_nanos().div_euclid(AUDIO_GROUP.as_nanos());
        let newest = self.groups.back();
        newest.is_none_or(|g| second(g.id) != second(pts))
    }

    fn open_group(&mut self, id: Timestamp) {
        if let Some(tracks) = self.pending.take() {
            self.tracks = tracks;
        }
        self.groups.push_back(Mark {
            id,
            number: self.next_group,
            first: self.head(),
            tracks: Arc::clone(&self.tracks),
            spliced: std::mem::take(&mut self.splices),
        });
        self.next_group += 1;
    }

    fn evict(&mut self, dead: &mut Vec<Frame>) -> u64 {
        let before = self.base;
        while self.groups.len() > 1 && self.is_over() {
            self.groups.pop_front();
            let first = self.groups.front().map_or(self.base, |g| g.first);
            while self.base < first {
                self.drop_oldest(dead);
            }
        }
        while self.bytes > self.limits.bytes && self.frames.len() > 1 {
            self.drop_oldest(dead);
        }
        self.base - before
    }

    fn is_over(&self) -> bool {
        self.behind(self.base) > self.limits.duration || self.bytes > self.limits.bytes
    }

    fn drop_oldest(&mut self, dead: &mut Vec<Frame>) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= Limits::cost(&frame);
            self.base += 1;
            dead.push(frame);
        }
    }
}

/// The track whose random-access points begin groups: the first video, else the first audio.
fn lead(tracks: &[Track]) -> Option<(TrackId, TrackKind)> {
    let of_kind = |kind| tracks.iter().find(|t| t.kind == kind);
    let lead = of_kind(TrackKind::Video).or_else(|| of_kind(TrackKind::Audio));
    lead.map(|t| (t.id, t.kind))
}
