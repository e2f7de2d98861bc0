//! What a worker takes. What is beyond is refused in words: nothing here may be as large as
//! somebody says.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use ladder::{AudioRung, Job, Ladder, Output, RateControl, VideoCodec, VideoRung};

/// A pixel is no longer, or higher, than so many times the other.
pub(crate) const ASPECT: i32 = 16;
/// Samples a second of a source: AAC's least is 7350, FLAC's most 384000.
pub(crate) const SAMPLES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Kilobits, a second or of a buffer.
const KBITS: u32 = 10_000_000;
const GOP_MS: std::ops::RangeInclusive<u32> = 1..=60_000;

/// Whether a job can be done as it stands: its parts fit each other, and nothing is beyond measure.
pub(crate) fn check(job: &Job) -> Result<()> {
    let ladder = &job.ladder;
    let most = Ladder::MOST_RUNGS;
    ensure!(
        ladder.video.len() <= most && ladder.audio.len() <= most,
        "more than {most} rungs"
    );
    ensure!(
        GOP_MS.contains(&ladder.gop_ms),
        "keyframes {} ms apart",
        ladder.gop_ms
    );
    let (video, audio) = (&ladder.video, &ladder.audio);
    once(video.iter().map(|rung| rung.number))?;
    once(audio.iter().map(|rung| rung.number))?;
    video.iter().try_for_each(check_video)?;
    audio.iter().try_for_each(check_audio)?;
    let Some(decision) = &job.decision else {
        return Ok(());
    };
    ensure!(decision.is_sound(), "a decision that nobody makes");
    for rung in &decision.rungs {
        let encoded = ladder.copies(Output::Video(rung.number)) == Some(false);
        ensure!(encoded, "rung {} is none that is encoded", rung.number);
    }
    Ok(())
}

fn once(mut numbers: impl Iterator<Item = u8>) -> Result<()> {
    let mut seen = BTreeSet::new();
    let again = numbers.find(|number| !seen.insert(*number));
    ensure!(again.is_none(), "rung {} twice", again.unwrap_or_default());
    Ok(())
}

/// Words go to encoders as they are, so they are among those that these know.
fn check_video(wanted: &VideoRung) -> Result<()> {
    let (codec, name) = (wanted.codec, &wanted.name);
    if codec == VideoCodec::Copy {
        return Ok(());
    }
    let known = |word: &str, words: &[&str]| words.contains(&word);
    let told = |word: &Option<String>, words: &[&str]| {
        word.as_deref().is_none_or(|word| known(word, words))
    };
    ensure!(
        known(&wanted.preset, codec.presets())
            && told(&wanted.tune, codec.tunes())
            && told(&wanted.profile, codec.profiles())
            && told(&wanted.level, codec.levels()),
        "{name}: {} does not know the preset, tune, profile or level",
        codec.name()
    );
    if let ladder::Rate::Fixed(rate) = wanted.rate {
        ensure!(rate.is_sound(), "{name}: {rate:?}");
    }
    let (kbps, buffer) = match wanted.control {
        RateControl::Bitrate {
            kbps,
            max_kbps,
            buffer_kbits,
        } => (kbps.max(max_kbps), buffer_kbits),
        RateControl::Crf { max, .. } => max.unwrap_or_default(),
    };
    ensure!(kbps.max(buffer) <= KBITS, "{name}: {kbps} kb/s");
    Ok(())
}

fn check_audio(wanted: &AudioRung) -> Result<()> {
    ensure!(
        wanted.kbps <= KBITS,
        "{}: {} kb/s",
        wanted.name,
        wanted.kbps
    );
    Ok(())
}
