//! Renditions that are fetched apart become one sequence on one clock. Pure.

use std::collections::BTreeMap;

use container::ingest::{Item, kind_of};
use media::{Frame, Span, Timestamp, TrackId, TrackKind};

use super::hls::Region;

/// Timestamps of MPEG-TS wrap after 2^33 ticks of 90 kHz; renditions unwrap them each for itself.
const WRAP: Span = Span::from_nanos(95_443_717_688_888_889);
/// Regions whose place is remembered, for what comes late.
const REGIONS: usize = 8;
/// A last frame without a length.
const STEP: Span = Span::from_millis(33);
/// Steps longer than this are holes, not lengths of frames.
const HOLE: Span = Span::from_secs(1);

/// A lane that holds so much takes no more, and nothing larger at once: media of 50 Mbit/s for ten
/// seconds, a minute of 200 frames a second. The length of media bounds nothing: its times may lie.
pub(crate) const LANE_BYTES: usize = 64 << 20;
pub(crate) const LANE_ITEMS: usize = 16_384;

/// What was fetched in one go.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// The continuous clock of the source that the times are on.
    pub(crate) region: Region,
    pub(crate) arrived: Timestamp,
    /// The source's wall clock at the first sample.
    pub(crate) utc: Option<Timestamp>,
    /// The server had no more at the time.
    pub(crate) edge: bool,
}

/// What goes on next.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) item: Item,
    pub(crate) arrived: Timestamp,
    pub(crate) utc: Option<Timestamp>,
}

#[derive(Debug)]
struct Queued {
    ready: Ready,
    region: Region,
}

/// Frames are in order within a run: what is between two other items, or two regions. Then by time,
/// which does not go back within a track, then as they came.
type Place = (u64, Timestamp, u64);

#[derive(Debug, Default)]
struct Lane {
    queue: BTreeMap<Place, Queued>,
    bytes: usize,
    ended: bool,
    run: u64,
    /// The region of the run at hand, if frames may still join it.
    open: Option<Region>,
    /// The latest time of each track in the run.
    latest: BTreeMap<TrackId, Timestamp>,
    came: u64,
    /// What is added to this lane's times so that they meet the others' in the region.
    shift: Option<(Region, Span)>,
}

/// Brings the lanes into one order. The first lane leads: nothing goes before its first frame.
#[derive(Debug)]
pub(crate) struct Merge {
    lanes: Vec<Lane>,
    /// The first time seen in each region, which others are shifted to.
    origins: BTreeMap<Region, Timestamp>,
    /// What is added to the times of each region so that time goes on.
    offsets: BTreeMap<Region, Span>,
    begun: bool,
    tracks: Vec<Recent>,
}

/// A track's latest frame.
#[derive(Debug)]
struct Recent {
    track: TrackId,
    dts: Timestamp,
    step: Span,
}

impl Merge {
    pub(crate) fn new(lanes: usize) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            origins: BTreeMap::new(),
            offsets: BTreeMap::new(),
            begun: false,
            tracks: Vec::new(),
        }
    }

    /// More of one lane.
    pub(crate) fn push(&mut self, index: usize, batch: Batch) {
        let Some(lane) = self.lanes.get_mut(index) else {
            return;
        };
        let mut utc = batch.utc;
        let pictures = batch.items.iter().any(is_picture);
        for item in batch.items {
            let mut told = None;
            let item = match item {
                Item::Frame(mut frame) => {
                    // The wall clock is that of the first sample: not of what was held back.
                    if !pictures || (kind_of(frame.track) == TrackKind::Video && frame.random_access) {
                        told = utc.take();
                    }
                    let shift = lane.shift_in(batch.region, frame.dts, &mut self.origins);
                    frame.dts += shift;
                    frame.pts += shift;
                    Item::Frame(frame)
                }
                other => other,
            };
            let ready = Ready {
                item,
                arrived: batch.arrived,
                utc: told,
            };
            lane.insert(Queued {
                ready,
                region: batch.region,
            });
        }
        trim(&mut self.origins);
    }

    /// Nothing more will come of a lane.
    pub(crate) fn end(&mut self, index: usize) {
        if let Some(lane) = self.lanes.get_mut(index) {
            lane.ended = true;
        }
    }

    /// How much of a lane waits, in its own time.
    pub(crate) fn level(&self, index: usize) -> Span {
        let Some(lane) = self.lanes.get(index) else {
            return Span::ZERO;
        };
        let dts = |q: &Queued| frame(q).map(|f| (q.region, f.dts));
        let first = lane.queue.values().find_map(dts);
        let last = lane.queue.values().rev().find_map(dts);
        match (first, last) {
            (Some((a, first)), Some((b, last))) if a == b => last - first,
            // Across a jump of the clock the length is not known: enough to go on with.
            (Some(_), Some(_)) => HOLE.times(3_600),
            _ => Span::ZERO,
        }
    }

    /// Whether a lane holds all that it may, but for its length.
    pub(crate) fn is_full(&self, index: usize) -> bool {
        let full = |l: &Lane| l.bytes >= LANE_BYTES || l.queue.len() >= LANE_ITEMS;
        self.lanes.get(index).is_some_and(full)
    }

    /// Whether any frame went on.
    pub(crate) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// The time of what is next, and when it arrived; `None` where nothing waits.
    pub(crate) fn waiting(&self) -> Option<(Timestamp, Timestamp)> {
        let head = self.lanes.get(self.first_lane()?)?.head()?;
        let dts = frame(head)?.dts + self.offset_of(head);
        Some((dts, head.ready.arrived))
    }

    /// The first time in the leading lane, and the latest.
    pub(crate) fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        let queued = self.lanes.first()?.queue.values();
        let mut times = queued.filter_map(|q| Some(frame(q)?.dts + self.offset_of(q)));
        let first = times.next()?;
        Some((first, times.fold(first, Timestamp::max)))
    }

    /// The next item, once every lane has told what it has, or regardless of those that have not.
    pub(crate) fn pop(&mut self, regardless: bool) -> Option<Ready> {
        loop {
            if let Some(ready) = self.pop_word() {
                return Some(ready);
            }
            let starved = self.lanes.iter().any(|l| l.queue.is_empty() && !l.ended);
            if starved && !regardless {
                return None;
            }
            let index = self.first_lane()?;
            let queued = self.lanes.get_mut(index)?.pop()?;
            let leads = index == 0 || self.lanes.first().is_none_or(|l| l.ended);
            if !self.begun && !leads {
                continue;
            }
            self.begun = true;
            return Some(self.place(queued));
        }
    }

    /// Items that are no frames do not wait for anything.
    pub(crate) fn pop_word(&mut self) -> Option<Ready> {
        let words = |l: &&mut Lane| l.head().is_some_and(|q| frame(q).is_none());
        let lane = self.lanes.iter_mut().find(words)?;
        lane.pop().map(|q| q.ready)
    }

    fn first_lane(&self) -> Option<usize> {
        let heads = self.lanes.iter().enumerate();
        let heads = heads.filter_map(|(i, lane)| {
            let head = lane.head()?;
            Some((head.region, frame(head)?.dts, i))
        });
        heads.min().map(|(.., index)| index)
    }

    fn offset_of(&self, queued: &Queued) -> Span {
        self.offsets
            .get(&queued.region)
            .copied()
            .unwrap_or_default()
    }

    /// Puts a frame on the one clock; the first of a region decides where that goes on.
    fn place(&mut self, mut queued: Queued) -> Ready {
        if let Item::Frame(frame) = &mut queued.ready.item {
            let next = self.tracks.iter().map(|t| t.dts + t.step).max();
            let goes_on = || next.map_or(Span::ZERO, |next| next - frame.dts);
            let offset = *self.offsets.entry(queued.region).or_insert_with(goes_on);
            frame.dts += offset;
            frame.pts += offset;
            self.note(frame.track, frame.dts, frame.duration);
            trim(&mut self.offsets);
        }
        queued.ready
    }

    fn note(&mut self, track: TrackId, dts: Timestamp, duration: Option<Span>) {
        // How long data lasts says nothing of where media goes on.
        if kind_of(track) == TrackKind::Data {
            return;
        }
        let sane = |step: &Span| (Span::ZERO..HOLE).contains(step);
        if let Some(recent) = self.tracks.iter_mut().find(|t| t.track == track) {
            let step = duration.unwrap_or(dts - recent.dts);
            recent.step = Some(step).filter(sane).unwrap_or(recent.step);
            recent.dts = dts;
        } else {
            let step = duration.filter(sane).unwrap_or(STEP);
            self.tracks.push(Recent { track, dts, step });
        }
    }
}

impl Lane {
    fn head(&self) -> Option<&Queued> {
        self.queue.first_key_value().map(|(_, queued)| queued)
    }

    fn pop(&mut self) -> Option<Queued> {
        let (_, queued) = self.queue.pop_first()?;
        self.bytes -= bytes(&queued.ready.item);
        Some(queued)
    }

    /// Muxers send sound in lumps, behind the pictures of the same time: it goes to its place
    /// among these, so that it leaves as finely interleaved as it was. A loss is where it was found.
    fn insert(&mut self, queued: Queued) {
        let new = frame(&queued).map(|f| (queued.region, f.track, f.dts));
        let region = new.map(|(region, ..)| region);
        let back = new.and_then(|(_, track, dts)| Some(*self.latest.get(&track)? - dts));
        let lost = matches!(queued.ready.item, Item::Lost);
        // A clock that went back begins anew: nothing of it is to be sorted into what was before.
        if !lost && (region.is_none() || region != self.open || back.is_some_and(|b| b > HOLE)) {
            self.run += 1;
            self.open = region;
            self.latest.clear();
        }
        let edge = self.latest.values().max().filter(|_| lost);
        let mut time = edge.copied().unwrap_or(Timestamp::ZERO);
        if let Some((_, track, dts)) = new {
            let latest = self.latest.entry(track).or_insert(dts);
            *latest = dts.max(*latest);
            time = *latest;
        }
        self.came += 1;
        self.bytes += bytes(&queued.ready.item);
        self.queue.insert((self.run, time, self.came), queued);
    }

    fn shift_in(
        &mut self,
        region: Region,
        dts: Timestamp,
        origins: &mut BTreeMap<Region, Timestamp>,
    ) -> Span {
        if let Some((known, shift)) = self.shift
            && known == region
        {
            return shift;
        }
        let origin = *origins.entry(region).or_insert(dts);
        let apart = (origin - dts).as_nanos();
        let wraps = (apart.saturating_add(WRAP.as_nanos() / 2)).div_euclid(WRAP.as_nanos());
        let shift = WRAP.times(wraps);
        self.shift = Some((region, shift));
        shift
    }
}

const fn frame(queued: &Queued) -> Option<&Frame> {
    match &queued.ready.item {
        Item::Frame(frame) => Some(frame),
        _ => None,
    }
}

/// What it holds.
pub(crate) const fn bytes(item: &Item) -> usize {
    match item {
        Item::Frame(frame) => frame.payload.len(),
        _ => 0,
    }
}

fn is_picture(item: &Item) -> bool {
    matches!(item, Item::Frame(f) if kind_of(f.track) == TrackKind::Video)
}

fn trim<T>(regions: &mut BTreeMap<Region, T>) {
    while regions.len() > REGIONS {
        regions.pop_first();
    }
}

#[cfg(test)]
mod tests;
