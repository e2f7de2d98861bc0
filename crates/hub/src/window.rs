//! The window of recent frames and the marks where groups begin. Pure; its owner locks it.

use std::collections::VecDeque;
use std::sync::Arc;

use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};

use crate::event::EndReason;

/// How much a broadcast holds beyond its newest group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Media time, from the oldest frame to the newest.
    pub duration: Span,
    /// Payload bytes. A newest group that alone exceeds this loses its oldest frames.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            duration: Span::from_secs(10),
            bytes: 32 << 20,
        }
    }
}

/// Sound alone is grouped by about this much.
const AUDIO_GROUP: Span = Span::from_secs(1);

#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) id: Timestamp,
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) tracks: Arc<[Track]>,
}

#[derive(Debug)]
pub(crate) struct Window {
    limits: Limits,
    frames: VecDeque<Frame>,
    groups: VecDeque<Mark>,
    /// Frames that were evicted; the number of the oldest frame held.
    pub(crate) base: u64,
    next_group: u64,
    bytes: usize,
    tracks: Arc<[Track]>,
    /// A set that takes effect with the next group.
    pending: Option<Arc<[Track]>>,
    /// The newest group lost frames and cannot be joined.
    torn: bool,
    pub(crate) ended: Option<EndReason>,
}

/// What a push did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pushed {
    pub(crate) opened: bool,
    pub(crate) evicted: u64,
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
            torn: false,
            ended: None,
        }
    }

    pub(crate) fn set_tracks(&mut self, tracks: Arc<[Track]>) {
        self.pending = Some(tracks);
    }

    pub(crate) fn tracks(&self) -> &Arc<[Track]> {
        &self.tracks
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number after the newest frame's.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.frames.len() as u64
    }

    pub(crate) fn frame(&self, number: u64) -> Option<&Frame> {
        let at = number.checked_sub(self.base)?;
        self.frames.get(usize::try_from(at).ok()?)
    }

    /// The group that holds frame `number`.
    pub(crate) fn group_at(&self, number: u64) -> Option<&Mark> {
        let after = self.groups.partition_point(|g| g.first <= number);
        self.groups.get(after.checked_sub(1)?)
    }

    /// The newest group, where it can be joined.
    pub(crate) fn newest(&self) -> Option<&Mark> {
        self.groups.back().filter(|_| !self.torn)
    }

    /// The group with this number, or the newest where that one has left the window.
    pub(crate) fn join(&self, number: u64) -> Option<&Mark> {
        let newest = self.newest().filter(|g| g.number >= number)?;
        let held = self.groups.iter().find(|g| g.number == number);
        Some(held.unwrap_or(newest))
    }

    pub(crate) fn next_group(&self) -> u64 {
        self.next_group
    }

    /// How far the newest frame is ahead of frame `number`.
    pub(crate) fn behind(&self, number: u64) -> Span {
        match (self.frame(number), self.frames.back()) {
            (Some(mine), Some(newest)) => newest.dts - mine.dts,
            _ => Span::ZERO,
        }
    }

    /// Appends a frame; `None` refuses it for want of a random-access point.
    pub(crate) fn push(&mut self, frame: Frame) -> Option<Pushed> {
        let opens = self.opens_group(&frame);
        if !opens && self.groups.is_empty() {
            return None;
        }
        if opens {
            self.open_group(frame.pts);
        }
        self.bytes += frame.payload.len();
        self.frames.push_back(frame);
        Some(Pushed {
            opened: opens,
            evicted: self.evict(),
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
            _ => {
                self.pending.is_some()
                    || self
                        .groups
                        .back()
                        .is_none_or(|g| frame.pts - g.id >= AUDIO_GROUP)
            }
        }
    }

    fn open_group(&mut self, id: Timestamp) {
        if let Some(tracks) = self.pending.take() {
            self.tracks = tracks;
        }
        self.groups.push_back(Mark {
            id,
            number: self.next_group,
            first: self.end(),
            tracks: Arc::clone(&self.tracks),
        });
        self.next_group += 1;
        self.torn = false;
    }

    fn evict(&mut self) -> u64 {
        let before = self.base;
        while self.groups.len() > 1 && self.is_over() {
            self.groups.pop_front();
            let first = self.groups.front().map_or(self.base, |g| g.first);
            while self.base < first {
                self.drop_oldest();
            }
        }
        while self.bytes > self.limits.bytes && self.frames.len() > 1 {
            self.torn = true;
            self.drop_oldest();
        }
        self.base - before
    }

    fn is_over(&self) -> bool {
        let held = match (self.frames.front(), self.frames.back()) {
            (Some(oldest), Some(newest)) => newest.dts - oldest.dts,
            _ => Span::ZERO,
        };
        held > self.limits.duration || self.bytes > self.limits.bytes
    }

    fn drop_oldest(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.payload.len();
            self.base += 1;
        }
    }
}

/// The track whose random-access points begin groups: the first video, else the first audio.
fn lead(tracks: &[Track]) -> Option<(TrackId, TrackKind)> {
    let of_kind = |kind| tracks.iter().find(|t| t.kind == kind);
    let lead = of_kind(TrackKind::Video).or_else(|| of_kind(TrackKind::Audio));
    lead.map(|t| (t.id, t.kind))
}
