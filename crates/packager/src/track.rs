//! One track: samples become parts, parts become segments, segments enter and leave the list.

mod told;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use container::fmp4::{self, Opening};
use media::{Frame, Span, Timestamp, Track, TrackKind};

use crate::cadence::Cadence;
use crate::config::{Chunk, Config};
use crate::cut::{Cut, Kind};
use crate::fill;
use crate::media::Media;
use crate::part::{OpenPart, Sample};
use crate::release::What;
use crate::segment::{Init, PartName, Segment};

/// Cues of one segment.
const CUES: usize = 64;
/// Frames that wait for the first cut: more than any interleaving of sound and pictures.
const EARLY: usize = 512;

/// Sound that is this much behind the pictures is taken for lost and filled with silence.
const SILENT_AFTER: Span = Span::from_millis(1_000);
/// Once it is, this is how far the silence stays behind.
pub(crate) const SILENT_BEHIND: Span = Span::from_millis(250);
/// How far apart the sound of two encoders may lie where the pictures follow each other: more would
/// outgrow the target duration.
const CHANGE: Span = Span::from_millis(400);
/// The least sound that goes out by itself: a chunk costs a hundred bytes.
const SOUND_CHUNK: Span = Span::from_millis(100);
/// Sound that comes later than this is not waited for.
const LATEST: Span = Span::from_millis(3_500);
/// A segment that is to begin is given up once the lead is so far beyond: what fills in for sound
/// that is late has been waited for.
const GIVEN_UP: Span = Span::from_millis(4_000);

/// What a playlist needs besides the track's own state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) target_duration: u32,
    pub(crate) independent_segments: bool,
    pub(crate) hold: bool,
    pub(crate) ended: bool,
}

#[derive(Debug)]
pub(crate) struct TrackPackager {
    pub(crate) id: Arc<str>,
    rendition: String,
    pub(crate) track: Track,
    init: Arc<Init>,
    timescale: u32,
    cadence: Cadence,
    chunk: Chunk,
    part_wish: Span,
    part_target: Option<Span>,
    window: Span,
    /// How far the lead has come, for a further video track: cuts are known up to there.
    pub(crate) reached: Option<Timestamp>,
    cuts: VecDeque<Cut>,
    early: VecDeque<Frame>,
    open: Option<Segment>,
    part: OpenPart,
    /// Whether the open segment has a chunk.
    begun: bool,
    listed: Vec<Arc<Segment>>,
    retained: VecDeque<(Timestamp, Arc<Segment>)>,
    discontinuity_sequence: u64,
    expected_end: Option<Timestamp>,
    /// Presentation behind decoding at the start of the open segment.
    shift: Span,
    next_part: PartName,
    sequence: u32,
    filling: bool,
    /// Where the samples of the configuration before ended, until there is one of this.
    seam: Option<Timestamp>,
    /// Frames may come that were here already.
    handed: bool,
    /// Whether sound came while silence stood in its place.
    late: bool,
    patience: Span,
    /// Whether cues come beside it.
    pub(crate) cued: bool,
    /// Whether captions were ever seen inside the video.
    captions: bool,
    releases: VecDeque<What>,
    published: Option<Arc<Media>>,
    face: Option<Face>,
    changed: bool,
    /// It could not begin a segment, and has none that is complete since.
    pub(crate) lost: bool,
    pub(crate) counters: TrackCounters,
}

/// What happened in one track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TrackCounters {
    pub(crate) parts: u64,
    pub(crate) segments: u64,
    pub(crate) silent_frames: u64,
    pub(crate) dropped: u64,
    pub(crate) unaligned: u64,
}

/// Where a frame lies as seen from the next cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    /// It begins the segment.
    At,
    /// It shows that no frame will begin the segment.
    Beyond,
}

impl TrackPackager {
    pub(crate) fn new(
        id: &str,
        rendition: &str,
        track: Track,
        config: &Config,
        discontinuity_sequence: u64,
    ) -> Result<Self, fmp4::Mp4Error> {
        let init = Arc::new(Init::of(&track)?);
        let timescale = fmp4::timescale(&track.config);
        Ok(Self {
            id: id.into(),
            rendition: rendition.to_owned(),
            cadence: Cadence::new(&track, timescale),
            track,
            init,
            timescale,
            chunk: config.chunk,
            part_wish: config.part,
            part_target: None,
            window: config.window,
            reached: None,
            cuts: VecDeque::new(),
            early: VecDeque::new(),
            open: None,
            part: OpenPart::default(),
            begun: false,
            listed: Vec::new(),
            retained: VecDeque::new(),
            discontinuity_sequence,
            expected_end: None,
            shift: Span::ZERO,
            next_part: PartName {
                segment: 0,
                index: 0,
            },
            sequence: 0,
            filling: false,
            seam: None,
            handed: false,
            late: false,
            patience: SILENT_AFTER,
            cued: false,
            captions: false,
            releases: VecDeque::new(),
            published: None,
            face: None,
            changed: false,
            lost: false,
            counters: TrackCounters::default(),
        })
    }

    /// Takes another configuration. The open segment ends with the old one.
    pub(crate) fn reconfigure(
        &mut self,
        track: Track,
        now: Timestamp,
    ) -> Result<(), fmp4::Mp4Error> {
        let init = Arc::new(Init::of(&track)?);
        self.begin_awaited(now);
        self.end_segment();
        self.seam = self.end().or(self.seam);
        self.timescale = fmp4::timescale(&track.config);
        self.cadence = Cadence::new(&track, self.timescale);
        self.init = init;
        self.track = track;
        Ok(())
    }

    /// Sound that did not come for segments that have begun elsewhere was still of the old
    /// configuration, and so is what waits for later ones.
    fn begin_awaited(&mut self, now: Timestamp) {
        self.counters.dropped += self.early.drain(..).len() as u64;
        let Some(payload) = fill::silent_frame(&self.track.config) else {
            return;
        };
        for cut in std::mem::take(&mut self.cuts) {
            let frame = silence(&self.track, cut.at, payload.clone());
            self.start_segment(cut, &frame, now);
        }
    }

    /// Takes another name or language. Media goes on: what is in the init section stays.
    pub(crate) fn rename(&mut self, track: &Track) {
        if self.track != *track {
            self.track = track.clone();
            self.changed = true;
        }
    }

    /// The lead has come this far.
    pub(crate) fn follow(&mut self, reached: Option<Timestamp>, now: Timestamp) {
        self.reached = reached;
        self.release_early(now);
    }

    /// A cue, for whoever gets segments with all that the programme has.
    pub(crate) fn cue(&mut self, cue: &Frame) {
        let cues = self.open.as_mut().and_then(|s| s.cues.as_mut());
        if let Some(cues) = cues.filter(|cues| cues.len() < CUES) {
            cues.push(cue.clone());
        }
    }

    /// Announces a cut; it is made at the first frame that lies beyond it.
    pub(crate) fn cut(&mut self, cut: Cut, now: Timestamp) {
        match cut.kind {
            Kind::Jump => {
                self.end_segment();
                self.clear_list(now);
                self.cuts.clear();
            }
            Kind::Discontinuity => self.end_segment(),
            Kind::Keyframe | Kind::Forced => {}
        }
        self.give_up_overdue(cut.at, now);
        self.cuts.push_back(cut);
        self.release_early(now);
    }

    /// What does not come any more, and cannot be filled in for, is not waited for.
    fn give_up_overdue(&mut self, reached: Timestamp, now: Timestamp) {
        if fill::silent_frame(&self.track.config).is_some() {
            return;
        }
        while let Some(cut) = self.cuts.pop_front_if(|cut| cut.at + GIVEN_UP < reached) {
            self.give_up(cut, now);
        }
    }

    /// The time at which the open segment is expected to end. It names the part after it, and
    /// sound beyond it waits for the cut.
    pub(crate) fn expect_end(&mut self, at: Option<Timestamp>, now: Timestamp) {
        self.expected_end = at;
        if at.is_none() && self.open.is_some() {
            self.release_early(now);
        }
    }

    fn release_early(&mut self, now: Timestamp) {
        for frame in std::mem::take(&mut self.early) {
            self.push(frame, now);
        }
    }

    pub(crate) fn push(&mut self, frame: Frame, now: Timestamp) {
        if self.handed && self.end().is_some_and(|end| frame.dts + self.half() < end) {
            return;
        }
        self.handed = false;
        while let Some(cut) = self.cuts.front().copied() {
            match self.place(&frame, cut) {
                Place::Before => break,
                Place::At => self.start_segment(cut, &frame, now),
                Place::Beyond => self.give_up(cut, now),
            }
            self.cuts.pop_front();
        }
        match (self.open.is_some(), self.cuts.front()) {
            (true, None) if self.waits(&frame) => self.keep_early(frame),
            (true, _) => self.append(&frame),
            (false, None) if self.reached.is_none() || self.waits(&frame) => self.keep_early(frame),
            // What is not listed for want of alignment is counted as that.
            (false, _) => self.counters.dropped += u64::from(self.reached.is_none()),
        }
    }

    /// Whether sound runs ahead of the pictures into what will be the next segment, or a further
    /// video track has a keyframe where the lead has not come yet.
    fn waits(&self, frame: &Frame) -> bool {
        if self.track.kind == TrackKind::Audio {
            let half = self.half();
            let beyond = |at: Timestamp| frame.pts + half >= at;
            return self.expected_end.is_some_and(beyond);
        }
        let beyond = |at: Timestamp| frame.random_access && frame.pts > at;
        let queues = |at: Timestamp| !self.early.is_empty() || beyond(at);
        self.reached.is_some_and(queues)
    }

    /// Half a frame.
    fn half(&self) -> Span {
        Span::from_ticks(self.cadence.nominal() / 2, self.timescale)
    }

    /// Sound that comes before the pictures it belongs to may lie beyond the next cut.
    fn keep_early(&mut self, frame: Frame) {
        if self.early.len() >= EARLY {
            self.early.pop_front();
            self.counters.dropped += 1;
        }
        self.early.push_back(frame);
    }

    fn place(&self, frame: &Frame, cut: Cut) -> Place {
        if self.reached.is_some() {
            return self.place_aligned(frame, cut);
        }
        match self.reaches(frame, cut) {
            true => Place::At,
            false => Place::Before,
        }
    }

    /// A further video track begins its segments where the lead does, with a keyframe where the
    /// lead has one, or not at all: players may switch to it at any segment.
    fn place_aligned(&self, frame: &Frame, cut: Cut) -> Place {
        let half = self.half();
        let late = if frame.random_access {
            frame.pts - cut.at
        } else {
            // Reordering makes this uncertain by about a frame.
            frame.dts + self.shift - half - cut.at
        };
        let begins = match cut.kind {
            Kind::Forced => self.open.is_some() && frame.dts + half >= cut.at,
            _ => frame.random_access && late.abs() <= half,
        };
        match late > half {
            _ if begins => Place::At,
            true => Place::Beyond,
            false => Place::Before,
        }
    }

    /// The list ends without the segment that the cut begins; the next segment that the track can
    /// begin begins another list. Until that is complete nothing of the track is listed.
    fn give_up(&mut self, cut: Cut, now: Timestamp) {
        self.counters.unaligned += 1;
        self.part.clear();
        self.end_release();
        self.releases.push_back(What::Never { number: cut.number });
        self.lost = true;
        self.open = None;
        if let Some(open) = self.listed.pop_if(|s| !s.complete) {
            self.discontinuity_sequence += u64::from(open.discontinuity);
        }
        self.clear_list(now);
        self.discontinuity_sequence += u64::from(cut.kind == Kind::Discontinuity);
        self.changed = true;
    }

    fn reaches(&self, frame: &Frame, cut: Cut) -> bool {
        let half = self.half();
        match self.track.kind {
            TrackKind::Video if cut.kind == Kind::Forced => frame.dts + half >= cut.at,
            TrackKind::Video => frame.random_access && frame.pts + half >= cut.at,
            _ if cut.kind == Kind::Discontinuity => true,
            _ => frame.pts + half >= cut.at,
        }
    }

    fn start_segment(&mut self, cut: Cut, frame: &Frame, now: Timestamp) {
        let flushed = !self.part.is_empty();
        self.end_segment();
        let first_name = PartName {
            segment: cut.number,
            index: 0,
        };
        let before = self.listed.last();
        let other = before.is_none_or(|s| !Arc::ptr_eq(&s.init, &self.init));
        // A name that was hinted stays, unless who fetched it early would decode it with the wrong
        // initialisation section; otherwise the first part is named after its segment.
        if flushed || other {
            self.next_part = self.next_part.max(first_name);
        }
        self.trim(now);
        self.shift = frame.pts - frame.dts;
        self.open = Some(Segment {
            number: cut.number,
            start: frame.pts,
            duration: Span::ZERO,
            independent: frame.random_access,
            discontinuity: cut.kind == Kind::Discontinuity,
            init: Arc::clone(&self.init),
            parts: Vec::new(),
            len: 0,
            complete: false,
            cues: self.cued.then(Vec::new),
        });
    }

    fn append(&mut self, frame: &Frame) {
        self.bridge(frame);
        self.append_one(frame);
    }

    /// Sound of another encoder begins a moment after the last one's ended: a short hole is silence,
    /// players stumble over none.
    fn bridge(&mut self, frame: &Frame) {
        let end = self.end().or_else(|| self.seam.take());
        let (Some(end), Some(payload)) = (end, fill::silent_frame(&self.track.config)) else {
            return;
        };
        let step = Span::from_ticks(self.cadence.nominal(), self.timescale);
        let hole = frame.dts - end;
        if self.open.is_none() || step <= Span::ZERO || hole > CHANGE {
            return;
        }
        // Up to half a frame is for the cadence to absorb.
        let frames = (hole.as_nanos() * 2 / step.as_nanos() + 1) / 2;
        for n in 0..frames {
            self.counters.silent_frames += 1;
            self.append_one(&silence(&self.track, end + step.times(n), payload.clone()));
        }
    }

    fn append_one(&mut self, frame: &Frame) {
        let Some(dts) = self
            .cadence
            .place(frame, self.filling, self.part.begins_chunk())
        else {
            self.counters.dropped += 1;
            self.note_lateness(frame);
            return;
        };
        (self.filling, self.late) = (false, false);
        let duration = self.duration(frame);
        self.make_room(dts, duration);
        let composition = (frame.pts - frame.dts).to_ticks(self.timescale);
        self.place_start(frame, dts);
        self.captions =
            self.captions || media::nal::has_captions(&self.track.config, &frame.payload);
        self.part.push(Sample {
            dts,
            duration,
            composition,
            random_access: frame.random_access,
            payload: frame.payload.clone(),
        });
        if self.chunk_is_full() {
            self.close_chunk();
        }
        self.close_full_part();
    }

    /// A source that slows down has samples that last longer than a part may: the next `tfdt`
    /// absorbs the difference.
    fn duration(&self, frame: &Frame) -> i64 {
        let most = self.part_target.map(|most| most.to_ticks(self.timescale));
        let duration = self.cadence.duration(frame);
        most.map_or(duration, |most| duration.min(most))
    }

    /// A segment starts where its first sample was placed.
    fn place_start(&mut self, frame: &Frame, dts: i64) {
        let first = self.part.is_empty();
        if let Some(open) = self.open.as_mut().filter(|s| first && s.parts.is_empty()) {
            let placed = Span::from_ticks(dts, self.timescale);
            open.start = frame.pts + (placed - (frame.dts - Timestamp::ZERO));
        }
    }

    /// Sound that comes, but later than it was waited for: from now on it is waited for longer.
    fn note_lateness(&mut self, frame: &Frame) {
        self.late = true;
        let behind = self.end().map_or(Span::ZERO, |end| end - frame.dts);
        self.patience = (self.patience.max(behind) + SILENT_BEHIND + SILENT_BEHIND).min(LATEST);
    }

    /// How far this track may fall behind the pictures before silence takes its place.
    pub(crate) fn patience(&self) -> Span {
        if self.filling && !self.late {
            SILENT_BEHIND
        } else {
            self.patience
        }
    }

    /// The latest sample lasts until `dts`, if its part can take that and the sample after it; else
    /// the part ends with the nominal duration and the next `tfdt` absorbs the difference.
    fn make_room(&mut self, dts: i64, duration: i64) {
        let Some((last, was)) = self.part.last() else {
            return;
        };
        let lasts = self.cadence.snap(dts - last, was);
        let grown = self.part.ticks() - was + lasts;
        if grown + duration > self.part_target().to_ticks(self.timescale) {
            self.close_part();
        } else {
            self.part.stretch_last(lasts);
        }
    }

    /// Ends the part when the next frame would not fit, without waiting for that frame.
    fn close_full_part(&mut self) {
        if self.part_target.is_none() && !self.cadence.is_known() {
            return;
        }
        let target = self.part_target().to_ticks(self.timescale);
        if self.part.ticks() + self.cadence.nominal() > target || self.is_over() {
            self.close_part();
        }
    }

    /// Whether the open segment is expected to end with the latest sample.
    fn is_over(&self) -> bool {
        let half = Span::from_ticks(self.cadence.nominal() / 2, self.timescale);
        let over = |end: Timestamp| {
            self.expected_end
                .is_some_and(|at| end + self.shift + half >= at)
        };
        self.end().is_some_and(over)
    }

    fn part_target(&mut self) -> Span {
        let nominal = Span::from_ticks(self.cadence.nominal(), self.timescale);
        *self
            .part_target
            .get_or_insert_with(|| part_target(self.part_wish, nominal))
    }

    /// What goes out by itself: a picture, some sound, or nothing before its part is whole.
    fn chunk_is_full(&self) -> bool {
        let long = self.part.chunk_ticks() >= SOUND_CHUNK.to_ticks(self.timescale);
        match self.chunk {
            Chunk::Part => false,
            Chunk::Frame => self.track.kind == TrackKind::Video || long,
        }
    }

    fn close_chunk(&mut self) {
        let Some(open) = self.open.as_ref() else {
            return;
        };
        self.sequence = self.sequence.wrapping_add(1);
        let (timescale, opens) = (self.timescale, !std::mem::replace(&mut self.begun, true));
        let opening = |first: &Sample| {
            let pts = first.dts + first.composition;
            opens.then(|| Opening {
                utc: Timestamp::from_ticks(pts, timescale),
                media_time: u64::try_from(pts).unwrap_or(0),
            })
        };
        let buffers = self.part.close_chunk(self.sequence, opening);
        if buffers.is_empty() {
            return;
        }
        if opens {
            self.releases.push_back(What::Begin {
                number: open.number,
                init: Arc::clone(&open.init),
            });
        }
        self.releases.push_back(What::Chunk(buffers.into()));
    }

    fn close_part(&mut self) {
        if self.part.is_empty() || self.open.is_none() {
            return;
        }
        self.close_chunk();
        let part = Arc::new(self.part.finish(self.next_part, self.timescale));
        let Some(open) = self.open.as_mut() else {
            return;
        };
        open.duration += part.duration;
        open.len += part.len;
        open.parts.push(part);
        self.name_next();
        self.counters.parts += 1;
        self.list_open();
    }

    /// Where the segment is expected to end here, the next part bears the next segment's name.
    fn name_next(&mut self) {
        let number = self.open.as_ref().map_or(0, |s| s.number);
        self.next_part.index += 1;
        if self.is_over() {
            let segment = number + 1;
            self.next_part = self.next_part.max(PartName { segment, index: 0 });
        }
    }

    /// Puts the growing segment at the end of the list, in place of its former state.
    fn list_open(&mut self) {
        let Some(open) = self.open.as_ref() else {
            return;
        };
        if self.listed.last().is_some_and(|s| s.number == open.number) {
            self.listed.pop();
        }
        self.listed.push(Arc::new(open.clone()));
        self.changed = true;
    }

    /// Completes the open segment with what it has.
    pub(crate) fn end_segment(&mut self) {
        self.fill_empty();
        self.close_part();
        let Some(open) = self.open.as_mut() else {
            return;
        };
        open.complete = true;
        if !open.parts.is_empty() {
            self.list_open();
            self.lost = false;
            self.counters.segments += 1;
        }
        self.end_release();
        self.open = None;
    }

    fn end_release(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.releases.push_back(What::End);
        }
    }

    /// What was hinted at comes no more: who asked for it is told so, and does not ask again.
    pub(crate) fn withdraw_hint(&mut self) {
        self.next_part.index += 1;
    }

    /// A segment without a sample would leave a hole in the numbers: sound gets a moment of silence.
    fn fill_empty(&mut self) {
        let empty = |s: &&Segment| s.parts.is_empty();
        let start = self.open.as_ref().filter(empty).map(|s| s.start);
        let Some(at) = start.filter(|_| self.part.is_empty()) else {
            return;
        };
        if let Some(payload) = fill::silent_frame(&self.track.config) {
            self.counters.silent_frames += 1;
            self.append(&silence(&self.track, at, payload));
        }
    }

    fn trim(&mut self, now: Timestamp) {
        let mut total = self.listed_duration();
        let expiry = now + total;
        // RFC 8216bis 6.2.2: at least three target durations stay.
        let least = self.face.map_or(0, |f| 3 * i64::from(f.target_duration));
        let window = self.window.max(Span::from_secs(least));
        while self.listed.len() > 1 && total - self.listed[0].duration >= window {
            let gone = self.listed.remove(0);
            total -= gone.duration;
            self.discontinuity_sequence += u64::from(gone.discontinuity);
            self.retained.push_back((expiry + gone.duration, gone));
        }
    }

    fn listed_duration(&self) -> Span {
        let add = |sum: Span, s: &Arc<Segment>| sum + s.duration;
        self.listed.iter().fold(Span::ZERO, add)
    }

    /// A new list begins: the old one is no longer listed, and served for its own length.
    fn clear_list(&mut self, now: Timestamp) {
        let expiry = now + self.listed_duration() + self.window;
        for gone in std::mem::take(&mut self.listed) {
            self.discontinuity_sequence += u64::from(gone.discontinuity);
            self.retained.push_back((expiry, gone));
        }
    }

    pub(crate) fn set_window(&mut self, window: Span) {
        self.window = window;
    }

    /// Lets go of what is no longer served, and tells when there will be more of it.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while self.retained.front().is_some_and(|(at, _)| *at <= now) {
            self.retained.pop_front();
            self.changed = true;
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.retained.front().map(|(at, _)| *at)
    }

    /// Where the samples end on the decoding timeline.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let ticks = self.cadence.end()?;
        Some(Timestamp::from_ticks(ticks, self.timescale))
    }

    /// Brings a silent track up to `to` once it has fallen behind by more than `patience`; what
    /// lies before `since` was silent everywhere.
    pub(crate) fn fill(
        &mut self,
        (since, to): (Timestamp, Timestamp),
        patience: Span,
        now: Timestamp,
    ) {
        let (Some(payload), Some(from)) =
            (fill::silent_frame(&self.track.config), self.fill_from())
        else {
            return;
        };
        let from = from.max(since);
        let step = Span::from_ticks(self.cadence.nominal(), self.timescale);
        if step <= Span::ZERO || to - from <= patience {
            return;
        }
        let mut at = from;
        while at < to {
            self.counters.silent_frames += 1;
            self.push(silence(&self.track, at, payload.clone()), now);
            at = self.end().unwrap_or(at + step).max(at + step);
        }
        self.filling = true;
    }

    fn fill_from(&self) -> Option<Timestamp> {
        match self.open {
            Some(_) => self.end(),
            None => self.cuts.front().map(|cut| cut.at),
        }
    }

    pub(crate) fn has_complete(&self) -> bool {
        self.listed.iter().any(|s| s.complete)
    }

    pub(crate) fn complete_segments(&self) -> usize {
        self.listed.iter().filter(|s| s.complete).count()
    }

    pub(crate) fn discontinuity(&self) -> u64 {
        let unlisted = self.open.iter().filter(|s| s.parts.is_empty());
        let begun = self.listed.iter().map(|s| &**s).chain(unlisted);
        let begun = begun.filter(|s| s.discontinuity).count();
        let due = self.cuts.iter().filter(|c| c.kind == Kind::Discontinuity);
        self.discontinuity_sequence + (begun + due.count()) as u64
    }

    /// Its frames come from elsewhere from now on, which may be behind.
    pub(crate) const fn hand_over(&mut self) {
        self.handed = true;
    }

    /// It leads from now on: what waited for the former lead is to be packaged as the lead is.
    pub(crate) fn take_lead(&mut self) -> VecDeque<Frame> {
        self.reached = None;
        std::mem::take(&mut self.early)
    }
}

fn silence(track: &Track, at: Timestamp, payload: Bytes) -> Frame {
    Frame {
        track: track.id,
        dts: at,
        pts: at,
        duration: None,
        random_access: true,
        leading: false,
        payload,
    }
}

/// 1.075 times the wish, which holds 200 ms of frames at common rates and ten AAC frames. Where
/// whole frames would fill less than 85 % of it, the target comes down to what they do fill.
fn part_target(wish: Span, nominal: Span) -> Span {
    let stretch = |d: Span| Span::from_nanos(d.as_nanos() / 1000 * 1075);
    let target = stretch(wish);
    let nominal = nominal.max(Span::from_millis(1));
    let whole = (target.as_nanos() / nominal.as_nanos()).max(1);
    let filled = nominal.times(whole);
    if filled > target || filled.as_nanos() < target.as_nanos() / 100 * 86 {
        stretch(filled)
    } else {
        target
    }
}
