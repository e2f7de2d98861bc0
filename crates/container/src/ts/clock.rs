//! The clock that all streams of a programme share: times of 33 bits, extended.

use media::repair::Unwrap;
use media::{Span, Timestamp};

const WRAP: i64 = 1 << 33;
/// Data that is further from the media has no time that could be believed.
const NEAR: Span = Span::from_secs(10);

#[derive(Debug)]
pub(super) struct Clock {
    unwrap: Unwrap,
    /// The last DTS of media, extended.
    latest: Option<i64>,
}

impl Clock {
    pub(super) const fn new() -> Self {
        Self {
            unwrap: Unwrap::new(33),
            latest: None,
        }
    }

    /// PTS and DTS of media on the clock that does not wrap.
    pub(super) fn media(&mut self, (pts, dts): (u64, u64)) -> (Timestamp, Timestamp) {
        let extended = self.unwrap.extend(dts);
        self.latest = Some(extended);
        let ahead = nearest(pts.cast_signed() - dts.cast_signed());
        (time(extended + ahead), time(extended))
    }

    /// PTS and DTS of data: it is decoded where it comes among the media, or at its own time
    /// where that is earlier. `None` where there was no media and it has no time either.
    pub(super) fn data(&mut self, pts: Option<u64>) -> Option<(Timestamp, Timestamp)> {
        let told = match (pts, self.latest) {
            (Some(pts), Some(latest)) => latest + nearest(pts.cast_signed() - latest),
            (Some(pts), None) => self.unwrap.extend(pts),
            (None, latest) => latest?,
        };
        let pts = time(told);
        let came = self.latest.map_or(pts, time);
        if (pts - came).abs() > NEAR {
            return Some((came, came));
        }
        Some((pts, pts.min(came)))
    }

    /// PTS and DTS of a cue that comes now and is due at `due`; not before now, as what is late is
    /// due at once.
    pub(super) fn cue(&self, due: Option<u64>) -> Option<(Timestamp, Timestamp)> {
        let latest = self.latest?;
        let ahead = due.map_or(0, |due| nearest(due.cast_signed() - latest));
        Some((time(latest + ahead.max(0)), time(latest)))
    }
}

fn time(ticks: i64) -> Timestamp {
    Timestamp::from_ticks(ticks, 90_000)
}

/// A difference modulo 2^33, the nearest to zero.
const fn nearest(ticks: i64) -> i64 {
    let forward = ticks.rem_euclid(WRAP);
    if forward > WRAP / 2 {
        forward - WRAP
    } else {
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn data_and_cues_lie_by_the_media() {
        let wrap = 1 << 33;
        let mut clock = Clock::new();
        assert_eq!(clock.data(None), None);
        assert_eq!(clock.cue(Some(5)), None);
        clock.media((wrap - 90_000, wrap - 90_000));
        let now = time(1 << 33) - Span::from_secs(1);
        let second = Span::from_secs(1);
        assert_eq!(clock.data(Some(0)), Some((now + second, now)));
        let past = (now - second, now - second);
        assert_eq!(clock.data(Some(wrap - 180_000)), Some(past));
        assert_eq!(clock.data(Some(wrap / 3)), Some((now, now)));
        assert_eq!(clock.data(None), Some((now, now)));
        let later = now + Span::from_secs(31);
        assert_eq!(clock.cue(Some(30 * 90_000)), Some((later, now)));
        assert_eq!(clock.cue(Some(wrap - 180_000)), Some((now, now)));
        assert_eq!(clock.cue(None), Some((now, now)));
        // Before any media, data has its own time.
        assert_eq!(Clock::new().data(Some(90_000)), Some((at(1), at(1))));
    }
}
