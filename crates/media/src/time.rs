//! The one unit of time: signed 64-bit nanoseconds.
//!
//! Any container timescale below 1 GHz survives the round trip through nanoseconds exactly:
//! rounding costs at most half a nanosecond, which is less than half a tick.

use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::time::Duration;

const NANOS_PER_SEC: i128 = 1_000_000_000;

/// A point on some clock, in nanoseconds. Which clock (an input's own, or the programme's, which
/// counts from the Unix epoch) is the business of whoever holds it.
///
/// Arithmetic saturates: a hostile timestamp may be wrong, it must not panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A signed length of time, in nanoseconds: the difference of two [`Timestamp`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Timestamp {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);
    /// The latest point that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// A point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A point `millis` milliseconds after the origin, saturating.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The point `ticks / timescale` seconds after the origin, rounded to the nearest nanosecond
    /// and saturating. A `timescale` of 0 is read as 1.
    #[must_use]
    pub fn from_ticks(ticks: i64, timescale: u32) -> Self {
        Self(ticks_to_nanos(ticks, timescale))
    }

    /// This point in units of `1 / timescale` seconds, rounded to the nearest tick.
    #[must_use]
    pub fn to_ticks(self, timescale: u32) -> i64 {
        nanos_to_ticks(self.0, timescale)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the origin, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A span of `millis` milliseconds, saturating.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A span of `secs` seconds, saturating.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// A span of `ticks / timescale` seconds, rounded to the nearest nanosecond, saturating.
    #[must_use]
    pub fn from_ticks(ticks: i64, timescale: u32) -> Self {
        Self(ticks_to_nanos(ticks, timescale))
    }

    /// This span in units of `1 / timescale` seconds, rounded to the nearest tick.
    #[must_use]
    pub fn to_ticks(self, timescale: u32) -> i64 {
        nanos_to_ticks(self.0, timescale)
    }

    /// Nanoseconds, negative where the span points backward.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds, for display and for rates.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The same length, never negative.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// This span `n` times over, saturating.
    #[must_use]
    pub const fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// As a standard duration; a negative span is zero.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl From<Duration> for Span {
    fn from(d: Duration) -> Self {
        Self(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, rhs: Self) -> Span {
        Span(self.0.saturating_sub(rhs.0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Span) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Span) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

impl AddAssign<Span> for Timestamp {
    fn add_assign(&mut self, rhs: Span) {
        *self = *self + rhs;
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}

impl SubAssign for Span {
    fn sub_assign(&mut self, rhs: Self) {
        *self = *self - rhs;
    }
}

fn ticks_to_nanos(ticks: i64, timescale: u32) -> i64 {
    let scale = i128::from(timescale.max(1));
    saturate(round_div(i128::from(ticks) * NANOS_PER_SEC, scale))
}

fn nanos_to_ticks(nanos: i64, timescale: u32) -> i64 {
    saturate(round_div(
        i128::from(nanos) * i128::from(timescale.max(1)),
        NANOS_PER_SEC,
    ))
}

fn round_div(n: i128, d: i128) -> i128 {
    (n + d / 2).div_euclid(d)
}

fn saturate(v: i128) -> i64 {
    i64::try_from(v).unwrap_or(if v < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_timescale_round_trips() {
        for scale in [1_000, 44_100, 48_000, 90_000, 12_800, 30_000, 999_999_999] {
            for ticks in [-7, 0, 1, 2, 161_580_163_966_080, 8_617_608_745_123] {
                let t = Timestamp::from_ticks(ticks, scale);
                if t != Timestamp::MAX {
                    assert_eq!(t.to_ticks(scale), ticks, "{ticks} at {scale}");
                }
            }
        }
    }

    #[test]
    fn hostile_values_saturate() {
        assert_eq!(Timestamp::from_ticks(i64::MAX, 1), Timestamp::MAX);
        assert_eq!(Timestamp::MAX + Span::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::from_ticks(5, 0), Timestamp::from_ticks(5, 1));
    }
}
