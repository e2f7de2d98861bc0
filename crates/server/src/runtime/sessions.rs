//! What the publishers of a stream sent: sums over all of them, rates of late.

use std::collections::{BTreeMap, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use container::ingest::{Figures, Stats};
use tokio::time::Instant;

/// Rates are means over this time.
const WINDOW: Duration = Duration::from_secs(5);

/// Sums over all publishers that a stream had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) sessions: u64,
    pub(crate) bytes: u64,
    pub(crate) video_frames: u64,
    pub(crate) audio_frames: u64,
    pub(crate) keyframes: u64,
    pub(crate) losses: u64,
    pub(crate) fixes: BTreeMap<&'static str, u64>,
    pub(crate) ignored: BTreeMap<&'static str, u64>,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.bytes += other.bytes;
        self.video_frames += other.video_frames;
        self.audio_frames += other.audio_frames;
        self.keyframes += other.keyframes;
        self.losses += other.losses;
        for (kind, n) in other.fixes {
            *self.fixes.entry(kind).or_default() += n;
        }
        for (reason, n) in other.ignored {
            *self.ignored.entry(reason).or_default() += n;
        }
    }
}

impl Totals {
    fn add(&mut self, figures: &Figures) {
        self.sessions += 1;
        self.bytes += figures.bytes;
        self.video_frames += figures.video_frames;
        self.audio_frames += figures.audio_frames;
        self.keyframes += figures.keyframes;
        self.losses += figures.losses;
        for (kind, n) in &figures.fixes {
            *self.fixes.entry(kind).or_default() += n;
        }
        for (reason, n) in &figures.ignored {
            *self.ignored.entry(reason).or_default() += n;
        }
    }
}

/// What the present publisher sends per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) fps: f64,
    pub(crate) bits_per_second: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    bytes: u64,
    pictures: u64,
}

/// The publishers of one stream, one after another.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    past: Totals,
    present: Option<Arc<Stats>>,
    samples: VecDeque<Sample>,
}

impl Sessions {
    pub(crate) fn begin(&mut self, stats: Arc<Stats>) {
        self.end();
        self.present = Some(stats);
        self.sample(Instant::now());
    }

    pub(crate) fn end(&mut self) {
        self.samples.clear();
        if let Some(stats) = self.present.take() {
            self.past.add(&stats.figures());
        }
    }

    /// Called every second or so.
    pub(crate) fn sample(&mut self, now: Instant) {
        let Some(stats) = &self.present else {
            return;
        };
        let figures = stats.figures();
        self.samples.push_back(Sample {
            at: now,
            bytes: figures.bytes,
            pictures: figures.video_frames,
        });
        while self.samples.get(1).is_some_and(|s| now - s.at >= WINDOW) {
            self.samples.pop_front();
        }
    }

    pub(crate) fn rates(&self) -> Option<Rates> {
        rates(self.samples.front()?, self.samples.back()?)
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.past.clone();
        if let Some(stats) = &self.present {
            totals.add(&stats.figures());
        }
        totals
    }
}

fn rates(first: &Sample, last: &Sample) -> Option<Rates> {
    let seconds = (last.at - first.at).as_secs_f64();
    let pictures = u32::try_from(last.pictures - first.pictures).unwrap_or(u32::MAX);
    let millis = (last.at - first.at)
        .as_millis()
        .try_into()
        .unwrap_or(u64::MAX);
    (millis > 0).then(|| Rates {
        // Two digits are all that such a mean is worth.
        fps: (f64::from(pictures) / seconds * 100.0).round() / 100.0,
        bits_per_second: (last.bytes - first.bytes) * 8_000 / millis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    #[test]
    fn rates_are_of_the_window() {
        let start = Instant::now();
        let sample = |s: u64| Sample {
            at: start + Duration::from_secs(s),
            bytes: s * 125_000,
            pictures: s * 30,
        };
        let found = rates(&sample(2), &sample(7)).unwrap();
        assert_eq!((found.fps, found.bits_per_second), (30.0, 1_000_000));
        assert_eq!(rates(&sample(2), &sample(2)), None);
    }

    #[test]
    fn what_was_counted_stays() {
        let mut sessions = Sessions::default();
        sessions.begin(Arc::new(Stats::new(clock::monotonic)));
        sessions.begin(Arc::new(Stats::new(clock::monotonic)));
        sessions.end();
        sessions.end();
        assert_eq!(sessions.totals().sessions, 2);
        assert_eq!(sessions.rates(), None);
    }
}
