//! What a transcoder worker is asked to make, and what it answers: the words between the server
//! and its workers. Pure.
//!
//! A [`Ladder`] is what is wanted whatever the source; [`Decision::of`] fits it to the first
//! picture that comes, once: sources change, encoders stay. [`Order`] and [`Report`] are what the
//! two ends say to each other in the control messages of `container::wire`.

#![warn(missing_docs)]

mod audio;
mod capabilities;
mod decision;
mod order;
mod output;
mod rate;
mod report;
mod video;

pub use audio::{AudioCodec, AudioRung, From};
pub use capabilities::{Capabilities, Device, Encoder};
pub use decision::{Decision, Rung, Source};
pub use order::{Job, Order};
pub use output::Output;
pub use rate::{FrameRate, Rate};
pub use report::{Health, OutputHealth, Report, Unreadable};
pub use video::{Deinterlace, Fit, RateControl, VideoCodec, VideoRung};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What is made of one source: renditions of its pictures and of its sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// From one IDR to the next, in milliseconds, on a grid since the epoch; 1001/1000 of it at
    /// rates such as 30000/1001.
    pub gop_ms: u32,
    /// What becomes of interlaced pictures.
    pub deinterlace: Deinterlace,
    /// Best first; at most [`Ladder::MOST_RUNGS`].
    pub video: Vec<VideoRung>,
    /// In the order in which players shall prefer them; at most [`Ladder::MOST_RUNGS`].
    pub audio: Vec<AudioRung>,
}

impl Ladder {
    /// Rungs of a kind.
    pub const MOST_RUNGS: usize = 16;

    /// Numbers the rungs: one whose name is in a ladder `before`, newest first, has its number
    /// wherever it stands; others get numbers that none of these has, so that what a worker says of
    /// one that is gone is not taken for another's.
    #[must_use]
    pub fn numbered(mut self, before: &[Arc<Self>]) -> Self {
        let known =
            |of: fn(&Self) -> Vec<(String, u8)>| before.iter().flat_map(|l| of(l)).collect();
        let video: Vec<_> = known(|l| l.video.iter().map(|r| (r.name.clone(), r.number)).collect());
        let audio: Vec<_> = known(|l| l.audio.iter().map(|r| (r.name.clone(), r.number)).collect());
        number(
            &video,
            self.video.iter_mut().map(|r| (&*r.name, &mut r.number)),
        );
        number(
            &audio,
            self.audio.iter_mut().map(|r| (&*r.name, &mut r.number)),
        );
        self
    }

    /// The rung of this number.
    #[must_use]
    pub fn video_rung(&self, number: u8) -> Option<&VideoRung> {
        self.video.iter().find(|rung| rung.number == number)
    }

    /// The rung of this number.
    #[must_use]
    pub fn audio_rung(&self, number: u8) -> Option<&AudioRung> {
        self.audio.iter().find(|rung| rung.number == number)
    }

    /// Whether a rung passes the pictures on as they are: then all others follow its keyframes.
    #[must_use]
    pub fn copies_video(&self) -> bool {
        self.video.iter().any(|rung| rung.codec == VideoCodec::Copy)
    }

    /// Whether an output is passed on as it came; `None` for one that the ladder does not have.
    #[must_use]
    pub fn copies(&self, output: Output) -> Option<bool> {
        match output {
            Output::Video(rung) => Some(self.video_rung(rung)?.codec == VideoCodec::Copy),
            Output::Audio(rung, _) => Some(self.audio_rung(rung)?.codec == AudioCodec::Copy),
        }
    }

    /// Whether there is anything for a worker to do.
    #[must_use]
    pub fn encodes(&self) -> bool {
        let video = self.video.iter().any(|rung| rung.codec != VideoCodec::Copy);
        let audio = self.audio.iter().any(|rung| rung.codec != AudioCodec::Copy);
        video || audio
    }
}

fn number<'a>(before: &[(String, u8)], rungs: impl Iterator<Item = (&'a str, &'a mut u8)>) {
    let mut free = (0..=u8::MAX).filter(|n| before.iter().all(|(_, known)| known != n));
    for (name, number) in rungs {
        let known = before.iter().find(|(known, _)| known == name);
        *number = known
            .map(|(_, n)| *n)
            .or_else(|| free.next())
            .unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(video: &[&str], audio: &[&str]) -> Ladder {
        let sound = |name: &&str| AudioRung {
            name: (*name).to_owned(),
            number: 0,
            codec: AudioCodec::Copy,
            from: From::All,
            kbps: 0,
            sample_rate: None,
            channels: None,
        };
        Ladder {
            gop_ms: 2_000,
            deinterlace: Deinterlace::Auto,
            video: video
                .iter()
                .map(|n| VideoRung::copy((*n).to_owned()))
                .collect(),
            audio: audio.iter().map(sound).collect(),
        }
    }

    fn numbers(ladder: &Ladder) -> (Vec<u8>, Vec<u8>) {
        let video = ladder.video.iter().map(|r| r.number);
        let audio = ladder.audio.iter().map(|r| r.number);
        (video.collect(), audio.collect())
    }

    #[test]
    fn a_rung_keeps_its_number_wherever_it_stands() {
        let after = |names: (&[&str], &[&str]), before: &[&Arc<Ladder>]| {
            let before: Vec<_> = before.iter().copied().cloned().collect();
            Arc::new(ladder(names.0, names.1).numbered(&before))
        };
        let first = after((&["a", "b"], &["x"]), &[]);
        assert_eq!(numbers(&first), (vec![0, 1], vec![0]));
        let more = after((&["new", "b", "a"], &["y", "x"]), &[&first]);
        assert_eq!(numbers(&more), (vec![2, 1, 0], vec![1, 0]));
        assert_eq!(more.video_rung(2).unwrap().name, "new");
        let less = after((&["b"], &["x"]), &[&more, &first]);
        assert_eq!(numbers(&less), (vec![1], vec![0]));
        let other = after((&["c", "b", "a"], &["x"]), &[&less, &more, &first]);
        assert_eq!(
            numbers(&other),
            (vec![3, 1, 0], vec![0]),
            "none is another's"
        );
        assert_eq!(other.copies(Output::Video(2)), None);
    }

    #[test]
    fn numbers_do_not_run_out() {
        let names: Vec<String> = (0..200).map(|n| format!("r{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let most = Ladder::MOST_RUNGS;
        let mut before: Vec<Arc<Ladder>> = Vec::new();
        for rungs in names.chunks_exact(most) {
            before.truncate(8);
            let now = Arc::new(ladder(rungs, rungs).numbered(&before));
            let (mut video, audio) = numbers(&now);
            before.insert(0, now);
            assert_eq!(video, audio);
            video.sort_unstable();
            video.dedup();
            assert_eq!(video.len(), most);
        }
    }
}
