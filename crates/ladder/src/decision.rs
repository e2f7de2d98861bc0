//! A ladder fitted to the source it starts with.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Fit, FrameRate, Ladder, Rate, VideoCodec, VideoRung};

/// The pictures that a ladder starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// In square pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Pictures per second.
    pub rate: FrameRate,
}

/// What is made of a ladder for as long as it runs, whatever sources come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it started with.
    pub source: Source,
    /// The rungs that are made.
    pub rungs: Vec<Rung>,
}

/// One rung that is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Its name in the ladder.
    pub name: String,
    /// Its number in the ladder.
    pub number: u8,
    /// In pixels, even.
    pub width: u32,
    /// In pixels, even.
    pub height: u32,
    /// Pictures per second.
    pub rate: FrameRate,
}

/// The least that a ladder is fitted to.
const LEAST: u32 = 16;

impl Decision {
    /// Fits a ladder to a source. A rung larger than the source becomes as large as the source; of
    /// those that became so only the last one stays.
    #[must_use]
    pub fn of(ladder: &Ladder, source: Source) -> Self {
        let mut rungs: Vec<Rung> = Vec::new();
        let encoded = ladder.video.iter().filter(|r| r.codec != VideoCodec::Copy);
        for wanted in encoded {
            let rung = fitted(wanted, source);
            let same = |r: &Rung| {
                let equal = (r.width, r.height, r.rate) == (rung.width, rung.height, rung.rate);
                let before = ladder.video_rung(r.number).filter(|_| equal);
                before.is_some_and(|b| b.codec == wanted.codec && is_larger(b, source))
            };
            rungs.retain(|r| !same(r));
            rungs.push(rung);
        }
        Self { source, rungs }
    }

    /// The longest side of a picture that is decoded or made.
    pub const SIDE: u32 = 8_192;

    /// Whether it is one that a worker makes: its sizes are of pictures, its rates can be counted
    /// with, each rung is there once.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let Source {
            width,
            height,
            rate,
        } = self.source;
        let picture = width.min(height) > 0 && width.max(height) <= Self::SIDE && rate.is_sound();
        let fits = |n: u32| (LEAST..=Self::SIDE).contains(&n) && n.is_multiple_of(2);
        let made = |r: &Rung| fits(r.width) && fits(r.height) && r.rate.is_sound();
        let numbers: BTreeSet<u8> = self.rungs.iter().map(|r| r.number).collect();
        picture && self.rungs.iter().all(made) && numbers.len() == self.rungs.len()
    }

    /// The rung of this number, if it is made.
    #[must_use]
    pub fn rung(&self, number: u8) -> Option<&Rung> {
        self.rungs.iter().find(|rung| rung.number == number)
    }
}

fn is_larger(wanted: &VideoRung, source: Source) -> bool {
    wanted.width.is_some_and(|w| w > source.width)
        || wanted.height.is_some_and(|h| h > source.height)
}

fn fitted(wanted: &VideoRung, source: Source) -> Rung {
    let (width, height) = size(wanted, source);
    let rate = match wanted.rate {
        Rate::Source => source.rate,
        Rate::Half => source.rate.half(),
        Rate::Fixed(rate) => {
            let rate = rate.beside(source.rate);
            let faster = rate.as_f64() > source.rate.as_f64() * 1.001;
            if faster { source.rate } else { rate }
        }
    };
    Rung {
        name: wanted.name.clone(),
        number: wanted.number,
        width,
        height,
        rate,
    }
}

fn size(wanted: &VideoRung, source: Source) -> (u32, u32) {
    let clamp = |wanted: Option<u32>, most: u32| wanted.map(|w| w.min(most));
    let (width, height) = (
        clamp(wanted.width, source.width),
        clamp(wanted.height, source.height),
    );
    let (width, height) = match (width, height) {
        (None, None) => (source.width, source.height),
        (None, Some(h)) => (scaled(source.width, h, source.height), h),
        (Some(w), None) => (w, scaled(source.height, w, source.width)),
        (Some(w), Some(h)) if wanted.fit == Fit::Fit => {
            let high = scaled(source.height, w, source.width);
            if high <= h {
                (w, high)
            } else {
                (scaled(source.width, h, source.height), h)
            }
        }
        (Some(w), Some(h)) => (w, h),
    };
    (even(width), even(height))
}

/// `n * num / den`, rounded.
fn scaled(n: u32, num: u32, den: u32) -> u32 {
    let den = u64::from(den.max(1));
    let scaled = (u64::from(n) * u64::from(num) + den / 2) / den;
    u32::try_from(scaled).unwrap_or(n)
}

fn even(n: u32) -> u32 {
    (n + n % 2).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Deinterlace, RateControl};

    fn rung(height: u32) -> VideoRung {
        VideoRung {
            name: format!("{height}p"),
            number: 0,
            codec: VideoCodec::H264,
            width: None,
            height: Some(height),
            fit: Fit::Fit,
            rate: Rate::Source,
            control: RateControl::Crf {
                crf: 23.0,
                max: None,
            },
            preset: "veryfast".to_owned(),
            tune: None,
            profile: None,
            level: None,
            b_frames: None,
            refs: None,
        }
    }

    fn decide(
        video: Vec<VideoRung>,
        width: u32,
        height: u32,
        rate: FrameRate,
    ) -> Vec<(String, u32, u32, FrameRate)> {
        let ladder = Ladder {
            gop_ms: 2_000,
            deinterlace: Deinterlace::Auto,
            video,
            audio: Vec::new(),
        };
        let ladder = ladder.numbered(&[]);
        let source = Source {
            width,
            height,
            rate,
        };
        let decided = Decision::of(&ladder, source).rungs.into_iter();
        decided
            .map(|r| (r.name, r.width, r.height, r.rate))
            .collect()
    }

    const THIRTY: FrameRate = FrameRate::whole(30);

    #[test]
    fn a_ladder_is_clamped_to_its_source() {
        let all = || [1080, 720, 480, 360].map(rung).to_vec();
        let made = |w, h| {
            decide(all(), w, h, THIRTY)
                .into_iter()
                .map(|r| (r.0, r.1, r.2))
                .collect::<Vec<_>>()
        };
        let named = |n: &str, w, h| (n.to_owned(), w, h);
        assert_eq!(made(1920, 1080).len(), 4);
        let of_720 = [
            named("720p", 1280, 720),
            named("480p", 854, 480),
            named("360p", 640, 360),
        ];
        assert_eq!(made(1280, 720), of_720);
        let of_600 = [
            named("720p", 800, 600),
            named("480p", 640, 480),
            named("360p", 480, 360),
        ];
        assert_eq!(made(800, 600), of_600);
        assert_eq!(made(16, 16), [named("360p", 16, 16)]);
    }

    #[test]
    fn a_box_is_filled_as_it_says() {
        let boxed = |fit| VideoRung {
            width: Some(640),
            height: Some(640),
            fit,
            ..rung(0)
        };
        let size = |fit| {
            let made = decide(vec![boxed(fit)], 1280, 720, THIRTY);
            (made[0].1, made[0].2)
        };
        assert_eq!(size(Fit::Fit), (640, 360));
        for fit in [Fit::Pad, Fit::Crop, Fit::Stretch] {
            assert_eq!(size(fit), (640, 640));
        }
    }

    #[test]
    fn rates_are_no_higher_than_the_source() {
        let ntsc = FrameRate {
            num: 30_000,
            den: 1_001,
        };
        let at =
            |rate, source| decide(vec![VideoRung { rate, ..rung(360) }], 640, 360, source)[0].3;
        assert_eq!(at(Rate::Fixed(FrameRate::whole(60)), THIRTY), THIRTY);
        assert_eq!(at(Rate::Fixed(THIRTY), ntsc), ntsc);
        assert_eq!(at(Rate::Half, FrameRate::whole(50)), FrameRate::whole(25));
        assert_eq!(at(Rate::Source, ntsc), ntsc);
    }
}
