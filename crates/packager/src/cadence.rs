//! The pace of one track: how long a sample lasts and where the next one is due.

use media::{Frame, Span, Track};

/// Sound that strays less than this from its cadence is on it: its frames have one duration.
const SOUND_STRAY: Span = Span::from_millis(30);
/// Pictures that stray less than this are on theirs: container clocks count whole milliseconds.
const PICTURE_STRAY: Span = Span::from_millis(2);

/// The pace of a track: nominal sample duration, and where the next sample is due, in ticks.
#[derive(Debug)]
pub(crate) struct Cadence {
    timescale: u32,
    /// Audio frames have one exact duration; video's is measured, in sixteenths of a tick.
    exact: Option<i64>,
    measured: Option<i64>,
    last_raw: Option<i64>,
    last: Option<i64>,
    end: Option<i64>,
    /// What the latest sample lasts longer for the next one to be nearer to the source's clock.
    led: i64,
    /// Steps in a row that were far too long, and the least of them: a hole is one, and may be the
    /// first of a slower source's many.
    misfits: (u8, i64),
}

const NONE: (u8, i64) = (0, i64::MAX);
/// So many in a row are the new pace.
const MISFITS: u8 = 4;

impl Cadence {
    pub(crate) fn new(track: &Track, timescale: u32) -> Self {
        let audio = track.config.audio();
        let exact = audio.and_then(|a| {
            let rate = i64::from(a.sample_rate.max(1));
            Some(i64::from(a.samples_per_frame?) * i64::from(timescale) / rate)
        });
        let told = track.config.video().and_then(|v| v.frame_rate);
        let measured = told
            .filter(|(num, _)| *num > 0)
            .map(|(num, den)| i64::from(den) * i64::from(timescale) * 16 / i64::from(num))
            .filter(|d| (i64::from(timescale) / 16..i64::from(timescale) * 32).contains(d));
        Self {
            timescale,
            exact: exact.filter(|d| *d > 0),
            measured,
            last_raw: None,
            last: None,
            end: None,
            led: 0,
            misfits: NONE,
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.exact.is_some() || self.measured.is_some()
    }

    pub(crate) fn nominal(&self) -> i64 {
        let guess = i64::from(self.timescale) / 30;
        self.exact
            .or_else(|| self.measured.map(|m| (m / 16).max(1)))
            .unwrap_or(guess)
    }

    pub(crate) fn duration(&self, frame: &Frame) -> i64 {
        let told = frame.duration.filter(|d| *d > Span::ZERO);
        let lasts = told.map_or_else(|| self.nominal(), |d| d.to_ticks(self.timescale));
        (lasts + self.led).max(1)
    }

    /// Ticks of the frame's DTS, which follows the cadence and is led gently to the source's
    /// clock; `None` where the frame lies wholly before the end of what filled its place. A picture
    /// that opens a chunk begins where the one before ended, and lasts until where the next one
    /// should begin: Shaka takes any distance between what a playlist says and `tfdt` for a seam,
    /// behind which nothing is shown but from a keyframe on.
    pub(crate) fn place(&mut self, frame: &Frame, filled: bool, opens: bool) -> Option<i64> {
        let raw = frame.dts.to_ticks(self.timescale);
        let due = self.end.unwrap_or(raw);
        let stray = raw - due;
        if filled && stray + self.nominal() / 2 < 0 {
            return None;
        }
        let (most, share) = match self.exact {
            Some(_) => (SOUND_STRAY, 32),
            None => (PICTURE_STRAY, 8),
        };
        let on_cadence = stray.abs() <= most.to_ticks(self.timescale);
        let lead = stray / share;
        let (dts, led) = match (on_cadence, opens && self.exact.is_none()) {
            (true, true) => (due, lead),
            (true, false) => (due + lead, 0),
            (false, _) => (raw, 0),
        };
        self.led = led;
        self.measure(raw);
        let dts = self.last.map_or(dts, |last| dts.max(last + 1));
        self.last = Some(dts);
        self.end = Some(dts + self.duration(frame));
        Some(dts)
    }

    /// How long a sample lasts that was given `nominal` and is followed after `distance`. Sound's
    /// frames last what they last: their cadence moves between parts, not within.
    pub(crate) fn snap(&self, distance: i64, nominal: i64) -> i64 {
        match self.exact {
            Some(step) if (distance - step).abs() <= step / 16 => nominal,
            _ => distance,
        }
    }

    /// A running mean over about sixteen frames; a hole is no frame duration, nor is what a picture
    /// leaves that was dropped.
    fn measure(&mut self, raw: i64) {
        let Some(last) = self.last_raw.replace(raw) else {
            return;
        };
        let step = (raw - last) * 16;
        if step <= 0 {
            return;
        }
        let fits = |mean: i64| step * 4 < mean * 7;
        match self.measured {
            None => self.measured = Some(step),
            Some(mean) if fits(mean) => {
                self.misfits = NONE;
                self.measured = Some(mean + (step - mean) / 16);
            }
            Some(_) if step > i64::from(self.timescale) * 32 => self.misfits = NONE,
            Some(_) => {
                let (count, least) = (self.misfits.0 + 1, self.misfits.1.min(step));
                self.misfits = (count, least);
                if count == MISFITS {
                    (self.measured, self.misfits) = (Some(least), NONE);
                }
            }
        }
    }

    pub(crate) fn end(&self) -> Option<i64> {
        self.end
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    pub(crate) fn frame_rate(&self, track: &Track) -> Option<f64> {
        let video = track.config.video()?;
        let measured = self
            .measured
            .map(|m| f64::from(self.timescale) * 16.0 / m as f64);
        let told = video
            .frame_rate
            .map(|(num, den)| f64::from(num) / f64::from(den.max(1)));
        match (told, measured) {
            // The headers' rate is exact where it is true.
            (Some(told), Some(m)) if (told - m).abs() > told * 0.1 => Some(m),
            (told, m) => told.or(m),
        }
    }

    /// The frame rate as a fraction: what the headers say, else one that is common.
    pub(crate) fn fraction(&self, track: &Track) -> Option<(u32, u32)> {
        let rate = self.frame_rate(track)?;
        let told = track.config.video().and_then(|v| v.frame_rate);
        let is_near = |(num, den): &(u32, u32)| {
            let told = f64::from(*num) / f64::from((*den).max(1));
            (told - rate).abs() < rate * 0.000_5
        };
        let whole = (1..=240).map(|n| (n, 1));
        let ntsc = [24, 30, 48, 60, 120].map(|n| (n * 1_000, 1_001));
        let mut common = told.into_iter().chain(whole).chain(ntsc);
        common.find(is_near)
    }
}
