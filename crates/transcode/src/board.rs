//! What those who look see of a ladder.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ladder::{Decision, Health, Ladder, Output};
use media::{Span, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::worker::Ended;

/// Rates are over this long.
const WINDOW: Duration = Duration::from_secs(5);
/// Groups that were left out make a ladder overloaded for this long.
const OVERLOADED: Duration = Duration::from_secs(15);

/// How a ladder is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// A worker starts, or waits for media.
    #[default]
    Starting,
    /// Renditions come.
    Running,
    /// Workers fail as soon as they start: the next one waits a while.
    BackingOff,
}

impl Phase {
    /// The lower-case name, as used in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::BackingOff => "backing_off",
        }
    }
}

/// A ladder at one moment.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// How it is doing.
    pub phase: Phase,
    /// The worker's process.
    pub pid: Option<u32>,
    /// Workers that ended, by how ([`Ended::name`]).
    pub restarts: Vec<(&'static str, u64)>,
    /// How the last of them ended.
    pub last_ended: Option<String>,
    /// What the worker said last of what is wrong.
    pub last_warning: Option<String>,
    /// Media is away: the picture is held and silence filled in.
    pub held: bool,
    /// Groups of the programme were left out of late, because the machine is too slow.
    pub overloaded: bool,
    /// Groups that ever were.
    pub skipped_groups: u64,
    /// Frames of them.
    pub skipped_frames: u64,
    /// How far the renditions lag behind the programme, in media time.
    pub lag: Span,
    /// Media seconds that come out per second.
    pub speed: f64,
    /// Counters of the present worker.
    pub health: Health,
    /// The renditions that are encoded.
    pub rungs: Vec<RungState>,
}

/// One encoded output.
#[derive(Debug, Clone, PartialEq)]
pub struct RungState {
    /// Which.
    pub output: Output,
    /// Its name in the ladder; of sound, of its rung.
    pub name: String,
    /// Size of the pictures.
    pub size: Option<(u32, u32)>,
    /// Frames per second of late.
    pub frames_per_second: f64,
    /// Bits per second of late.
    pub bits_per_second: f64,
    /// Frames ever, over all workers.
    pub frames: u64,
    /// Bytes ever, over all workers.
    pub bytes: u64,
    /// Pictures or samples that were held or filled in by the present worker.
    pub held: u64,
    /// Pictures that wait to be encoded.
    pub queue: u64,
}

/// Where it is written.
#[derive(Debug, Default)]
pub struct Board {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    phase: Phase,
    pid: Option<u32>,
    restarts: BTreeMap<&'static str, u64>,
    last_ended: Option<String>,
    last_warning: Option<String>,
    held: Option<Instant>,
    skipped: (u64, u64),
    skipped_at: Option<Instant>,
    fed: Option<Timestamp>,
    health: Health,
    decision: Option<Decision>,
    /// Number and name of each rung of sound.
    names: Vec<(u8, String)>,
    outputs: BTreeMap<Output, Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    frames: u64,
    bytes: u64,
    reached: Option<Timestamp>,
    /// What was counted, and where media was, at moments of late.
    marks: VecDeque<(Instant, u64, u64, Option<Timestamp>)>,
}

impl Board {
    /// What is written there now.
    #[must_use]
    pub fn state(&self) -> State {
        let inner = self.inner.lock();
        let now = Instant::now();
        let speeds = inner.outputs.values().filter_map(Counted::speed);
        State {
            phase: inner.phase,
            pid: inner.pid,
            restarts: inner.restarts.iter().map(|(why, n)| (*why, *n)).collect(),
            last_ended: inner.last_ended.clone(),
            last_warning: inner.last_warning.clone(),
            held: inner.held.is_some(),
            overloaded: inner.skipped_at.is_some_and(|at| now < at + OVERLOADED),
            skipped_groups: inner.skipped.0,
            skipped_frames: inner.skipped.1,
            lag: inner.lag(),
            speed: speeds.reduce(f64::min).unwrap_or(0.0),
            health: inner.health.clone(),
            rungs: inner.rungs(),
        }
    }

    /// How far the slowest rendition is behind the programme, in media time.
    pub(crate) fn lag(&self) -> Span {
        self.inner.lock().lag()
    }

    /// For how long media has been away so far, if it is.
    #[must_use]
    pub fn held_for(&self) -> Option<Duration> {
        self.inner.lock().held.map(|since| since.elapsed())
    }

    pub(crate) fn note_started(&self, pid: Option<u32>) {
        let mut inner = self.inner.lock();
        inner.phase = Phase::Starting;
        inner.pid = pid;
        inner.health = Health::default();
        // How far behind it is begins to count with its first frame.
        for output in inner.outputs.values_mut() {
            output.reached = None;
        }
    }

    pub(crate) fn note_ended(&self, ended: &Ended, looping: bool) {
        let mut inner = self.inner.lock();
        *inner.restarts.entry(ended.name()).or_default() += 1;
        inner.last_ended = Some(ended.to_string());
        inner.pid = None;
        inner.phase = if looping {
            Phase::BackingOff
        } else {
            Phase::Starting
        };
    }

    pub(crate) fn note_warning(&self, text: &str) {
        self.inner.lock().last_warning = Some(text.to_owned());
    }

    pub(crate) fn note_health(&self, health: Health) {
        self.inner.lock().health = health;
    }

    pub(crate) fn note_decision(&self, decision: &Decision, ladder: &Ladder) {
        let mut inner = self.inner.lock();
        inner.decision = Some(decision.clone());
        inner.outputs.retain(|output, _| match output {
            Output::Video(rung) => decision.rung(*rung).is_some(),
            Output::Audio(..) => ladder.copies(*output) == Some(false),
        });
        inner.names = ladder
            .audio
            .iter()
            .map(|r| (r.number, r.name.clone()))
            .collect();
    }

    pub(crate) fn note_fed(&self, dts: Timestamp) {
        let mut inner = self.inner.lock();
        inner.fed = inner.fed.max(Some(dts));
    }

    pub(crate) fn note_hold(&self, held: bool) {
        let mut inner = self.inner.lock();
        inner.held = held.then(|| inner.held.unwrap_or_else(Instant::now));
    }

    pub(crate) fn note_skipped(&self, groups: u64, frames: u64) {
        let mut inner = self.inner.lock();
        inner.skipped.0 += groups;
        inner.skipped.1 += frames;
        inner.skipped_at = Some(Instant::now());
    }

    pub(crate) fn note_frame(&self, output: Output, bytes: usize, pts: Timestamp) {
        let mut inner = self.inner.lock();
        inner.phase = Phase::Running;
        let counted = inner.outputs.entry(output).or_default();
        counted.frames += 1;
        counted.bytes += bytes as u64;
        counted.reached = counted.reached.max(Some(pts));
        counted.mark(Instant::now());
    }
}

impl Inner {
    fn lag(&self) -> Span {
        let slowest = self.outputs.values().filter_map(|o| o.reached).min();
        let lag = self.fed.zip(slowest).map(|(fed, at)| fed - at);
        lag.map_or(Span::ZERO, |lag| lag.max(Span::ZERO))
    }

    fn sound(&self, rung: u8) -> Option<&(u8, String)> {
        self.names.iter().find(|(number, _)| *number == rung)
    }

    /// Where the ladder has it.
    fn place(&self, output: Output) -> (bool, Option<usize>) {
        match output {
            Output::Video(rung) => {
                let mut rungs = self.decision.iter().flat_map(|d| &d.rungs);
                (false, rungs.position(|r| r.number == rung))
            }
            Output::Audio(rung, _) => {
                let mut names = self.names.iter();
                (true, names.position(|(number, _)| *number == rung))
            }
        }
    }

    fn rungs(&self) -> Vec<RungState> {
        let rungs = self.outputs.iter().map(|(output, counted)| {
            let told = self
                .health
                .outputs
                .iter()
                .find(|o| o.output == output.number());
            let rung = match output {
                Output::Video(rung) => self.decision.as_ref().and_then(|d| d.rung(*rung)),
                Output::Audio(..) => None,
            };
            let name = match output {
                Output::Video(_) => rung.map(|r| r.name.clone()),
                Output::Audio(rung, _) => self.sound(*rung).map(|(_, name)| name.clone()),
            };
            let (frames_per_second, bits_per_second) = counted.rates();
            RungState {
                output: *output,
                name: name.unwrap_or_default(),
                size: rung.map(|r| (r.width, r.height)),
                frames_per_second,
                bits_per_second,
                frames: counted.frames,
                bytes: counted.bytes,
                held: told.map_or(0, |o| o.held),
                queue: told.map_or(0, |o| o.queue),
            }
        });
        let mut rungs: Vec<RungState> = rungs.collect();
        rungs.sort_by_key(|rung| self.place(rung.output));
        rungs
    }
}

impl Counted {
    /// Four marks a second are enough.
    fn mark(&mut self, now: Instant) {
        let due = |at: &Instant| now >= *at + Duration::from_millis(250);
        if self.marks.back().is_none_or(|(at, ..)| due(at)) {
            self.marks
                .push_back((now, self.frames, self.bytes, self.reached));
        }
        while self
            .marks
            .front()
            .is_some_and(|(at, ..)| now > *at + WINDOW)
        {
            self.marks.pop_front();
        }
    }

    fn span(&self) -> Option<f64> {
        let (first, last) = (self.marks.front()?.0, self.marks.back()?.0);
        // What came long ago says nothing of now.
        let idle = last.elapsed() > WINDOW;
        let seconds = (last - first).as_secs_f64();
        (seconds > 0.2 && !idle).then_some(seconds)
    }

    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn rates(&self) -> (f64, f64) {
        let ends = self.marks.front().zip(self.marks.back()).zip(self.span());
        ends.map_or((0.0, 0.0), |((first, last), seconds)| {
            let per_second = |n: u64| n as f64 / seconds;
            (
                per_second(last.1 - first.1),
                per_second((last.2 - first.2) * 8),
            )
        })
    }

    fn speed(&self) -> Option<f64> {
        let ends = self.marks.front().zip(self.marks.back());
        let (from, to) = ends.and_then(|(first, last)| first.3.zip(last.3))?;
        Some((to - from).as_secs_f64() / self.span()?)
    }
}
