//! Pictures per second.

use media::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Pictures per second that a rung is wanted at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// As many as the source has at the start.
    Source,
    /// Half of that.
    Half,
    /// So many, but not more than the source has at the start. A whole rate becomes 1000/1001 of
    /// it where the source's is such a one: their keyframes could not meet otherwise.
    Fixed(FrameRate),
}

/// An exact number of pictures per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    /// Pictures
    pub num: u32,
    /// in so many seconds.
    pub den: u32,
}

const NANOS: i128 = 1_000_000_000;
/// Whole rates that sources have also at 1000/1001.
const BROADCAST: [u32; 4] = [24, 30, 60, 120];
/// 23.98 is written for 23.976.
const ROUNDED: f64 = 0.005;
/// The most that is believed.
const MOST: f64 = 240.0;

impl FrameRate {
    /// The most that either part is: 120000/1001 is far below, and libav counts in 32 bits.
    pub const PART: u32 = 1_000_000;

    /// A rate in lowest terms; `None` where it is none, or above 240.
    #[must_use]
    pub fn new(num: u32, den: u32) -> Option<Self> {
        let (mut a, mut b) = (num, den);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let rate = (num > 0 && den > 0).then(|| Self {
            num: num / a,
            den: den / a,
        })?;
        (rate.as_f64() <= MOST).then_some(rate)
    }

    /// Whether it is as [`FrameRate::new`] makes them, and can be counted with in 32 bits.
    #[must_use]
    pub fn is_sound(self) -> bool {
        Self::new(self.num, self.den) == Some(self) && self.num.max(self.den) <= Self::PART
    }

    /// The rate that a number means: 29.97 and the like are 1000/1001 of a whole rate, others are
    /// taken to a thousandth. `None` where it is none, or above 240.
    #[must_use]
    pub fn of(number: f64) -> Option<Self> {
        let ntsc = BROADCAST.map(|whole| Self {
            num: whole * 1000,
            den: 1001,
        });
        let meant = |rate: &Self| (rate.as_f64() - number).abs() < ROUNDED;
        if let Some(ntsc) = ntsc.into_iter().find(meant) {
            return Some(ntsc);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 240000"
        )]
        let thousandths = (number.clamp(0.0, MOST + 1.0) * 1e3).round() as u32;
        Self::new(thousandths, 1_000)
    }

    /// Of whole pictures per second.
    #[must_use]
    pub const fn whole(num: u32) -> Self {
        Self { num, den: 1 }
    }

    /// The rate that pictures this far apart are likely to have: `told` by the codec's headers,
    /// if that is about it; else one that is in use, or the nearest whole one.
    #[must_use]
    pub fn likely(interval: Span, told: Option<Self>) -> Option<Self> {
        let measured = 1e9 / f64::max(interval.as_secs_f64() * 1e9, 1.0);
        let close = |rate: &Self| (rate.as_f64() / measured - 1.0).abs() < 0.03;
        if let Some(told) = told.filter(close) {
            return Some(told);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 240"
        )]
        let whole = measured.clamp(1.0, MOST).round() as u32;
        Self::new(whole, 1)
    }

    /// For display, and where exactness does not matter.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// Whether it is a whole rate times 1000/1001.
    #[must_use]
    pub const fn is_ntsc(self) -> bool {
        self.den == 1001
    }

    /// Half of it.
    #[must_use]
    pub fn half(self) -> Self {
        Self::new(self.num, self.den * 2).unwrap_or(self)
    }

    /// The same where the source is at a rate of 1001: 1000/1001 of a whole rate that has such.
    #[must_use]
    pub fn beside(self, source: Self) -> Self {
        if source.is_ntsc() && self.den == 1 && BROADCAST.contains(&self.num) {
            return Self {
                num: self.num * 1000,
                den: 1001,
            };
        }
        self
    }

    /// The time of picture `slot` since the epoch, rounded to the nearest nanosecond.
    #[must_use]
    pub fn time(self, slot: i64) -> Timestamp {
        let num = i128::from(self.num);
        let nanos = (i128::from(slot) * i128::from(self.den) * NANOS + num / 2).div_euclid(num);
        let edge = if slot < 0 { i64::MIN } else { i64::MAX };
        Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(edge))
    }

    /// The last picture at or before `at`.
    #[must_use]
    pub fn slot(self, at: Timestamp) -> i64 {
        let unit = i128::from(self.den) * NANOS;
        // A slot's time is rounded: half a nanosecond more finds it again.
        let twice = i128::from(at.as_nanos()) * 2 + 1;
        let slot = (twice * i128::from(self.num)).div_euclid(unit * 2);
        i64::try_from(slot).unwrap_or(0)
    }

    /// From one picture to the next.
    #[must_use]
    pub fn interval(self) -> Span {
        self.time(1) - Timestamp::ZERO
    }

    /// From one keyframe to the next where they are `gop_ms` apart: 1001/1000 of that at a rate
    /// of 1001, so that it holds whole pictures.
    #[must_use]
    pub fn gop(self, gop_ms: u32) -> Span {
        let gop = Span::from_millis(gop_ms.into());
        if self.is_ntsc() {
            Span::from_nanos(gop.as_nanos() / 1_000 * 1_001)
        } else {
            gop
        }
    }

    /// Pictures from one keyframe to the next where they are `gop_ms` apart, 1001/1000 of that
    /// included; `None` where they do not come out even.
    #[must_use]
    pub fn per_gop(self, gop_ms: u32) -> Option<u32> {
        let nominal = if self.is_ntsc() {
            self.num
        } else {
            self.num * 1000
        };
        let per = u64::from(nominal) * u64::from(gop_ms);
        let unit = u64::from(if self.is_ntsc() { 1 } else { self.den }) * 1_000_000;
        let whole = per.is_multiple_of(unit).then_some(per / unit)?;
        u32::try_from(whole).ok().filter(|n| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NTSC: FrameRate = FrameRate {
        num: 30_000,
        den: 1_001,
    };

    #[test]
    fn a_slot_is_found_by_its_time() {
        for rate in [
            FrameRate::whole(30),
            FrameRate::whole(25),
            NTSC,
            NTSC.half(),
        ] {
            for slot in [0, 1, 7, 1_000_000_007, 53_000_000_001] {
                assert_eq!(rate.slot(rate.time(slot)), slot, "{rate:?}");
                let before = rate.time(slot) - Span::from_nanos(2);
                assert_eq!(rate.slot(before), slot - 1, "{rate:?}");
            }
        }
    }

    #[test]
    fn a_number_means_a_rate() {
        let rate = |num, den| Some(FrameRate { num, den });
        for (number, meant) in [
            (25.0, rate(25, 1)),
            (12.5, rate(25, 2)),
            (29.97, rate(30_000, 1_001)),
            (59.94, rate(60_000, 1_001)),
            (23.976, rate(24_000, 1_001)),
            (23.98, rate(24_000, 1_001)),
            (119.88, rate(120_000, 1_001)),
            (29.9, rate(299, 10)),
            (240.0, rate(240, 1)),
            (240.1, None),
            (0.0, None),
            (-25.0, None),
            (f64::NAN, None),
        ] {
            assert_eq!(FrameRate::of(number), meant, "{number}");
        }
    }

    #[test]
    fn keyframes_come_out_even_or_not() {
        assert_eq!(FrameRate::whole(30).per_gop(2_000), Some(60));
        assert_eq!(NTSC.per_gop(2_000), Some(60));
        assert_eq!(FrameRate::whole(25).half().per_gop(2_000), Some(25));
        assert_eq!(FrameRate::whole(25).half().per_gop(1_000), None);
        assert_eq!(FrameRate::whole(30).per_gop(1_920), None);
        let sixty = NTSC.time(60) - Timestamp::ZERO;
        assert_eq!(sixty, Span::from_millis(2_002));
    }

    #[test]
    fn what_the_header_tells_decides_between_close_rates() {
        let interval = Span::from_millis(33);
        assert_eq!(FrameRate::likely(interval, Some(NTSC)), Some(NTSC));
        assert_eq!(
            FrameRate::likely(interval, None),
            Some(FrameRate::whole(30))
        );
        let wrong = FrameRate::new(60, 1);
        assert_eq!(
            FrameRate::likely(interval, wrong),
            Some(FrameRate::whole(30))
        );
    }

    #[test]
    fn a_whole_rate_follows_a_source_of_1001() {
        assert_eq!(FrameRate::whole(30).beside(NTSC), NTSC);
        assert_eq!(FrameRate::whole(25).beside(NTSC), FrameRate::whole(25));
        assert_eq!(
            FrameRate::whole(30).beside(FrameRate::whole(25)),
            FrameRate::whole(30)
        );
    }
}
