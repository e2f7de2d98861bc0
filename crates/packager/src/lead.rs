//! The lead track's place in time: where its open segment began, where it must end.

use media::{Frame, Span, Timestamp};

use crate::gop::GopMeter;
use crate::numbering::Grid;

/// A hole shorter than this is jitter.
const HOLE: Span = Span::from_millis(200);

/// What a segment may last beyond the target duration, far less than what its rounding forgives.
const OVER: Span = Span::from_millis(20);

/// Sources with fewer pictures than one in so long have holes.
const SLOWEST: Span = Span::from_secs(2);

/// No segment is shorter while time goes on: each playlist needs a sample in it.
const SHORTEST: Span = Span::from_millis(200);

/// The first video of the first rendition, else its first audio. It alone decides where segments
/// begin.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    /// Whether every frame is a random-access point, and the grid alone decides.
    pub(crate) audio: bool,
    /// Where the last frame ends on the decoding timeline.
    pub(crate) end: Option<Timestamp>,
    /// Presentation behind decoding at the last random-access point.
    shift: Span,
    step: Option<Span>,
    /// The distance of the last two frames, whatever it means.
    distance: Option<Span>,
    last: Option<Timestamp>,
    start: Timestamp,
    /// The random-access point that the open segment is counted from: one that came a moment after
    /// its start begins no segment, but the next ones lie whole segments behind it.
    origin: Timestamp,
    /// How far it has come: no cut will lie before this.
    pub(crate) reached: Option<Timestamp>,
    /// Where media came back after the latest hole.
    pub(crate) resumed: Timestamp,
    /// How far an audio lead's segments lie off the grid.
    phase: Span,
    pub(crate) arrival: Option<Timestamp>,
}

impl Lead {
    pub(crate) fn new(audio: bool) -> Self {
        Self {
            audio,
            ..Self::default()
        }
    }

    pub(crate) fn observe(&mut self, frame: &Frame, now: Timestamp) {
        if self.end.is_none() || self.hole(frame).is_some() {
            self.resumed = frame.dts;
        }
        if let Some(last) = self.last.replace(frame.dts) {
            let step = frame.dts - last;
            let same = |d: Span| (step - d).abs().times(4) < d;
            let slow = step < SLOWEST && self.distance.is_some_and(same);
            if step > Span::ZERO && (step < HOLE || slow) {
                self.step = Some(step);
            }
            self.distance = Some(step);
        }
        if frame.random_access {
            self.shift = frame.pts - frame.dts;
        }
        let duration = frame.duration.or(self.step).unwrap_or(Span::ZERO);
        self.end = Some(frame.dts + duration);
        self.reached = Some(self.time(frame));
        self.arrival = Some(now);
    }

    /// Presentation time of a frame as far as segments care: reordering is left out.
    pub(crate) fn time(&self, frame: &Frame) -> Timestamp {
        if frame.random_access {
            frame.pts
        } else {
            frame.dts + self.shift
        }
    }

    /// The hole before `frame`; jitter is none.
    pub(crate) fn hole(&self, frame: &Frame) -> Option<Span> {
        let hole = frame.dts - self.end?;
        (hole > HOLE.max(self.step().times(3))).then_some(hole)
    }

    pub(crate) fn begin(&mut self, at: Timestamp, grid_time: Timestamp) {
        self.next(at);
        if !self.audio {
            return;
        }
        self.phase = at - grid_time;
    }

    pub(crate) fn next(&mut self, at: Timestamp) {
        (self.start, self.origin) = (at, at);
    }

    /// A random-access point that begins no segment. Tells whether the next one is counted from it:
    /// where each frame is one, or nearly, the grid alone decides.
    pub(crate) fn passes(&mut self, at: Timestamp, gop: &GopMeter) -> bool {
        let dense = self.audio || gop.interval().is_some_and(|gop| gop < SHORTEST);
        let counts = !dense && self.is_fresh(at) && at > self.origin;
        if counts {
            self.origin = at;
        }
        counts
    }

    fn step(&self) -> Span {
        self.step.unwrap_or(Span::ZERO)
    }

    /// Whether the random-access point at `t` begins segment `number`: it is the first in its
    /// window, or waiting for the next one would outgrow the target duration.
    pub(crate) fn starts(&self, t: Timestamp, number: u64, grid: &Grid, gop: &GopMeter) -> bool {
        let due = grid.time(number);
        let half_step = Span::from_nanos(self.step().as_nanos() / 2);
        if self.audio {
            return t + half_step >= due + self.phase;
        }
        let half = Span::from_nanos(grid.row.d.as_nanos() / 2);
        let late = gop.interval().filter(|_| grid.row.regular);
        let late = late.is_some_and(|gop| t + gop > self.limit(grid) + half_step);
        let least = if late {
            SHORTEST
        } else {
            Span::from_nanos(half.as_nanos() / 2)
        };
        (late || t >= due - half) && t - self.start >= least
    }

    /// Whether the open segment began a moment ago.
    pub(crate) fn is_fresh(&self, t: Timestamp) -> bool {
        t - self.start < SHORTEST
    }

    /// Whether a segment must begin at `t` although no random-access point came in time.
    pub(crate) fn forces(&self, t: Timestamp, number: u64, grid: &Grid, gop: &GopMeter) -> bool {
        let d = grid.row.d.as_nanos();
        // A regular source's keyframe at the very edge of its window is waited for.
        let grace = if grid.row.regular { d / 4 } else { 0 };
        let window_end = grid.time(number) + Span::from_nanos(d / 2 + grace);
        // One that is known to come after that is not: a cut now, in the middle of the window, leaves
        // it the next number, where one at the window's end would be followed by it at once.
        let too_late = |next: Timestamp| next > t && next > window_end;
        let slips = grid.row.regular && gop.next().is_some_and(too_late);
        slips && t >= grid.time(number)
            || t >= window_end
            || t + self.step() > self.limit(grid) + OVER
    }

    /// Whether the keyframe that should have ended the open segment is missing at `t`.
    pub(crate) fn is_overdue(&self, t: Timestamp, grid: &Grid) -> bool {
        t > self.origin + grid.row.d + self.step().times(2)
    }

    /// Whether `t` lies too late to be the start of `number` without a hole in the numbers.
    pub(crate) fn misses(&self, t: Timestamp, number: u64, grid: &Grid) -> bool {
        t > grid.time(number) + grid.row.d
    }

    fn limit(&self, grid: &Grid) -> Timestamp {
        self.origin + Span::from_secs(i64::from(grid.row.target_duration))
    }
}
