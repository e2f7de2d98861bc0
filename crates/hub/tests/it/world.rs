//! A second telling of the rules, as slow and plain as they are written down: every frame is kept
//! for ever, and what the window holds is computed anew each time.

use hub::{EndReason, Limits};
use media::{Frame, Span, Timestamp, TrackId};

use crate::fixture::{AUDIO, Seen, VIDEO};

pub(crate) struct World {
    limits: Limits,
    pub(crate) frames: Vec<Kept>,
    pub(crate) groups: Vec<Group>,
    pub(crate) base: usize,
    version: u8,
    pending: Option<u8>,
    pub(crate) ended: Option<EndReason>,
}

pub(crate) struct Kept {
    pub(crate) group: usize,
    dts: Timestamp,
    cost: usize,
    pub(crate) leading: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Group {
    pub(crate) id: Timestamp,
    pub(crate) first: usize,
    pub(crate) version: u8,
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            frames: Vec::new(),
            groups: Vec::new(),
            base: 0,
            version: 0,
            pending: Some(0),
            ended: None,
        }
    }

    pub(crate) fn set_tracks(&mut self, version: u8) {
        self.pending = Some(version);
    }

    /// Whether the frame is taken.
    pub(crate) fn push(&mut self, frame: &Frame) -> bool {
        if self.opens(frame.track, frame.random_access, frame.pts) {
            self.version = self.pending.take().unwrap_or(self.version);
            self.groups.push(Group {
                id: frame.pts,
                first: self.frames.len(),
                version: self.version,
            });
        }
        let Some(group) = self.groups.len().checked_sub(1) else {
            return false;
        };
        self.frames.push(Kept {
            group,
            dts: frame.dts,
            cost: Limits::cost(frame),
            leading: frame.leading,
        });
        self.evict(group);
        true
    }

    fn opens(&self, track: TrackId, key: bool, pts: Timestamp) -> bool {
        let has_pictures = self.pending.unwrap_or(self.version).is_multiple_of(2);
        let second = |t: Timestamp| t.as_millis().div_euclid(1000);
        match self.groups.last() {
            _ if !key => false,
            _ if has_pictures => track == VIDEO,
            Some(open) if self.pending.is_none() => {
                track == AUDIO && second(open.id) != second(pts)
            }
            _ => track == AUDIO,
        }
    }

    fn evict(&mut self, newest: usize) {
        while self.frames[self.base].group < newest && self.is_over() {
            self.base = self.groups[self.frames[self.base].group + 1].first;
        }
        while self.bytes() > self.limits.bytes && self.base + 1 < self.frames.len() {
            self.base += 1;
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.behind(self.base) > self.limits.duration || self.bytes() > self.limits.bytes
    }

    pub(crate) fn bytes(&self) -> usize {
        self.frames[self.base..].iter().map(|f| f.cost).sum()
    }

    fn behind(&self, frame: usize) -> Span {
        self.frames[self.frames.len() - 1].dts - self.frames[frame].dts
    }

    /// The newest group, where its beginning is still there.
    fn joinable(&self) -> Option<usize> {
        let newest = self.groups.len().checked_sub(1)?;
        (self.groups[newest].first >= self.base).then_some(newest)
    }
}

/// What a subscriber ought to see.
pub(crate) struct Reader {
    /// The next frame, if it is anywhere.
    at: Option<usize>,
    awaits: usize,
    missed: Option<usize>,
    /// The next group to be told of.
    opens: usize,
    max_latency: Span,
    /// The group it entered by, without having read the one before.
    entered: Option<usize>,
    ended: bool,
}

impl Reader {
    pub(crate) fn join(world: &World, newest: bool, max_latency: Span) -> Self {
        let next = world.groups.len();
        let awaits = world.joinable().filter(|_| newest).unwrap_or(next);
        Self {
            at: None,
            awaits,
            missed: None,
            opens: awaits,
            max_latency,
            entered: None,
            ended: false,
        }
    }

    pub(crate) fn read(&mut self, world: &World) -> Vec<Seen> {
        let mut seen = Vec::new();
        self.fall_behind(world);
        self.enter(world, &mut seen);
        for _ in 0..64 {
            let Some(at) = self.at.filter(|at| *at < world.frames.len()) else {
                break;
            };
            self.step(world, at, &mut seen);
        }
        self.end(world, &mut seen);
        seen
    }

    fn fall_behind(&mut self, world: &World) {
        let Some(at) = self.at.filter(|at| *at < world.frames.len()) else {
            return;
        };
        let newer = world.joinable().filter(|g| world.groups[*g].first > at);
        if at < world.base || newer.is_some() && world.behind(at) > self.max_latency {
            self.at = None;
            self.awaits = newer.unwrap_or(world.groups.len());
            self.missed = Some(at);
        }
    }

    fn enter(&mut self, world: &World, seen: &mut Vec<Seen>) {
        let newest = world.joinable().filter(|g| *g >= self.awaits);
        let (None, Some(newest), false) = (self.at, newest, self.ended) else {
            return;
        };
        let first = world.groups[self.awaits].first;
        let good = first >= world.base && world.behind(first) <= self.max_latency;
        let to = if good { self.awaits } else { newest };
        self.skip(to, world.groups[to].first, seen);
        self.at = Some(world.groups[to].first);
        self.opens = to;
        self.entered = Some(to);
    }

    fn skip(&mut self, to: usize, first: usize, seen: &mut Vec<Seen>) {
        if let Some(missed) = self.missed.take() {
            let groups = to + 1 - self.opens;
            seen.push(Seen::Skipped(groups as u64, (first - missed) as u64));
        }
    }

    fn step(&mut self, world: &World, at: usize, seen: &mut Vec<Seen>) {
        let frame = &world.frames[at];
        let group = world.groups[frame.group];
        if group.first == at {
            seen.push(Seen::Group(group.id.as_millis(), group.version));
            self.opens = frame.group + 1;
        }
        if !(frame.leading && self.entered == Some(frame.group)) {
            seen.push(Seen::Frame(at as u64));
        }
        self.at = Some(at + 1);
    }

    fn end(&mut self, world: &World, seen: &mut Vec<Seen>) {
        let left = self.at.is_some_and(|at| at < world.frames.len());
        let (Some(reason), false, false) = (world.ended, left, self.ended) else {
            return;
        };
        self.skip(world.groups.len(), world.frames.len(), seen);
        self.at = None;
        self.ended = true;
        seen.push(Seen::End(reason));
    }
}
