//! Programme time: UTC plus a bounded lead, monotonic whatever the source's clock does. Only where a
//! transcoder reads it may another source begin before the end of the one before.

use std::collections::VecDeque;

use media::{Frame, Span, Timestamp, TrackId};

/// The fastest that a source's offset moves: 200 ppm, unheard and unseen, yet four times the
/// error of a poor crystal.
const SLEW_PPM: i64 = 200;
/// How long the source is watched for its least delayed frame.
const WATCH: Span = Span::from_secs(10);
/// The watch is kept in steps of this length.
const STEP: Span = Span::from_secs(1);

/// A frame that lasts longer is the first one after a pause.
const LONGEST_FRAME: Span = Span::from_millis(100);

/// The least step between two frames.
const LEAST: Span = Span::from_millis(1);
/// How much earlier than the earliest so far a frame may come.
const JITTER: Span = Span::from_millis(100);

/// What those who read the programme make of another source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Continuity {
    /// They get its frames as they are: time never goes back, and what is there of another source
    /// is replayed with lead.
    #[default]
    Passthrough,
    /// They decode them, show none that lies before what they have shown, and fill holes: another
    /// source is on UTC, with frames from before the end of the one before.
    Transcoded,
}

/// Bounds of the programme timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How far the programme may run ahead of UTC.
    pub max_lead: Span,
    /// Silence longer than this is declared a gap: one segment.
    pub gap: Span,
    /// What those who read it make of another source.
    pub continuity: Continuity,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_lead: Span::from_millis(2_000),
            gap: Span::from_millis(2_000),
            continuity: Continuity::default(),
        }
    }
}

/// What happened on the timeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sources that were given an offset.
    pub sources: u64,
    /// Silences longer than a segment.
    pub declared_gaps: u64,
    /// Times that a source which lagged for good, or ran ahead, was moved to where it belongs.
    pub reanchored: u64,
    /// Frames dropped because the source ran ahead of UTC by more than the lead allows.
    pub too_fast: u64,
    /// Frames dropped because they lay before what the programme already holds.
    pub overlapped: u64,
}

/// How far one track of the programme has come.
#[derive(Debug)]
struct Progress {
    id: TrackId,
    last: Timestamp,
    /// From the frame before the last to the last: how long the last will be, presumably.
    interval: Span,
    /// The newest of the present source: before the last one where they overlap, `None` where all
    /// of it is taken.
    taken: Option<Timestamp>,
    /// From DTS to PTS of the last random-access point.
    delay: Span,
    /// The latest PTS since then.
    shown: Timestamp,
}

impl Progress {
    fn new(id: TrackId, dts: Timestamp, pts: Timestamp) -> Self {
        Self {
            id,
            last: dts,
            interval: Span::from_millis(1),
            taken: Some(dts),
            delay: pts - dts,
            shown: pts,
        }
    }

    fn end(&self) -> Timestamp {
        self.last + self.interval
    }

    /// Half a frame: how exact all that is.
    const fn half(&self) -> Span {
        Span::from_nanos(self.interval.as_nanos() / 2)
    }

    /// DTS from which on frames are missing.
    fn missing(&self) -> Timestamp {
        // A later picture came before those that it is shown after: these are missing.
        let ragged = self.shown > self.last + self.delay + self.half();
        if ragged {
            self.end() - self.delay
        } else {
            self.end()
        }
    }

    /// Whether a frame of this DTS is there already.
    fn holds(&self, dts: Timestamp) -> bool {
        // A frame that is read again may lie a little later: the clock was led since.
        self.taken.is_some_and(|taken| dts < taken + LEAST)
    }

    fn advance(&mut self, dts: Timestamp, pts: Timestamp, opens_group: bool) {
        let before = self.taken.replace(dts).unwrap_or(self.last);
        if dts > self.last {
            self.interval = (dts - before).min(LONGEST_FRAME);
            self.last = dts;
        }
        self.shown = self.shown.max(pts);
        if opens_group {
            (self.delay, self.shown) = (pts - dts, pts);
        }
    }
}

/// Where a source would enter the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Programme time of its random-access point.
    pub at: Timestamp,
    /// The programme's lead once all that the source holds is in.
    pub lead: Span,
    /// Whether a silence longer than a segment lies before it.
    pub gap: bool,
    /// Whether its frames are taken, too, that lie before the programme's end.
    pub overlaps: bool,
}

/// Maps one input's frames onto the programme.
#[derive(Debug)]
pub struct Timeline {
    config: Config,
    /// Programme time minus source time.
    offset: Option<Span>,
    /// The track whose end is the programme's.
    lead_track: Option<TrackId>,
    /// A handful, so a list.
    tracks: Vec<Progress>,
    /// Where the source before ended, until the present one that overlaps it has come so far.
    awaited: Option<Timestamp>,
    watch: Watch,
    slewed: Option<Timestamp>,
    skipping: bool,
    counters: Counters,
}

impl Timeline {
    /// A timeline without history.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            offset: None,
            lead_track: None,
            tracks: Vec::new(),
            awaited: None,
            watch: Watch::default(),
            slewed: None,
            skipping: true,
            counters: Counters::default(),
        }
    }

    /// The track that others are entered behind: pictures where there are any.
    pub fn set_lead_track(&mut self, id: Option<TrackId>) {
        self.lead_track = id;
    }

    /// Where a source would enter now that holds `cached` of media behind its random-access point:
    /// where the programme ends, or at UTC where that leaves a gap. A shorter hole is none: what the
    /// programme lags then is caught up with by slewing.
    #[must_use]
    pub fn entry(&self, cached: Span, now: Timestamp) -> Entry {
        let on_utc = now - cached;
        let (at, gap) = match (self.end(), self.last()) {
            (Some(end), _) if on_utc - end <= self.config.gap => (end, false),
            (_, Some(last)) => (on_utc.max(last + LEAST), true),
            _ => (on_utc, false),
        };
        Entry {
            at,
            lead: at + cached - now,
            gap,
            overlaps: false,
        }
    }

    /// Where a source enters whose random-access point belongs at `at`, with `cached` of media behind
    /// it, whatever the programme holds of that time: for those alone who leave out what they have
    /// shown.
    #[must_use]
    pub fn overlap(&self, at: Timestamp, cached: Span, now: Timestamp) -> Entry {
        let gap = |end| at - end > self.config.gap;
        Entry {
            at,
            lead: at + cached - now,
            gap: self.end().is_some_and(gap),
            overlaps: true,
        }
    }

    /// What those who read the programme make of another source.
    #[must_use]
    pub const fn continuity(&self) -> Continuity {
        self.config.continuity
    }

    /// Whether the programme may run ahead of UTC by so much.
    #[must_use]
    pub fn allows(&self, lead: Span) -> bool {
        lead <= self.most()
    }

    /// How far ahead of UTC a source may be entered: at the very bound it would be cut off by its
    /// own jitter.
    #[must_use]
    pub fn most(&self) -> Span {
        let margin = JITTER.min(Span::from_nanos(self.config.max_lead.as_nanos() / 2));
        self.config.max_lead - margin
    }

    /// The time of the present source, on its own clock, from which on its frames of the lead track
    /// are missing in the programme. Half a frame is how exact that is.
    #[must_use]
    pub fn missing(&self) -> Option<(Timestamp, Span)> {
        let track = self.track(self.lead_track?)?;
        Some((track.missing() - self.offset?, track.half()))
    }

    /// PTS from which on nothing of the track is there to be shown.
    #[must_use]
    pub fn shown_until(&self, track: TrackId) -> Option<Timestamp> {
        let leads = self.lead_track == Some(track);
        let track = self.track(track)?;
        // What the present source has of the time before is no news.
        let awaited = self.awaited.filter(|_| leads);
        awaited.or_else(|| Some(track.missing() + track.delay))
    }

    /// The track whose end is the programme's.
    #[must_use]
    pub const fn lead_track(&self) -> Option<TrackId> {
        self.lead_track
    }

    fn track(&self, id: TrackId) -> Option<&Progress> {
        self.tracks.iter().find(|t| t.id == id)
    }

    /// Another source: the frame with this DTS comes at `entry`.
    pub fn enter(&mut self, dts: Timestamp, entry: Entry) {
        self.counters.sources += 1;
        self.counters.declared_gaps += u64::from(entry.gap);
        self.awaited = self.end().filter(|_| entry.overlaps);
        for track in &mut self.tracks {
            track.taken = (!entry.overlaps).then_some(track.last);
        }
        self.set_offset(entry.at - dts);
    }

    /// Whether the present source has not come yet to where the one before ended.
    #[must_use]
    pub const fn overlaps(&self) -> bool {
        self.awaited.is_some()
    }

    /// Another source whose frames are the present one's, `shift` earlier on its own clock.
    pub fn follow(&mut self, shift: Span) {
        if let Some(offset) = self.offset {
            self.counters.sources += 1;
            self.set_offset(offset + shift);
        }
    }

    fn set_offset(&mut self, offset: Span) {
        self.offset = Some(offset);
        self.watch = Watch::default();
        self.slewed = None;
        self.skipping = false;
    }

    /// Programme time of a frame with this DTS of the present source.
    #[must_use]
    pub fn place(&self, dts: Timestamp) -> Option<Timestamp> {
        self.offset.map(|offset| dts + offset)
    }

    /// New bounds, from the next frame on.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
        if config.continuity == Continuity::Passthrough {
            for track in &mut self.tracks {
                track.taken = Some(track.last);
            }
        }
    }

    /// The frame in programme time; `None` drops it. `opens_group` tells that it is the
    /// random-access point that begins a group, where alone the programme may be entered or
    /// moved. `now` is UTC at its arrival.
    pub fn map(&mut self, mut frame: Frame, opens_group: bool, now: Timestamp) -> Option<Frame> {
        if opens_group {
            self.open(&frame, now);
        }
        let offset = self.offset?;
        let dts = frame.dts + offset;
        if self.is_ahead(dts, now) {
            self.skipping = true;
        }
        if self.skipping {
            self.counters.too_fast += 1;
            return None;
        }
        self.watch.note(dts - now, now);
        if !self.advance(&frame, offset, opens_group) {
            self.counters.overlapped += 1;
            return None;
        }
        frame.pts += offset;
        frame.dts = dts;
        self.slew(now);
        Some(frame)
    }

    /// How far the programme runs ahead of UTC, as the least delayed frame of late shows.
    #[must_use]
    pub fn lead(&self) -> Span {
        self.watch.best().unwrap_or(Span::ZERO)
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Chooses or moves the offset at the start of a group.
    fn open(&mut self, frame: &Frame, now: Timestamp) {
        match self.offset {
            None => self.anchor(frame, now),
            Some(_) if self.watch.lags(self.config.gap) => {
                self.counters.reanchored += 1;
                self.anchor(frame, now);
            }
            Some(offset) if self.is_ahead(frame.dts + offset, now) => {
                self.counters.reanchored += 1;
                self.anchor(frame, now);
            }
            Some(_) => self.skipping = false,
        }
    }

    /// A new source, or the same one as if it were.
    fn anchor(&mut self, frame: &Frame, now: Timestamp) {
        let entry = self.entry(Span::ZERO, now);
        self.counters.sources += u64::from(self.offset.is_none());
        self.counters.declared_gaps += u64::from(entry.gap);
        self.set_offset(entry.at - frame.dts);
        // Where the programme itself runs ahead, it waits for UTC.
        self.skipping = self.is_ahead(entry.at, now);
    }

    fn is_ahead(&self, dts: Timestamp, now: Timestamp) -> bool {
        dts > now + self.config.max_lead
    }

    /// Where the lead track's last frame is over, or every track's where there is none.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        let leads = |t: &&Progress| self.lead_track.is_none_or(|lead| lead == t.id);
        let ends = self.tracks.iter().filter(leads).map(Progress::end);
        ends.max().max(self.awaited)
    }

    /// The latest DTS of any track.
    fn last(&self) -> Option<Timestamp> {
        self.tracks.iter().map(|t| t.last).max()
    }

    /// Notes the frame's place; `false` where the track already holds that time.
    fn advance(&mut self, frame: &Frame, offset: Span, opens_group: bool) -> bool {
        let (dts, pts) = (frame.dts + offset, frame.pts + offset);
        match self.tracks.iter_mut().find(|t| t.id == frame.track) {
            Some(track) if track.holds(dts) => return false,
            Some(track) => track.advance(dts, pts, opens_group),
            None => self.tracks.push(Progress::new(frame.track, dts, pts)),
        }
        let leads = self.lead_track.is_none_or(|lead| lead == frame.track);
        // Clocks of whole milliseconds are that exact.
        self.awaited.take_if(|end| leads && dts + LEAST >= *end);
        true
    }

    /// Moves the offset towards UTC, so that a source's drift never adds up.
    fn slew(&mut self, now: Timestamp) {
        let since = self.slewed.replace(now);
        let (Some(since), Some(error), Some(offset)) = (since, self.watch.mature(), self.offset)
        else {
            return;
        };
        let most = ((now - since).as_nanos() / 1_000_000 * SLEW_PPM).max(0);
        let step = (-error.as_nanos()).clamp(-most, most);
        self.offset = Some(offset + Span::from_nanos(step));
        self.watch.shift(Span::from_nanos(step));
    }
}

/// The least delay of the source over a sliding time: the maximum of (programme - arrival). A
/// single late frame says nothing about a clock, the earliest of many does.
#[derive(Debug, Default)]
struct Watch {
    steps: VecDeque<(Timestamp, Span)>,
    since: Option<Timestamp>,
    now: Timestamp,
}

impl Watch {
    fn note(&mut self, ahead: Span, now: Timestamp) {
        self.since.get_or_insert(now);
        self.now = now;
        match self.steps.back_mut() {
            Some((at, best)) if now - *at < STEP => *best = (*best).max(ahead),
            _ => self.steps.push_back((now, ahead)),
        }
        while self.steps.front().is_some_and(|(at, _)| now - *at > WATCH) {
            self.steps.pop_front();
        }
    }

    fn best(&self) -> Option<Span> {
        self.steps.iter().map(|(_, best)| *best).max()
    }

    /// The least delay once it was watched long enough to steer by.
    fn mature(&self) -> Option<Span> {
        self.best().filter(|_| self.watched() >= WATCH)
    }

    /// Whether the source lags by more than `gap` and is not catching up.
    fn lags(&self, gap: Span) -> bool {
        self.watched() >= STEP.times(2) && self.recent().is_some_and(|best| -best > gap)
    }

    fn recent(&self) -> Option<Span> {
        let newest = self.steps.iter().rev().take(3);
        newest.map(|(_, best)| *best).max()
    }

    fn watched(&self) -> Span {
        self.since.map_or(Span::ZERO, |since| self.now - since)
    }

    fn shift(&mut self, by: Span) {
        for (_, best) in &mut self.steps {
            *best += by;
        }
    }
}
