//! Whether one input delivers: learned silences, keyframes, a clock that moves, whole media. Pure.

use std::collections::VecDeque;

use media::{Frame, Span, Timestamp, Track, TrackId, TrackKind};

use crate::damage::Damage;
use crate::fault::Fault;
use crate::tolerance::{Limit, Tolerance};

/// Silences are learned per step of this length.
const STEP: Span = Span::from_secs(2);
/// So many steps are remembered: five minutes.
const STEPS: usize = 150;
/// No silence is waited for longer, whatever was learned.
const LONGEST: Span = Span::from_secs(3);
/// One kind of media may be away for so much longer than all of them.
const KIND: i64 = 4;
/// Keyframe intervals that are remembered.
const INTERVALS: usize = 8;
/// What a late keyframe is granted beyond two intervals.
const KEYFRAME_GRACE: Span = Span::from_millis(1_000);
/// Pauses that begin so soon after an outage are part of it: a link fills again, an encoder waits
/// for its next keyframe.
const AFTERMATH: Span = Span::from_secs(1);
/// Pauses that are no further apart than so many of them are bursts.
const AGAIN: i64 = 3;
/// A clock is watched for so long before it is called frozen.
const CLOCK: Span = Span::from_secs(3);

/// Watches the arrivals of one connection.
#[derive(Debug)]
pub struct Health {
    floor: Span,
    kind_floor: Span,
    tolerance: Tolerance,
    silences: Silences,
    bursts: Bursts,
    last: Option<Timestamp>,
    /// When the last outage ended.
    back: Option<Timestamp>,
    kinds: Vec<(TrackKind, Timestamp)>,
    keyframes: Keyframes,
    clock: Option<Clock>,
    frozen: bool,
    damage: Damage,
}

impl Health {
    /// Of a connection that has delivered nothing. Silences below `floor` are nothing.
    #[must_use]
    pub fn new(floor: Span) -> Self {
        Self {
            floor,
            kind_floor: floor,
            tolerance: Tolerance::default(),
            silences: Silences::default(),
            bursts: Bursts::default(),
            last: None,
            back: None,
            kinds: Vec::new(),
            keyframes: Keyframes::default(),
            clock: None,
            frozen: false,
            damage: Damage::default(),
        }
    }

    /// The shortest silence that is a fault, less where a switch costs nothing; and what counts as
    /// that for sound or pictures alone, of which there may be few in a second.
    pub fn set_floors(&mut self, all: Span, kind: Span) {
        (self.floor, self.kind_floor) = (all, kind);
    }

    /// Other limits, from now on.
    pub fn set_tolerance(&mut self, tolerance: Tolerance) {
        // By another limit it would have been judged otherwise.
        if tolerance.damaged != self.tolerance.damaged {
            self.damage = Damage::default();
        }
        self.tolerance = tolerance;
    }

    /// The tracks from now on: what is not among them is not missed.
    pub fn set_tracks(&mut self, tracks: &[Track]) {
        let declared = |kind| tracks.iter().any(|t| t.kind == kind);
        self.kinds.retain(|(kind, _)| declared(*kind));
    }

    /// A frame came at `now`. `opens` tells that it begins a group.
    pub fn frame(&mut self, frame: &Frame, kind: TrackKind, opens: bool, now: Timestamp) {
        if let Some(last) = self.last.replace(now) {
            self.learn(last, now);
        }
        if let Some(pause) = self.bursts.frame(frame, opens, now) {
            self.silences.learn(pause, now);
        }
        match self.kinds.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, at)) => *at = now,
            None => self.kinds.push((kind, now)),
        }
        if opens {
            self.keyframes.note(frame.dts, now);
            self.watch_clock(frame.dts, now);
        }
    }

    /// Its source lost media before the frame that comes next.
    pub fn lost(&mut self, now: Timestamp) {
        self.damage.lost(self.tolerance.damaged, now);
    }

    /// What is more than twice the bound may be an outage, and teaches nothing by itself.
    fn learn(&mut self, last: Timestamp, now: Timestamp) {
        let silence = now - last;
        if silence > self.learned().times(2) {
            self.bursts.paused(silence, now);
            self.back = Some(now);
        } else if self.back.is_none_or(|back| last - back > AFTERMATH) {
            self.silences.learn(silence, now);
        }
    }

    /// Whether its clock moves, judged from group to group.
    fn watch_clock(&mut self, dts: Timestamp, now: Timestamp) {
        let clock = *self.clock.get_or_insert(Clock { at: now, dts });
        let watched = self.tolerance.frozen.or(Some(CLOCK));
        if watched.is_none_or(|watched| now - clock.at >= watched) {
            // A quarter of the pace is no clock, even where frames come in bursts.
            self.frozen = (dts - clock.dts).times(4) < now - clock.at;
            self.clock = Some(Clock { at: now, dts });
        }
    }

    /// When nothing having come since is a fault; `None` is never.
    #[must_use]
    pub fn silence(&self) -> Option<Span> {
        self.tolerance.silent.or(Some(self.learned()))
    }

    fn learned(&self) -> Span {
        self.silences.above(self.floor)
    }

    fn kind_silence(&self) -> Option<Span> {
        let learned = self.silences.above(self.kind_floor).times(KIND);
        self.tolerance.track_silent.or(Some(learned))
    }

    /// When the next random-access point is overdue.
    fn keyframe_due(&self) -> Option<Timestamp> {
        let learned = self.keyframes.patience();
        let most = self.tolerance.no_keyframe.or(learned)?;
        Some(self.keyframes.last?.1 + most)
    }

    /// What is wrong at `now`, if anything.
    #[must_use]
    pub fn fault(&self, now: Timestamp) -> Option<Fault> {
        let Some(last) = self.last.filter(|_| self.keyframes.last.is_some()) else {
            return Some(Fault::Starting);
        };
        if self.silence().is_some_and(|most| now - last >= most) {
            return Some(Fault::Silent);
        }
        if self.frozen && self.tolerance.frozen != Limit::Never {
            return Some(Fault::Frozen);
        }
        if self.missing_kind(now).is_some() {
            return Some(Fault::TrackSilent);
        }
        if self.keyframe_due().is_some_and(|due| now >= due) {
            return Some(Fault::NoKeyframe);
        }
        self.damage.is_at(now).then_some(Fault::Damaged)
    }

    /// A kind of media that stopped while the others go on.
    fn missing_kind(&self, now: Timestamp) -> Option<TrackKind> {
        let most = self.kind_silence()?;
        let mut media = self.kinds.iter().filter(|(kind, _)| is_steady(*kind));
        media
            .find(|(_, at)| now - *at >= most)
            .map(|(kind, _)| *kind)
    }

    /// When [`Health::fault`] may answer otherwise if nothing comes until then.
    #[must_use]
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.last?;
        let silent = self.silence().map(|most| last + most);
        let kinds = self.kinds.iter().filter(|(kind, _)| is_steady(*kind));
        let oldest = kinds.map(|(_, at)| *at).min();
        let kinds = oldest.zip(self.kind_silence()).map(|(at, most)| at + most);
        [silent, kinds, self.keyframe_due(), self.damage.over()]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// We ourselves were away for this long: nothing could have come.
    pub fn forgive(&mut self, away: Span) {
        for at in self
            .last
            .iter_mut()
            .chain(self.kinds.iter_mut().map(|(_, at)| at))
        {
            *at += away;
        }
        self.keyframes.last = self.keyframes.last.map(|(dts, at)| (dts, at + away));
    }

    /// How far apart its random-access points were at most, lately.
    #[must_use]
    pub fn longest_group(&self) -> Option<Span> {
        self.keyframes.intervals.iter().max().copied()
    }

    /// When the last frame came.
    #[must_use]
    pub const fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// When the next random-access point is to be expected, and how far it is from the one before,
    /// where they come regularly.
    #[must_use]
    pub fn next_keyframe(&self, after: Timestamp) -> Option<(Timestamp, Span)> {
        let interval = self.keyframes.regular()?;
        let (_, last) = self.keyframes.last?;
        let (away, each) = ((after - last).as_nanos().max(1), interval.as_nanos());
        let next = last + interval.times((away + each - 1) / each);
        Some((next, interval))
    }
}

const fn is_steady(kind: TrackKind) -> bool {
    matches!(kind, TrackKind::Video | TrackKind::Audio)
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    at: Timestamp,
    dts: Timestamp,
}

/// The longest silence of each step, lately.
#[derive(Debug, Default)]
struct Silences {
    steps: VecDeque<(Timestamp, Span)>,
    /// Beyond any silence that was normal lately.
    bound: Span,
}

impl Silences {
    fn learn(&mut self, silence: Span, now: Timestamp) {
        match self.steps.back_mut() {
            Some((at, longest)) if now - *at < STEP => {
                if silence <= *longest {
                    return;
                }
                *longest = silence;
            }
            _ => self.steps.push_back((now, silence)),
        }
        if self.steps.len() > STEPS {
            self.steps.pop_front();
        }
        self.bound = self.measure();
    }

    fn above(&self, floor: Span) -> Span {
        self.bound.clamp(floor, LONGEST.max(floor))
    }

    /// Twice the longest, or the mean of the steps' longest and six deviations.
    fn measure(&self) -> Span {
        let all = || self.steps.iter().map(|(_, s)| s.as_nanos());
        let Ok(n @ 1..) = i64::try_from(self.steps.len()) else {
            return Span::ZERO;
        };
        let mean = all().sum::<i64>() / n;
        let deviation = all().map(|s| (s - mean).abs()).sum::<i64>() / n;
        let longest = all().max().unwrap_or(0);
        Span::from_nanos((mean + 6 * deviation).max(2 * longest))
    }
}

/// Tells an input that sends in bursts from one that was away: all that a pause kept back comes
/// after it, and the next pause is near. Once may be a network that stood still.
#[derive(Debug, Default)]
struct Bursts {
    /// The track that is watched.
    lead: Option<TrackId>,
    newest: Option<Newest>,
    pause: Option<Pause>,
    /// When the last pause ended that was made up for.
    last: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    dts: Timestamp,
    /// From its arrival to its DTS.
    ahead: Span,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    silence: Span,
    ended: Timestamp,
    before: Newest,
}

impl Bursts {
    fn paused(&mut self, silence: Span, now: Timestamp) {
        self.pause = self.newest.map(|before| Pause {
            silence,
            ended: now,
            before,
        });
    }

    /// The pause after which this frame says that it is how the input sends.
    fn frame(&mut self, frame: &Frame, opens: bool, now: Timestamp) -> Option<Span> {
        if opens {
            self.lead = Some(frame.track);
        }
        if self.lead != Some(frame.track) {
            return None;
        }
        let (dts, ahead) = (frame.dts, frame.dts - now);
        let before = self.newest.replace(Newest { dts, ahead })?;
        let step = dts - before.dts;
        // Media that never came was lost.
        self.pause.take_if(|p| step.times(2) > p.silence);
        let made_up = |p: &mut Pause| (p.before.ahead - ahead).times(4) <= p.silence;
        let pause = self.pause.take_if(made_up)?;
        let last = self.last.replace(pause.ended)?;
        (pause.ended - last <= pause.silence.times(AGAIN)).then_some(pause.silence)
    }
}

/// Random-access points: the last one, and how far apart they were.
#[derive(Debug, Default)]
struct Keyframes {
    last: Option<(Timestamp, Timestamp)>,
    intervals: VecDeque<Span>,
}

impl Keyframes {
    fn note(&mut self, dts: Timestamp, now: Timestamp) {
        if let Some((before, _)) = self.last.replace((dts, now)) {
            self.intervals.push_back(dts - before);
        }
        if self.intervals.len() > INTERVALS {
            self.intervals.pop_front();
        }
    }

    /// Two of the longest intervals.
    fn patience(&self) -> Option<Span> {
        let longest = self.intervals.iter().max()?;
        Some(longest.times(2) + KEYFRAME_GRACE)
    }

    /// The interval, where the last ones were equal but for rounding.
    fn regular(&self) -> Option<Span> {
        let newest = *self.intervals.back()?;
        let near = |i: &Span| (*i - newest).abs() <= Span::from_millis(50);
        let known = self.intervals.len() >= 2 && newest > Span::ZERO;
        (known && self.intervals.iter().rev().take(3).all(near)).then_some(newest)
    }
}
