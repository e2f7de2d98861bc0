//! One connected input as the programme sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hub::{Broadcast, Event, Group, Join, Options, Subscriber};
use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};

use crate::equal;
use crate::fault::Fault;
use crate::health::Health;
use crate::splice::lead;
use crate::wall::{Belief, Held, Wall};

/// The programme must not skip what its input still has.
const LATENCY: Span = Span::from_secs(60);
/// Keyframes by which inputs of equal bytes know each other.
const KEYS: usize = 4;
/// Random-access points that are remembered: those of what the hub holds, where they are a third of
/// a second apart.
const POINTS: usize = 32;

/// A connection, watched from its first frame to its last.
#[derive(Debug)]
pub(crate) struct Feed {
    broadcast: Broadcast,
    monitor: Subscriber,
    pub(crate) health: Health,
    tracks: Arc<[Track]>,
    opens: bool,
    keys: VecDeque<Bytes>,
    /// When the newest group began.
    opened: Option<Timestamp>,
    wall: Wall,
    /// DTS of its last random-access points.
    points: VecDeque<Timestamp>,
    /// From DTS to PTS of the newest.
    delay: Span,
    lead: Option<TrackId>,
    /// DTS of the newest frame of its lead track.
    edge: Timestamp,
    /// When that came.
    came: Timestamp,
    ended: bool,
    /// What it had lost when it was looked at last.
    losses: u64,
    batch: Vec<Event>,
}

/// What a batch brought.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) groups: u32,
    pub(crate) lost: bool,
    pub(crate) ended: bool,
}

/// What of an input is there from one of its groups on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cached {
    pub(crate) id: Timestamp,
    pub(crate) dts: Timestamp,
    pub(crate) span: Span,
    /// When it began to come.
    pub(crate) opened: Timestamp,
}

impl Feed {
    pub(crate) fn new(broadcast: Broadcast, floor: Span) -> Self {
        let monitor = broadcast.subscribe(options(Join::Newest));
        Self {
            losses: broadcast.losses(),
            broadcast,
            monitor,
            health: Health::new(floor),
            tracks: Arc::new([]),
            opens: false,
            keys: VecDeque::new(),
            opened: None,
            wall: Wall::default(),
            points: VecDeque::new(),
            delay: Span::ZERO,
            lead: None,
            edge: Timestamp::ZERO,
            came: Timestamp::ZERO,
            ended: false,
            batch: Vec::new(),
        }
    }

    /// Whether something came in; [`Feed::take`] tells what.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended {
            return Poll::Pending;
        }
        self.monitor.poll_next(cx, &mut self.batch)
    }

    pub(crate) fn take(&mut self, now: Timestamp) -> News {
        let mut batch = std::mem::take(&mut self.batch);
        let mut news = News {
            lost: self.loses(),
            ..News::default()
        };
        if news.lost {
            self.health.lost(now);
        }
        for event in batch.drain(..) {
            match event {
                Event::Group { tracks, .. } => {
                    self.lead = lead(&tracks);
                    self.health.set_tracks(&tracks);
                    self.tracks = tracks;
                    self.opens = true;
                    self.opened = Some(now);
                    news.groups += 1;
                }
                Event::Frame(frame) => self.frame(&frame, now),
                Event::Skipped { .. } => {}
                Event::End(_) => news.ended = true,
            }
        }
        self.batch = batch;
        self.ended |= news.ended;
        news
    }

    /// Whether it lost anything since this was asked last.
    fn loses(&mut self) -> bool {
        let losses = self.broadcast.losses();
        std::mem::replace(&mut self.losses, losses) != losses
    }

    fn frame(&mut self, frame: &Frame, now: Timestamp) {
        let opens = std::mem::take(&mut self.opens);
        if opens {
            if self.keys.len() == KEYS {
                self.keys.pop_front();
            }
            self.keys.push_back(frame.payload.clone());
            self.point(frame, now);
        }
        if self.lead == Some(frame.track) {
            (self.edge, self.came) = (frame.dts, now);
        }
        let track = self.tracks.iter().find(|t| t.id == frame.track);
        let kind = track.map_or(TrackKind::Data, |t| t.kind);
        // Cues that go on are no sign of life.
        if kind != TrackKind::Data {
            self.health.frame(frame, kind, opens, now);
        }
    }

    fn point(&mut self, frame: &Frame, now: Timestamp) {
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(frame.dts);
        self.delay = frame.pts - frame.dts;
        if let Some(pair) = self.broadcast.wall_time() {
            self.wall.note(pair, frame.pts, now);
        }
    }

    /// What added to a DTS gives the wall time of its content, where the input's clock is believed.
    pub(crate) fn clock(&self, belief: Belief) -> Option<Span> {
        self.wall.offset(belief).map(|offset| offset + self.delay)
    }

    /// What it has, for an entry by the clock.
    pub(crate) fn held(&mut self) -> Held<'_> {
        Held {
            points: self.points.make_contiguous(),
            edge: self.edge,
            group: self.health.longest_group(),
        }
    }

    /// The id of the group that this random-access point opens, while the hub holds it.
    pub(crate) fn group_at(&self, dts: Timestamp) -> Option<Timestamp> {
        let groups = self.recent();
        let first = |g: &&Group| g.frames.first().is_some_and(|f| f.dts == dts);
        groups.iter().rev().find(first).map(|g| g.id)
    }

    pub(crate) fn fault(&self, now: Timestamp) -> Option<Fault> {
        if self.ended {
            return Some(Fault::Closed);
        }
        self.health.fault(now)
    }

    /// When its newest group began.
    pub(crate) const fn opened(&self) -> Option<Timestamp> {
        self.opened
    }

    /// What there is from each of its groups on, the newest first.
    pub(crate) fn cached(&self) -> Vec<Cached> {
        let first = |group: &Group| {
            let lead = lead(&group.tracks)?;
            let frame = group.frames.iter().find(|f| f.track == lead)?;
            Some((group.id, frame.dts))
        };
        let firsts: Vec<_> = self.recent().iter().rev().filter_map(first).collect();
        let newest = firsts.first().copied().zip(self.opened);
        let cached = |(id, dts)| {
            let ((_, newest), opened) = newest?;
            Some(Cached {
                id,
                dts,
                span: self.edge - dts,
                opened: opened - (newest - dts),
            })
        };
        firsts.into_iter().filter_map(cached).collect()
    }

    /// A reader from the group of this id on.
    pub(crate) fn read_from(&self, id: Timestamp) -> Subscriber {
        self.broadcast.subscribe(options(Join::From(id)))
    }

    /// The last groups.
    pub(crate) fn recent(&self) -> Vec<Group> {
        self.broadcast.recent(POINTS)
    }

    /// DTS of the newest frame of its lead track.
    pub(crate) const fn edge(&self) -> Timestamp {
        self.edge
    }

    /// When that frame came.
    pub(crate) const fn came(&self) -> Timestamp {
        self.came
    }

    /// Whether the last keyframes say that both carry the same bytes.
    pub(crate) fn seems_equal(&self, other: &Self) -> bool {
        let common = self.keys.iter().filter(|k| other.keys.contains(k)).count();
        common >= 2
    }

    /// What added to this input's times gives the other's, where both carry the same bytes.
    pub(crate) fn shift_to(&self, other: &[Group]) -> Option<Span> {
        let lead = lead(&self.tracks)?;
        equal::shift(other, &self.recent(), lead)
    }
}

const fn options(join: Join) -> Options {
    Options {
        join,
        max_latency: LATENCY,
        wanted: true,
    }
}
