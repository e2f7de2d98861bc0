//! What is made of the programme: a ladder of renditions of its pictures and of its sound.

mod audio;
mod check;
mod numbers;
mod preset;
mod video;
mod words;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::audio::AudioRung;
use self::video::VideoRung;
use self::words::{DeinterlaceWord, PresetName};
use super::StreamConfig;

pub(super) use check::check;
pub(crate) use check::check_capabilities;

/// What is encoded; absent, or empty: nothing is, and the programme is passed on as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transcode {
    /// A ladder by its name, instead of `video`. Its sound holds where `audio` is not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PresetName>)]
    preset: Option<String>,
    /// From one keyframe to the next, 250..=10000; `hls.segment_ms` must be a multiple of it, and
    /// is the default. Rates such as 29.97 take 1001/1000 of it. Beside a copy of the pictures the
    /// source's keyframes decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 250, maximum = 10000)]
    gop_ms: Option<u32>,
    /// What becomes of interlaced pictures; default `auto`: those that say that they are become
    /// progressive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DeinterlaceWord>)]
    deinterlace: Option<ladder::Deinterlace>,
    /// Renditions of the pictures, best first. None, where there is `audio`: a copy called
    /// `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 16)]
    video: Option<Vec<VideoRung>>,
    /// Renditions of the sound, in the order in which players shall prefer them. None, where there
    /// is `video`: AAC of 128 kb/s called `audio`, of each track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 16)]
    audio: Option<Vec<AudioRung>>,
}

/// The rungs of both kinds.
type Rungs = (Vec<VideoRung>, Vec<AudioRung>);

impl StreamConfig {
    /// What a worker is to make; `None` where nothing is encoded.
    pub(crate) fn ladder(&self) -> Option<ladder::Ladder> {
        let effective = self.transcode.as_ref()?.effective(self.segment_ms());
        Some(effective.ladder()).filter(ladder::Ladder::encodes)
    }
}

impl Transcode {
    /// What holds: rungs and defaults written out, whatever they come from.
    pub(super) fn effective(&self, segment_ms: u32) -> Self {
        let (video, audio) = self.rungs();
        let gop_ms = self.gop_ms.unwrap_or(segment_ms);
        let deinterlace = self.deinterlace.unwrap_or(ladder::Deinterlace::Auto);
        Self {
            preset: None,
            gop_ms: on_grid(&video).then_some(gop_ms),
            deinterlace: Some(deinterlace),
            video: Some(video.iter().map(VideoRung::effective).collect()),
            audio: Some(audio.iter().map(AudioRung::effective).collect()),
        }
    }

    /// What is asked for: an empty list asks for nothing, as none does.
    fn rungs(&self) -> Rungs {
        let preset = self.preset.as_deref().and_then(preset::of);
        let (video, audio) = preset.unwrap_or_default();
        let video = written(self.video.as_ref()).unwrap_or(video);
        let audio = written(self.audio.as_ref()).unwrap_or(audio);
        match (video.is_empty(), audio.is_empty()) {
            (true, false) => (vec![VideoRung::copy("source")], audio),
            (false, true) => (video, vec![AudioRung::new("audio")]),
            _ => (video, audio),
        }
    }

    /// Of what is effective.
    fn ladder(&self) -> ladder::Ladder {
        let video = self.video.iter().flatten().map(VideoRung::resolved);
        let audio = self.audio.iter().flatten().map(AudioRung::resolved);
        let ladder = ladder::Ladder {
            gop_ms: self.gop_ms.unwrap_or(GOP_MS),
            deinterlace: self.deinterlace.unwrap_or(ladder::Deinterlace::Auto),
            video: video.collect(),
            audio: audio.collect(),
        };
        ladder.numbered(&[])
    }
}

/// Where the source's keyframes decide, any will do.
const GOP_MS: u32 = 2_000;

fn written<T: Clone>(list: Option<&Vec<T>>) -> Option<Vec<T>> {
    list.filter(|list| !list.is_empty()).cloned()
}

/// Whether keyframes are made on the grid of `gop_ms`.
fn on_grid(video: &[VideoRung]) -> bool {
    !video.is_empty() && !video.iter().any(VideoRung::copies)
}

#[cfg(test)]
mod tests;
