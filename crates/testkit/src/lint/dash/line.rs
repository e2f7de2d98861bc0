//! Numbers and times of a Period.

use media::{Span, Timestamp};

use super::mpd::{Mpd, Period, Template};

/// How the numbers of a Representation lie on UTC during one Period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// When the Period starts.
    start: Timestamp,
    /// Its first number.
    first: u64,
    timescale: u32,
    /// Of a segment, in ticks.
    duration: u64,
    /// Media time of the start, in ticks.
    offset: u64,
    /// How long before its end a segment may be asked for.
    early: Span,
}

impl Line {
    pub(super) fn of(mpd: &Mpd, period: &Period, template: &Template) -> Option<Self> {
        let start = mpd.available? + period.start?;
        (template.duration > 0 && template.timescale > 0).then_some(Self {
            start,
            first: template.first,
            timescale: template.timescale,
            duration: template.duration,
            offset: template.offset,
            early: template.early.unwrap_or(Span::ZERO),
        })
    }

    pub(super) fn duration(&self) -> Span {
        Span::from_ticks(signed(self.duration), self.timescale)
    }

    /// Where the segment belongs.
    pub(super) fn nominal(&self, number: u64) -> Timestamp {
        let ticks = (signed(number) - signed(self.first)) * signed(self.duration);
        self.start + Span::from_ticks(ticks, self.timescale)
    }

    /// From when on it may be asked for (23009-1 5.3.9.5.3, with the offset).
    pub(super) fn available(&self, number: u64) -> Timestamp {
        self.nominal(number + 1) - self.early
    }

    /// The newest number that may be asked for at `utc`.
    pub(super) fn newest(&self, utc: Timestamp) -> Option<u64> {
        let behind = utc + self.early - self.start;
        let whole = behind
            .to_ticks(self.timescale)
            .div_euclid(signed(self.duration));
        u64::try_from(whole + signed(self.first) - 1).ok()
    }

    /// When a media time is shown.
    pub(super) fn shown(&self, ticks: i64, timescale: u32) -> Timestamp {
        self.start + Span::from_ticks(ticks, timescale)
            - Span::from_ticks(signed(self.offset), self.timescale)
    }
}

pub(super) fn signed(v: u64) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = Line {
        start: Timestamp::ZERO,
        first: 0,
        timescale: 90_000,
        duration: 180_000,
        offset: 1,
        early: Span::from_millis(1_900),
    };

    #[test]
    fn numbers_of_a_grid_from_the_epoch() {
        let number = 897_613_200;
        assert_eq!(
            LINE.nominal(number),
            Timestamp::from_millis(1_795_226_400_000)
        );
        let available = Timestamp::from_millis(1_795_226_400_100);
        assert_eq!(LINE.available(number), available);
        assert_eq!(LINE.newest(available), Some(number));
        let before = available - Span::from_millis(1);
        assert_eq!(LINE.newest(before), Some(number - 1));
        assert_eq!(LINE.newest(Timestamp::ZERO), None);
    }

    #[test]
    fn a_line_of_its_own() {
        let line = Line {
            start: Timestamp::from_millis(10),
            first: 7,
            offset: 900,
            ..LINE
        };
        assert_eq!(line.nominal(8), Timestamp::from_millis(2_010));
        assert_eq!(line.shown(900 + 180_000, 90_000), line.nominal(8));
        assert_eq!(line.nominal(6), Timestamp::from_millis(-1_990));
    }
}
