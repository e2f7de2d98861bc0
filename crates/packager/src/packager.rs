//! The state machine: frames and time in, snapshots, effects and deadlines out.

mod guide;
mod learning;
mod renditions;

use std::collections::VecDeque;
use std::sync::Arc;

use container::fmp4::Mp4Error;
use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};

use crate::config::Config;
use crate::cue::DateRanges;
use crate::cut::{Cut, Kind};
use crate::dash::{Dash, PeriodMark};
use crate::gop::{self, Choice, GopMeter};
use crate::lead::Lead;
use crate::media::{Gone, Media, Snapshot};
use crate::numbering::{self, Grid, Restored, Row, Start};
use crate::release::Release;
use crate::track::{Face, SILENT_BEHIND, TrackPackager};
use crate::ts;

/// A player is not kept waiting for a track beyond this many segments of the lead track.
const WAIT_SEGMENTS: usize = 2;

/// A rendition of the presentation, as `Packager::add_rendition` gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RenditionId(u32);

/// What can not be packaged.
#[derive(Debug, thiserror::Error)]
#[error("track {track}: {source}")]
pub struct Error {
    /// The track that is left out.
    pub track: TrackId,
    /// Why.
    pub source: Mp4Error,
}

/// What must be remembered beyond this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A numbering row came into force.
    Row(Row),
    /// Run-ahead or discontinuity number changed.
    State(Restored),
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Parts released, over all tracks.
    pub parts: u64,
    /// Segments completed, over all tracks.
    pub segments: u64,
    /// Segments that begin without a keyframe because none came in time.
    pub forced_cuts: u64,
    /// Times that the playlists were frozen for want of media.
    pub holds: u64,
    /// Times that the playlists went on beyond a hole.
    pub jumps: u64,
    /// Discontinuities: changed parameters, or an appended row.
    pub discontinuities: u64,
    /// Frames that could not be placed.
    pub dropped: u64,
    /// Frames of silence that were filled in.
    pub silent_frames: u64,
    /// Segments that a further video track could not begin for want of a keyframe at their start.
    pub unaligned: u64,
}

#[derive(Debug)]
struct Rendition {
    id: RenditionId,
    name: String,
    /// Among the others, as players shall prefer them.
    place: usize,
    tracks: Vec<TrackPackager>,
    /// What CMAF cannot carry, which was said once.
    refused: Vec<Track>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The keyframe interval is not known yet.
    Learning,
    /// The next random-access point begins a new list.
    Waiting,
    Live,
    Ended,
}

/// Packages one presentation.
#[derive(Debug)]
pub struct Packager {
    config: Config,
    start: Start,
    grid: Option<Grid>,
    gop: GopMeter,
    lead: Lead,
    renditions: Vec<Rendition>,
    next_rendition: u32,
    /// Players shall prefer them in another order than the snapshot says.
    arranged: bool,
    phase: Phase,
    hold: bool,
    /// A new list is being filled and readers still see the old one.
    pending: bool,
    discontinuity: bool,
    discontinuity_sequence: u64,
    last: Option<u64>,
    learning: VecDeque<(RenditionId, Frame)>,
    learning_bytes: usize,
    learning_since: Option<Timestamp>,
    /// Of tracks that come or are gone.
    releases: VecDeque<Release>,
    /// What is served of them.
    gone: Arc<Vec<Gone>>,
    dash: Arc<Dash>,
    /// Tracks of cues.
    cue_tracks: Vec<TrackId>,
    ranges: Arc<DateRanges>,
    /// Of the Period that an earlier process told of.
    mark: Option<PeriodMark>,
    snapshot: Arc<Snapshot>,
    effects: VecDeque<Effect>,
    stored: Option<Restored>,
    counters: Counters,
}

impl Packager {
    /// A packager that goes on from what was `restored`, at UTC `now`.
    #[must_use]
    pub fn new(config: Config, restored: Option<Restored>, now: Timestamp) -> Self {
        let start = numbering::resume(restored, config.segment, config.max_lead, now);
        let grid = match start {
            Start::Resume(grid, _) => Some(grid),
            Start::Fresh | Start::Append(_) => None,
        };
        let snapshot = Snapshot::default();
        let mut packager = Self {
            config,
            start,
            grid,
            gop: GopMeter::default(),
            lead: Lead::default(),
            renditions: Vec::new(),
            next_rendition: 0,
            arranged: false,
            phase: if grid.is_some() {
                Phase::Waiting
            } else {
                Phase::Learning
            },
            hold: false,
            pending: true,
            discontinuity: false,
            discontinuity_sequence: restored.map_or(0, |r| r.discontinuity),
            last: None,
            learning: VecDeque::new(),
            learning_bytes: 0,
            learning_since: None,
            releases: VecDeque::new(),
            gone: Arc::clone(&snapshot.gone),
            dash: Arc::new(Dash::new(&config)),
            cue_tracks: Vec::new(),
            ranges: Arc::default(),
            mark: None,
            snapshot: Arc::new(snapshot),
            effects: VecDeque::new(),
            stored: restored,
            counters: Counters::default(),
        };
        if let Some(restored) = restored {
            packager.resume_dash(restored, now);
        }
        packager
    }

    /// Another source goes on with the next group of this rendition: how far its first keyframe lies
    /// from the last one of the other does not shape segments.
    pub fn splice(&mut self, id: RenditionId) {
        if self.renditions.first().is_some_and(|r| r.id == id) {
            self.gop.splice();
        }
    }

    /// One frame of a rendition, which arrived at UTC `now`.
    pub fn frame(&mut self, id: RenditionId, frame: Frame, now: Timestamp) {
        if self.cue_tracks.contains(&frame.track) {
            return self.cue(id, &frame);
        }
        match self.phase {
            Phase::Learning => self.learn(id, frame, now),
            Phase::Ended => self.counters.dropped += 1,
            Phase::Waiting | Phase::Live => {
                self.package(id, frame, now);
                self.refresh();
            }
        }
    }

    /// Time alone: notices silence, lets go of what is no longer served.
    pub fn tick(&mut self, now: Timestamp) {
        let silent = self
            .lead
            .arrival
            .is_some_and(|at| now - at >= self.patience());
        match self.phase {
            Phase::Live if silent => self.enter_hold(),
            Phase::Learning if self.learning_is_over(now) || silent => {
                let choice = gop::irregular(self.config.segment, self.gop.longest());
                self.settle(choice, now);
            }
            _ => {}
        }
        self.close_numbers(now);
        self.expire(now);
        self.refresh();
    }

    /// When `tick` wants to be called, whatever comes before.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let silence = match self.phase {
            Phase::Live => self.lead.arrival.map(|at| at + self.patience()),
            Phase::Learning => {
                let over = self.learning_since.map(|at| at + gop::LONGEST);
                let silent = self.lead.arrival.map(|at| at + self.patience());
                over.into_iter().chain(silent).min()
            }
            Phase::Waiting => self.next_closing(),
            Phase::Ended => None,
        };
        let expiries = self.all_tracks().filter_map(TrackPackager::next_expiry);
        let gone = self.gone.iter().map(|g| g.until);
        expiries.chain(gone).chain(silence).min()
    }

    /// Ends the stream: the open segments are completed, the playlists say so.
    pub fn end(&mut self) {
        self.phase = Phase::Ended;
        self.pending = false;
        for track in self.all_tracks_mut() {
            track.end_segment();
        }
        self.note_end();
        self.refresh();
    }

    /// Freezes the playlists as if media were away: somebody else will go on with them.
    pub fn suspend(&mut self) {
        if self.phase == Phase::Live {
            self.enter_hold();
            self.refresh();
        }
    }

    /// Lists more or less media from now on.
    pub fn set_window(&mut self, window: Span) {
        let served = std::mem::replace(&mut self.config.window, window);
        self.note_window(served);
        for track in self.all_tracks_mut() {
            track.set_window(window);
        }
    }

    /// What readers see. Its version grows with every change.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What readers of growing segments are told next; those of one track come in their order.
    pub fn next_release(&mut self) -> Option<Release> {
        let gone = self.releases.pop_front();
        gone.or_else(|| self.all_tracks_mut().find_map(TrackPackager::next_release))
    }

    /// The next thing to store, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What a store should hold now; `None` until a row is in force and a segment was begun.
    #[must_use]
    pub fn state(&self) -> Option<Restored> {
        let grid = self.grid?;
        Some(Restored {
            row: grid.row,
            run_ahead: grid.ahead,
            discontinuity: self.discontinuity_number(),
            highest: self.last?,
            as_of: None,
            period: self.period_mark(),
        })
    }

    /// Sums over all tracks.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.all_tracks().fold(self.counters, |sum, t| Counters {
            parts: sum.parts + t.counters.parts,
            segments: sum.segments + t.counters.segments,
            dropped: sum.dropped + t.counters.dropped,
            silent_frames: sum.silent_frames + t.counters.silent_frames,
            unaligned: sum.unaligned + t.counters.unaligned,
            ..sum
        })
    }

    /// Whether the playlists are frozen for want of media.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.hold
    }

    /// Cues are those of the first rendition.
    fn cue(&mut self, id: RenditionId, frame: &Frame) {
        if self.renditions.first().is_none_or(|r| r.id != id) || self.phase == Phase::Ended {
            return;
        }
        for track in self.all_tracks_mut() {
            track.cue(frame);
        }
        if Arc::make_mut(&mut self.ranges).take(&frame.payload, frame.pts, frame.dts) {
            self.refresh();
        }
    }

    fn forget_ranges(&mut self) {
        let first = self.snapshot.media.first().and_then(|m| m.segments.first());
        let Some(first) = first.map(|s| s.start) else {
            return;
        };
        let mut ranges = DateRanges::clone(&self.ranges);
        if ranges.forget(first) {
            self.ranges = Arc::new(ranges);
        }
    }

    fn package(&mut self, id: RenditionId, frame: Frame, now: Timestamp) {
        let leads = self.is_lead(id, frame.track);
        if leads && !self.advance(&frame, now) {
            self.counters.dropped += 1;
            return;
        }
        let Some(track) = self.track_mut(id, frame.track) else {
            return;
        };
        if leads {
            track.reached = None;
        }
        track.push(frame, now);
        if leads {
            self.lead_on(now);
            self.fill_silence(now);
        }
    }

    /// Tells the other video tracks how far the lead has come.
    fn lead_on(&mut self, now: Timestamp) {
        let reached = self.lead.reached;
        let mut video_first = self.all_tracks_mut();
        let _lead = video_first.next();
        for track in video_first.filter(|t| t.track.kind == TrackKind::Video) {
            track.follow(reached, now);
        }
    }

    /// Decides whether `frame` of the lead track begins a segment; `false` drops it.
    fn advance(&mut self, frame: &Frame, now: Timestamp) -> bool {
        let hole = self.lead.hole(frame);
        let absent = hole.is_some_and(|hole| hole > self.patience().min(self.config.segment));
        if absent && self.phase == Phase::Live {
            self.enter_hold();
            // Readers see the hint go before the jump.
            self.refresh();
        }
        let placed = match self.phase {
            Phase::Waiting => frame.random_access && self.begin_list(frame, now),
            _ => self.go_on(frame, hole, now),
        };
        self.lead.observe(frame, now);
        if placed {
            self.gop.frame();
        }
        placed
    }

    /// A frame while time goes on.
    fn go_on(&mut self, frame: &Frame, hole: Option<Span>, now: Timestamp) -> bool {
        let (Some(grid), Some(last)) = (self.grid, self.last) else {
            return false;
        };
        let t = self.lead.time(frame);
        let number = last + 1;
        if !frame.random_access {
            if self.lead.forces(t, number, &grid, &self.gop) {
                self.counters.forced_cuts += 1;
                self.cut(Kind::Forced, number, frame.dts, now);
            } else if grid.row.regular && self.lead.is_overdue(t, &grid) {
                self.expect_no_end(now);
            }
            return true;
        }
        if hole.is_some() {
            self.gop.interrupt();
        }
        let row = self.note_keyframe(frame, &grid, number);
        let broken = self.discontinuity || row.is_some();
        if broken && hole.is_some() {
            return self.begin_list(frame, now);
        }
        if broken {
            self.counters.discontinuities += 1;
            self.adopt(row, number, t);
            self.cut(Kind::Discontinuity, number, t, now);
        } else if self.lead.starts(t, number, &grid, &self.gop) {
            if self.lead.misses(t, number, &grid) {
                return self.begin_list(frame, now);
            }
            self.cut(Kind::Keyframe, number, t, now);
        } else if self.lead.passes(t, &self.gop) {
            self.expect_end(&grid, t, now);
        }
        true
    }

    /// The row to append if the source's keyframes no longer fit the one in force.
    fn note_keyframe(&mut self, frame: &Frame, grid: &Grid, n0: u64) -> Option<Row> {
        if self.lead.audio {
            return None;
        }
        let (interval, _) = self.gop.keyframe(frame.pts)?;
        if !self.gop.outgrows(&grid.row, interval) || self.lead.is_fresh(frame.pts) {
            return None;
        }
        let choice = self.gop.choose(self.config.segment, &grid.row);
        Some(self.row(choice, frame.pts, n0))
    }

    fn row(&self, choice: Choice, t0: Timestamp, n0: u64) -> Row {
        Row {
            t0,
            n0,
            d: choice.d,
            target_duration: choice.target_duration,
            regular: choice.regular,
            segment: self.config.segment,
        }
    }

    /// Puts a new row in force, or notes how far `number` runs ahead of the old one.
    fn adopt(&mut self, row: Option<Row>, number: u64, t: Timestamp) {
        let Some(grid) = self.grid.as_mut() else {
            return;
        };
        if let Some(row) = row {
            *grid = Grid { row, ahead: 0 };
            self.effects.push_back(Effect::Row(row));
            return;
        }
        let on_grid = grid.row.index(t);
        grid.ahead = grid.ahead.max(number.saturating_sub(on_grid));
    }

    /// A new list begins with this random-access point.
    fn begin_list(&mut self, frame: &Frame, now: Timestamp) -> bool {
        let Some(mut grid) = self.grid else {
            return false;
        };
        let t = frame.pts;
        let number = match self.start {
            Start::Resume(_, first) if self.last.is_none() => {
                if grid.row.index(t) < first {
                    return false;
                }
                let given_up = self.dash.closed.map_or(0, |closed| closed + 1);
                given_up.max(grid.row.index(t) + grid.ahead)
            }
            _ => grid.after_hole(self.last.max(self.dash.closed), t),
        };
        grid.ahead = number - grid.row.index(t);
        self.grid = Some(grid);
        if !self.lead.audio && self.phase == Phase::Waiting {
            self.gop.interrupt();
            self.gop.keyframe(t);
        }
        self.freeze();
        self.note_return(number, t);
        self.lead.begin(t, grid.time(number));
        self.counters.jumps += u64::from(self.last.is_some());
        self.cut(Kind::Jump, number, t, now);
        self.phase = Phase::Live;
        true
    }

    /// Readers keep the old list until the new one has a complete segment.
    fn freeze(&mut self) {
        if !self.hold && !self.pending {
            self.hold = true;
            self.note_hole();
            for track in self.all_tracks_mut() {
                track.end_segment();
            }
            self.refresh();
        }
        (self.pending, self.discontinuity) = (true, false);
    }

    fn cut(&mut self, kind: Kind, number: u64, at: Timestamp, now: Timestamp) {
        let Some(grid) = self.grid else {
            return;
        };
        let cut = Cut { number, at, kind };
        self.forget_ranges();
        self.expect_end(&grid, at, now);
        for track in self.all_tracks_mut() {
            track.cut(cut, now);
        }
        self.lead.next(at);
        self.last = Some(number);
        self.discontinuity = false;
        self.adopt(None, number, at);
        if !self.pending {
            self.describe(number, at, now, false);
        }
        self.remember();
    }

    /// Counted from `origin`, the open segment ends where a regular source's keyframe is due.
    fn expect_end(&mut self, grid: &Grid, origin: Timestamp, now: Timestamp) {
        let at = grid.row.regular.then(|| origin + grid.row.d);
        for track in self.all_tracks_mut() {
            track.expect_end(at, now);
        }
    }

    /// The keyframe that was to come did not.
    fn expect_no_end(&mut self, now: Timestamp) {
        for track in self.all_tracks_mut() {
            track.expect_end(None, now);
        }
    }

    /// Tells the store what changed, except the highest number, which it reads by itself.
    fn remember(&mut self) {
        let Some(state) = self.state() else {
            return;
        };
        let same = self.stored.is_some_and(|s| {
            (s.row, s.run_ahead, s.discontinuity, s.period)
                == (
                    state.row,
                    state.run_ahead,
                    state.discontinuity,
                    state.period,
                )
        });
        if !same {
            self.effects.push_back(Effect::State(state));
        }
        self.stored = Some(state);
    }

    fn enter_hold(&mut self) {
        self.phase = Phase::Waiting;
        self.hold = true;
        self.counters.holds += 1;
        self.note_hole();
        self.gop.interrupt();
        for track in self.all_tracks_mut() {
            track.end_segment();
            track.withdraw_hint();
        }
    }

    fn fill_silence(&mut self, now: Timestamp) {
        let Some(edge) = self.lead.end else {
            return;
        };
        if self.lead.audio || self.phase != Phase::Live {
            return;
        }
        let since = self.lead.resumed;
        for track in self.all_tracks_mut() {
            if track.track.kind == TrackKind::Audio {
                let patience = track.patience() - SILENT_BEHIND;
                track.fill((since, edge - SILENT_BEHIND), patience, now);
            }
        }
    }

    /// How long silence may last before it is an absence: one segment.
    fn patience(&self) -> Span {
        self.grid.map_or(self.config.segment, |g| g.row.d)
    }

    fn expire(&mut self, now: Timestamp) {
        for track in self.all_tracks_mut() {
            track.expire(now);
        }
        if self.gone.iter().any(|g| g.until <= now) {
            Arc::make_mut(&mut self.gone).retain(|g| g.until > now);
        }
    }

    /// Makes a new snapshot if any playlist changed.
    fn refresh(&mut self) {
        if self.pending && self.list_is_ready() {
            (self.pending, self.hold) = (false, self.phase == Phase::Waiting);
            self.describe_list();
        }
        let frozen = self.pending;
        let other = |lead: &TrackPackager| lead.track.kind != TrackKind::Video && !self.lead.audio;
        let waits = |lead: &TrackPackager| other(lead) || !lead.has_complete();
        if !frozen && self.phase != Phase::Ended && self.lead_track().is_some_and(waits) {
            // The next one to lead lists nothing yet.
            return;
        }
        let face = self.face();
        let listed = |t: &mut TrackPackager| match frozen {
            true => t.published(),
            false => t.has_complete().then(|| t.publish(face)),
        };
        let media: Vec<Arc<Media>> = self.all_tracks_mut().filter_map(listed).collect();
        let old = &self.snapshot.media;
        let same = Arc::ptr_eq(&self.snapshot.gone, &self.gone)
            && self.snapshot.ranges == self.ranges
            && old.len() == media.len()
            && old.iter().zip(&media).all(|(a, b)| Arc::ptr_eq(a, b));
        let arranged = std::mem::take(&mut self.arranged);
        if !same || arranged {
            self.snapshot = Arc::new(Snapshot {
                beside: self.beside(&media),
                variants: self.variants(&media),
                media,
                version: self.snapshot.version + 1,
                edge: self.lead.end,
                gone: Arc::clone(&self.gone),
                ranges: Arc::clone(&self.ranges),
            });
        }
    }

    /// Sounds that lie beside pictures in MPEG-TS, or did.
    fn beside(&self, media: &[Arc<Media>]) -> Arc<[Arc<str>]> {
        let before = &self.snapshot;
        let same = |(a, b): (&Arc<Media>, &Arc<Media>)| a.id == b.id && a.track == b.track;
        let is_same = before.media.len() == media.len()
            && before.media.iter().zip(media).all(same)
            && Arc::ptr_eq(&before.gone, &self.gone);
        if is_same {
            return Arc::clone(&before.beside);
        }
        let is_there =
            |id: &str| media.iter().any(|m| m.id == id) || self.gone.iter().any(|g| *g.id == *id);
        ts::beside(media, &before.beside, is_there).into()
    }

    /// The pictures among these, as players shall prefer them.
    fn variants(&self, media: &[Arc<Media>]) -> Vec<usize> {
        let place = |m: &usize| {
            let mut renditions = self.renditions.iter();
            let of = renditions.find(|r| r.name == media[*m].rendition);
            of.map(|r| r.place)
        };
        let is_video = |m: &usize| media[*m].track.kind == TrackKind::Video;
        let mut variants: Vec<usize> = (0..media.len()).filter(is_video).collect();
        variants.sort_by_key(place);
        variants
    }

    fn list_is_ready(&self) -> bool {
        let lead = self
            .lead_track()
            .map_or(0, TrackPackager::complete_segments);
        lead >= WAIT_SEGMENTS || lead > 0 && self.all_tracks().all(TrackPackager::has_complete)
    }

    fn face(&self) -> Face {
        let row = self.grid.map(|g| g.row);
        Face {
            target_duration: row.map_or(0, |r| r.target_duration),
            independent_segments: row.is_some_and(|r| r.regular),
            hold: self.hold,
            ended: self.phase == Phase::Ended,
        }
    }

    fn discontinuity_number(&self) -> u64 {
        let lead = self.lead_track().map(TrackPackager::discontinuity);
        lead.unwrap_or(self.discontinuity_sequence)
    }

    fn lead_track(&self) -> Option<&TrackPackager> {
        self.renditions.first()?.tracks.first()
    }

    fn is_lead(&self, id: RenditionId, track: TrackId) -> bool {
        let first = self.renditions.first().filter(|r| r.id == id);
        let lead = first.and_then(|r| r.tracks.first());
        lead.is_some_and(|t| t.track.id == track)
    }

    fn track_mut(&mut self, id: RenditionId, track: TrackId) -> Option<&mut TrackPackager> {
        let rendition = self.renditions.iter_mut().find(|r| r.id == id)?;
        rendition.tracks.iter_mut().find(|t| t.track.id == track)
    }

    fn all_tracks(&self) -> impl Iterator<Item = &TrackPackager> {
        self.renditions.iter().flat_map(|r| &r.tracks)
    }

    fn all_tracks_mut(&mut self) -> impl Iterator<Item = &mut TrackPackager> {
        self.renditions.iter_mut().flat_map(|r| &mut r.tracks)
    }
}
