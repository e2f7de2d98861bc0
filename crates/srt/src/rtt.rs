//! The round trip's time, smoothed (draft-sharabayko-srt-01, 4.10).

use media::Span;

/// Nobody asks for the same again sooner: libsrt and we wait for 20 ms, or 8 where time is short.
const SOONEST: Span = Span::from_millis(7);

/// Estimates of the round trip and of how it varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rtt {
    mean: Span,
    variation: Span,
    measured: bool,
}

impl Default for Rtt {
    fn default() -> Self {
        Self {
            mean: Span::from_millis(100),
            variation: Span::from_millis(50),
            measured: false,
        }
    }
}

impl Rtt {
    #[cfg(test)]
    const fn mean(&self) -> Span {
        self.mean
    }

    /// Mean and variation in microseconds.
    pub(crate) fn micros(&self) -> (u32, u32) {
        [self.mean, self.variation]
            .map(|s| u32::try_from(s.as_nanos() / 1_000).unwrap_or(u32::MAX))
            .into()
    }

    /// After so long an answer is late.
    pub(crate) fn patience(&self) -> Span {
        self.mean + self.variation.times(4)
    }

    /// Before this an answer cannot be expected. The peer has a say in it, but not the last word.
    pub(crate) fn soonest(&self) -> Span {
        (self.mean - self.variation.times(4)).max(SOONEST)
    }

    /// What was measured is taken as it is at first.
    pub(crate) fn sample(&mut self, sample: Span) {
        let sample = sample.clamp(Span::ZERO, Span::from_secs(10));
        if self.measured {
            let off = (self.mean - sample).abs();
            self.variation = eighths(self.variation, 6) + eighths(off, 2);
            self.mean = eighths(self.mean, 7) + eighths(sample, 1);
        } else {
            self.measured = true;
            self.mean = sample;
            self.variation = eighths(sample, 4);
        }
    }
}

const fn eighths(span: Span, n: i64) -> Span {
    Span::from_nanos(span.as_nanos() / 8 * n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_is_measured() {
        let mut rtt = Rtt::default();
        rtt.sample(Span::from_millis(40));
        assert_eq!(rtt.micros(), (40_000, 20_000));
        for _ in 0..100 {
            rtt.sample(Span::from_millis(80));
        }
        assert!(rtt.mean() > Span::from_millis(79), "{rtt:?}");
        assert!(rtt.soonest() > Span::from_millis(75), "{rtt:?}");
        rtt.sample(Span::from_nanos(i64::MAX));
        assert!(rtt.patience() < Span::from_secs(20));
    }
}
