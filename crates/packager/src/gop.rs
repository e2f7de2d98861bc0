//! Learning the keyframe interval, and choosing the segment duration from it.

use media::{Span, Timestamp};

use crate::numbering::Row;

/// Intervals longer than this do not shape segments: they are cut without a keyframe instead.
pub(crate) const LONGEST: Span = Span::from_secs(12);

/// Two intervals closer than this are the same one: millisecond timestamps move each end by one.
const TOLERANCE: Span = Span::from_millis(3);

/// An interval must be seen this often before the grid follows it: one lost keyframe moves nothing.
const SEEN: u32 = 2;

/// Odd ones of which none is like the one before, nor far too long: an encoder that comes and goes
/// has a few, a source with irregular keyframes has many.
const ODD: u32 = 6;

/// After so many intervals that fit, earlier ones that did not are forgotten.
const FORGET: u32 = 16;

/// Watches the distance between random-access points of the lead track.
#[derive(Debug, Default)]
pub(crate) struct GopMeter {
    last: Option<Timestamp>,
    frames: u32,
    interval: Option<Span>,
    previous: Option<Span>,
    /// The next interval is not of the source that those before were of; or the latest is not.
    anew: bool,
    alone: bool,
    longest: Span,
    misfits: u32,
    odd: u32,
    fits: u32,
}

impl GopMeter {
    /// Forgets the last keyframe: the next interval would hold an absence.
    pub(crate) fn interrupt(&mut self) {
        self.last = None;
        self.frames = 0;
    }

    /// Another source goes on: what its intervals were tells nothing of this one's.
    pub(crate) fn splice(&mut self) {
        self.interrupt();
        self.anew = true;
    }

    pub(crate) fn frame(&mut self) {
        self.frames = self.frames.saturating_add(1);
    }

    /// Notes a random-access point and tells the finished interval with its number of frames.
    pub(crate) fn keyframe(&mut self, pts: Timestamp) -> Option<(Span, u32)> {
        let interval = self.last.replace(pts).map(|last| pts - last);
        let frames = std::mem::replace(&mut self.frames, 0);
        let interval = interval.filter(|i| *i > Span::ZERO)?;
        self.alone = std::mem::take(&mut self.anew);
        self.previous = self.interval.replace(interval);
        if interval <= LONGEST {
            self.longest = self.longest.max(interval);
        }
        Some((interval, frames))
    }

    /// Where the next random-access point is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        Some(self.last? + self.interval?)
    }

    /// How long the next random-access point may be waited for: one that came early tells nothing.
    pub(crate) fn interval(&self) -> Option<Span> {
        let previous = self.previous.filter(|_| !self.alone);
        self.interval.max(previous)
    }

    /// The longest interval that shapes segments.
    pub(crate) fn longest(&self) -> Span {
        self.longest
    }

    /// Whether the row no longer fits the source: keyframes lie further apart than `d`, or `d` is
    /// no whole multiple of their distance where the row counts on that.
    pub(crate) fn outgrows(&mut self, row: &Row, interval: Span) -> bool {
        let k = multiples(row.d, interval);
        let whole = (interval.times(k) - row.d).abs() <= TOLERANCE.times(k);
        let shorter = interval <= row.d + TOLERANCE;
        let again = self
            .previous
            .is_some_and(|p| (p - interval).abs() <= TOLERANCE);
        if shorter && (whole || !row.regular) || interval > LONGEST {
            self.fits += 1;
        } else if again || interval.times(4) > row.d.times(5) {
            self.misfits += 1;
        } else {
            self.odd += 1;
        }
        if self.fits >= FORGET {
            self.forget();
        }
        self.misfits >= SEEN || self.odd >= ODD
    }

    fn forget(&mut self) {
        (self.fits, self.misfits, self.odd) = (0, 0, 0);
    }

    /// What fits the source now that `row` ceased to. Neither the target duration nor an irregular
    /// source's windows shrink: longer segments may still be listed, longer intervals come again.
    pub(crate) fn choose(&mut self, segment: Span, row: &Row) -> Choice {
        self.forget();
        let choice = match (self.previous, self.interval) {
            (Some(a), Some(b)) if (a - b).abs() <= TOLERANCE => regular(segment, b),
            _ => irregular(segment, self.longest.max(row.d)),
        };
        Choice {
            target_duration: choice.target_duration.max(row.target_duration),
            ..choice
        }
    }
}

/// Segment duration, target duration and regularity for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) d: Span,
    pub(crate) target_duration: u32,
    pub(crate) regular: bool,
}

/// For a regular interval the configured duration, or 1001/1000 of it, where it is a whole
/// multiple of the interval; else the nearest whole multiple.
pub(crate) fn regular(segment: Span, interval: Span) -> Choice {
    let stretched = Span::from_nanos(segment.as_nanos() / 1000 * 1001);
    let misfit = |d: Span| {
        let k = multiples(d, interval);
        ((interval.times(k) - d).abs().as_nanos() / k, d)
    };
    let (error, d) = misfit(segment).min(misfit(stretched));
    let d = if Span::from_nanos(error) <= Span::from_millis(1) && d + TOLERANCE >= interval {
        d
    } else {
        interval.times(multiples(segment, interval))
    };
    Choice {
        d,
        target_duration: ceil_secs(d),
        regular: true,
    }
}

/// For irregular keyframes a window of `d` holds one as long as none lie further apart.
pub(crate) fn irregular(segment: Span, longest: Span) -> Choice {
    let d = segment.max(longest);
    Choice {
        d,
        target_duration: ceil_secs(d.times(2)),
        regular: false,
    }
}

fn multiples(d: Span, interval: Span) -> i64 {
    let i = interval.as_nanos().max(1);
    ((d.as_nanos() + i / 2) / i).max(1)
}

fn ceil_secs(d: Span) -> u32 {
    let secs = (d.as_nanos() - 1_000_000).max(0) / 1_000_000_000 + 1;
    u32::try_from(secs).unwrap_or(u32::MAX)
}

/// The exact interval of `frames` frames where the codec tells a rate that agrees with the
/// measured one: millisecond timestamps would drift against the grid.
pub(crate) fn exact(interval: Span, frames: u32, rate: Option<(u32, u32)>) -> Span {
    let Some((num, den)) = rate.filter(|(num, den)| *num > 0 && *den > 0) else {
        return interval;
    };
    let ticks = i64::from(frames) * i64::from(den);
    let told = Span::from_ticks(ticks, num);
    // No more than rounding to milliseconds does: encoders that say 30 send 29.97.
    if (told - interval).abs() <= Span::from_millis(1) {
        told
    } else {
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(v: i64) -> Span {
        Span::from_millis(v)
    }

    #[test]
    fn the_configured_duration_holds_where_it_is_a_multiple() {
        for gop in [500, 1000, 1999, 2000] {
            let c = regular(ms(2000), ms(gop));
            assert_eq!((c.d, c.target_duration), (ms(2000), 2), "GOP {gop}");
        }
    }

    #[test]
    fn rates_over_1001_stretch_it() {
        let c = regular(ms(2000), ms(2002));
        assert_eq!((c.d, c.target_duration), (ms(2002), 3));
        assert_eq!(regular(ms(2000), ms(1001)).d, ms(2002));
    }

    #[test]
    fn other_intervals_take_the_nearest_multiple() {
        assert_eq!(regular(ms(2000), ms(960)).d, ms(1920));
        assert_eq!(regular(ms(2000), ms(4000)).d, ms(4000));
        assert_eq!(regular(ms(2000), ms(10_000)).target_duration, 10);
    }

    #[test]
    fn irregular_keyframes_double_the_target() {
        let c = irregular(ms(2000), ms(3300));
        assert_eq!((c.d, c.target_duration, c.regular), (ms(3300), 7, false));
    }

    #[test]
    fn a_told_rate_makes_the_interval_exact() {
        let gop = exact(ms(1668), 50, Some((30_000, 1001)));
        assert_eq!(gop.as_nanos(), 1_668_333_333);
        assert_eq!(exact(ms(1700), 50, Some((30_000, 1001))), ms(1700));
        assert_eq!(exact(ms(2002), 60, Some((30, 1))), ms(2002));
    }
}
