//! How many pictures a second a source has: told once, by its first ones.

use ladder::FrameRate;
use media::{Span, Timestamp};

/// Pictures that are looked at where nothing else tells.
const LOOKED_AT: usize = 16;
/// Those that are enough where the codec's headers agree.
const CONFIRMING: usize = 5;

/// The times of the first pictures.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Timestamp>,
    intervals: Vec<Span>,
}

impl Pace {
    /// Another source.
    pub(super) const fn interrupt(&mut self) {
        self.last = None;
    }

    /// A picture came; the rate, once it is known. `told` is what the codec's headers say.
    pub(super) fn note(&mut self, pts: Timestamp, told: Option<FrameRate>) -> Option<FrameRate> {
        let before = self.last.replace(pts);
        let interval = before.map(|before| pts - before);
        self.intervals.extend(interval.filter(|i| *i > Span::ZERO));
        let count = self.intervals.len();
        if count < CONFIRMING {
            return None;
        }
        let likely = FrameRate::likely(self.mean(), told)?;
        (count >= LOOKED_AT || told == Some(likely)).then_some(likely)
    }

    /// Of the middle half: holes and bunches say nothing.
    fn mean(&self) -> Span {
        let mut sorted = self.intervals.clone();
        sorted.sort_unstable();
        let middle = &sorted[sorted.len() / 4..sorted.len() - sorted.len() / 4];
        let sum = middle.iter().fold(Span::ZERO, |sum, i| sum + *i);
        let count = i64::try_from(middle.len()).unwrap_or(1).max(1);
        Span::from_nanos(sum.as_nanos() / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_of(times: impl IntoIterator<Item = i64>, told: Option<FrameRate>) -> Option<FrameRate> {
        let mut pace = Pace::default();
        times
            .into_iter()
            .find_map(|ms| pace.note(Timestamp::from_millis(ms), told))
    }

    #[test]
    fn times_in_milliseconds_tell_the_rate() {
        for fps in [24, 25, 30, 50, 60] {
            let rate = rate_of((0..40).map(|n| n * 1_000 / fps), None);
            let fps = u32::try_from(fps).expect("small");
            assert_eq!(rate, Some(FrameRate::whole(fps)));
        }
    }

    #[test]
    fn a_header_is_believed_where_times_agree() {
        let ntsc = FrameRate::new(30_000, 1_001);
        assert_eq!(rate_of((0..7).map(|n| n * 33), ntsc), ntsc);
        let nonsense = FrameRate::new(120, 1);
        assert_eq!(rate_of((0..7).map(|n| n * 33), nonsense), None);
        assert_eq!(
            rate_of((0..40).map(|n| n * 1_000 / 30), nonsense),
            Some(FrameRate::whole(30))
        );
    }

    #[test]
    fn a_hole_says_nothing() {
        let times = (0..40).map(|n| n * 40 + if n > 9 { 700 } else { 0 });
        assert_eq!(rate_of(times, None), Some(FrameRate::whole(25)));
    }
}
