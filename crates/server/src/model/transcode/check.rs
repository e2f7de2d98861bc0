//! What a ladder must be before it is saved, so that every encoder of it opens.

use std::fmt::Display;

use ladder::{AudioCodec, Capabilities, Fit, FrameRate, Ladder, Rate, VideoCodec};
use serde::Serialize;
use serde_json::json;

use super::audio::AudioRung;
use super::numbers::Fps;
use super::video::VideoRung;
use super::{Transcode, preset};
use crate::api::Problem;
use crate::model::StreamConfig;

const NAME: usize = 64;
const GOP_MS: (u32, u32) = (250, 10_000);
const SIZE: (u32, u32) = (64, 8_192);
const MEAN_KBPS: (u32, u32) = (30, 60_000);
const MAX_KBPS: (u32, u32) = (30, 100_000);

type Checked = Result<(), Problem>;

pub(in crate::model) fn check(config: &StreamConfig) -> Checked {
    let Some(transcode) = &config.transcode else {
        return Ok(());
    };
    let checked = transcode.check(config.segment_ms());
    checked.map_err(|problem| problem.within("transcode"))
}

/// Whether this machine has an encoder for each rung.
pub(crate) fn check_capabilities(ladder: &Ladder, capabilities: &Capabilities) -> Checked {
    let video = ladder.video.iter().map(|rung| rung.codec).enumerate();
    let video = video.filter(|(_, codec)| *codec != VideoCodec::Copy);
    let video = video.map(|(i, codec)| (format!("video[{i}]"), codec.name()));
    let audio = ladder.audio.iter().map(|rung| rung.codec).enumerate();
    let audio = audio.filter(|(_, codec)| *codec != AudioCodec::Copy);
    let audio = audio.map(|(i, codec)| (format!("audio[{i}]"), codec.name()));
    for (rung, codec) in video.chain(audio) {
        if let Some(why) = capabilities.lacks(codec) {
            let why = format!("{codec} cannot be encoded here: {why}");
            let field = format!("transcode.{rung}.codec");
            return Err(Problem::invalid("encoder_unavailable", &field, &why));
        }
    }
    Ok(())
}

impl Transcode {
    fn check(&self, segment_ms: u32) -> Checked {
        self.check_preset()?;
        let (video, audio) = (self.video.as_deref(), self.audio.as_deref());
        let (video, audio) = (video.unwrap_or_default(), audio.unwrap_or_default());
        each("video", video, |rung| &rung.name, VideoRung::check)?;
        each("audio", audio, |rung| &rung.name, AudioRung::check)?;
        check_copies(video)?;
        let effective = self.effective(segment_ms);
        self.check_gop(effective.gop_ms, segment_ms)?;
        self.check_rates(&effective)?;
        check_choice(audio, &effective.ladder())
    }

    fn check_preset(&self) -> Checked {
        let preset = self.preset.as_deref();
        one_of("preset", preset, &preset::names())?;
        if preset.is_some() && self.video.iter().flatten().next().is_some() {
            let why = "either a preset or video: null takes away the template's";
            return invalid("preset", why);
        }
        Ok(())
    }

    /// A segment begins with a keyframe, so keyframes come where segments begin.
    fn check_gop(&self, effective: Option<u32>, segment_ms: u32) -> Checked {
        let Some(gop_ms) = self.gop_ms.or(effective) else {
            return Ok(());
        };
        within("gop_ms", gop_ms, GOP_MS)?;
        if segment_ms.is_multiple_of(gop_ms) {
            return Ok(());
        }
        let why = format!("hls.segment_ms is {segment_ms}, which is no multiple of {gop_ms}");
        Err(Problem::invalid("gop_invalid", "gop_ms", &why))
    }

    /// Keyframes of all rungs meet.
    fn check_rates(&self, effective: &Self) -> Checked {
        let video = effective.video.iter().flatten().enumerate();
        let mut fixed = video.filter_map(|(i, rung)| match rung.fps.as_ref()?.rate()? {
            Rate::Fixed(rate) => Some((i, rate)),
            _ => None,
        });
        let field = |i: usize| match self.preset {
            Some(_) => "preset".to_owned(),
            None => format!("video[{i}].fps"),
        };
        let Some(gop_ms) = effective.gop_ms else {
            let why = "beside a copy pictures come when the source's do: source or half";
            return fixed
                .next()
                .map_or(Ok(()), |(i, _)| fps_invalid(&field(i), why));
        };
        let mut first = None;
        fixed.try_for_each(|(i, rate)| {
            let first: FrameRate = *first.get_or_insert(rate);
            check_rate(&field(i), rate, first, gop_ms)
        })
    }
}

fn check_rate(field: &str, rate: FrameRate, first: FrameRate, gop_ms: u32) -> Checked {
    if rate.per_gop(gop_ms).is_none() {
        let why = format!("no whole number of such pictures lasts as long as gop_ms, {gop_ms}");
        return fps_invalid(field, &why);
    }
    if rate.is_ntsc() != first.is_ntsc() {
        let why = "keyframes of rates such as 29.97 never meet those of whole rates";
        return fps_invalid(field, why);
    }
    Ok(())
}

fn check_copies(video: &[VideoRung]) -> Checked {
    let copies = video.iter().enumerate().filter(|(_, rung)| rung.copies());
    let copies: Vec<usize> = copies.map(|(i, _)| i).collect();
    if let Some(i) = copies.get(1) {
        return invalid(&format!("video[{i}].codec"), "another rung is a copy");
    }
    // Keyframes beside a copy are those of the source, which come when they will.
    let counts = |rung: &VideoRung| !rung.copies() && !rung.codec().takes_orders();
    match video.iter().position(counts) {
        Some(i) if !copies.is_empty() => {
            let why = "keyframes of AV1 cannot be those of a copy";
            invalid(&format!("video[{i}].codec"), why)
        }
        _ => Ok(()),
    }
}

/// Who chooses among the tracks is the worker.
fn check_choice(audio: &[AudioRung], ladder: &Ladder) -> Checked {
    let chooses = |rung: &AudioRung| rung.resolved().from != ladder::From::All;
    match audio.iter().position(chooses) {
        Some(i) if !ladder.encodes() => {
            let why = "where nothing is encoded everything is passed on";
            invalid(&format!("audio[{i}].from"), why)
        }
        _ => Ok(()),
    }
}

/// Each rung of a list by itself, their names and their number.
fn each<T>(
    list: &str,
    rungs: &[T],
    name: impl Fn(&T) -> &String,
    check: impl Fn(&T) -> Checked,
) -> Checked {
    if rungs.len() > Ladder::MOST_RUNGS {
        let why = format!("at most {}", Ladder::MOST_RUNGS);
        return Err(Problem::invalid("out_of_range", list, &why));
    }
    for (i, rung) in rungs.iter().enumerate() {
        let taken = rungs[..i].iter().any(|other| name(other) == name(rung));
        let checked = check_name(name(rung), taken).and_then(|()| check(rung));
        checked.map_err(|problem| problem.within(&format!("{list}[{i}]")))?;
    }
    Ok(())
}

/// Names stand in the addresses of playlists and segments, where an underscore ends them.
fn check_name(name: &str, taken: bool) -> Checked {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let (code, why) = if name.is_empty() || name.len() > NAME || !name.bytes().all(known) {
        ("name_invalid", "[A-Za-z0-9-]+, at most 64 characters")
    } else if is_reserved(name) {
        ("name_reserved", "playlists are called so")
    } else if taken {
        ("name_taken", "names are unique in their list")
    } else {
        return Ok(());
    };
    Err(Problem::invalid(code, "name", why))
}

/// `index`, and what tracks are called: `v0`, `a1`.
fn is_reserved(name: &str) -> bool {
    let track = name.strip_prefix(['v', 'a']);
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    name == "index" || track.is_some_and(digits)
}

impl VideoRung {
    fn check(&self) -> Checked {
        if self.copies() {
            return alone(self, &["name", "codec"]);
        }
        self.check_size()?;
        self.check_fps()?;
        self.check_mean()?;
        self.check_bounds()?;
        self.check_words()?;
        self.check_references()
    }

    fn check_size(&self) -> Checked {
        for (field, pixels) in [("width", self.width), ("height", self.height)] {
            within_if(field, pixels, SIZE)?;
        }
        let exact = self.fit.is_some_and(|fit| fit != Fit::Fit);
        if exact && (self.width.is_none() || self.height.is_none()) {
            return invalid("fit", "it needs width and height");
        }
        Ok(())
    }

    fn check_fps(&self) -> Checked {
        let Some(Fps::Number(number)) = &self.fps else {
            return Ok(());
        };
        within("fps", number.as_f64().unwrap_or_default(), (1.0, 240.0))
    }

    /// How many bits, or how good.
    fn check_mean(&self) -> Checked {
        within_if("bitrate_kbps", self.bitrate_kbps, MEAN_KBPS)?;
        let Some(crf) = self.crf() else {
            return Ok(());
        };
        if self.bitrate_kbps.is_some() {
            return invalid("crf", "either bitrate_kbps or crf");
        }
        if self.codec() == VideoCodec::Av1 && crf.fract() != 0.0 {
            return invalid("crf", "of AV1 a whole number");
        }
        within("crf", crf, (1.0, self.codec().most_crf().into()))?;
        if self.buffer_kbits.is_some() && self.max_bitrate_kbps.is_none() {
            return invalid(
                "buffer_kbits",
                "it bounds max_bitrate_kbps, which is absent",
            );
        }
        Ok(())
    }

    /// How unevenly they come.
    fn check_bounds(&self) -> Checked {
        within_if("max_bitrate_kbps", self.max_bitrate_kbps, MAX_KBPS)?;
        let all = self.effective();
        let Some((max, buffer)) = all.max_bitrate_kbps.zip(all.buffer_kbits) else {
            return Ok(());
        };
        if let Some(mean) = all.bitrate_kbps {
            // SVT-AV1 does not open at a constant rate.
            let least = mean + u32::from(self.codec() == VideoCodec::Av1);
            within("max_bitrate_kbps", max, (least, mean * 10))?;
        }
        let mean = all.bitrate_kbps.unwrap_or(max);
        within("buffer_kbits", buffer, (max.div_ceil(50), mean * 10))
    }

    fn check_words(&self) -> Checked {
        let codec = self.codec();
        for (field, word, known) in [
            ("preset", &self.preset, codec.presets()),
            ("tune", &self.tune, codec.tunes()),
            ("profile", &self.profile, codec.profiles()),
            ("level", &self.level, codec.levels()),
        ] {
            one_of(field, word.as_deref(), known)?;
        }
        Ok(())
    }

    fn check_references(&self) -> Checked {
        let codec = self.codec();
        for (field, count, least, most) in [
            ("b_frames", self.b_frames, 0, codec.most_b_frames()),
            ("refs", self.refs, 1, codec.most_refs()),
        ] {
            match count.zip(most) {
                Some((count, most)) => within(field, count, (least, most))?,
                None if count.is_some() => return invalid(field, "its encoder is not told"),
                None => {}
            }
        }
        let has_none = |word: &Option<String>, none: &str| word.as_deref() == Some(none);
        let none = has_none(&self.profile, "baseline") || has_none(&self.tune, "zerolatency");
        if none && self.b_frames.is_some_and(|frames| frames > 0) {
            return invalid("b_frames", "baseline and zerolatency have none");
        }
        Ok(())
    }
}

impl AudioRung {
    fn check(&self) -> Checked {
        if self.copies() {
            return alone(self, &["name", "codec", "from"]);
        }
        within_if("channels", self.channels.map(u32::from), (1, 2))?;
        within_if("bitrate_kbps", self.bitrate_kbps, self.rates())?;
        let known = self.codec().sample_rates();
        match self.sample_rate {
            Some(rate) if !known.contains(&rate) => {
                let why = format!("{rate} is none of {}", listed(known));
                Err(Problem::invalid("out_of_range", "sample_rate", &why))
            }
            _ => Ok(()),
        }
    }

    /// What its encoder opens with, whatever the source's channels are.
    fn rates(&self) -> (u32, u32) {
        match (self.codec(), self.channels) {
            (AudioCodec::Opus, Some(2)) => (6, 510),
            (AudioCodec::Opus, _) => (6, 256),
            _ => (16, 512),
        }
    }
}

/// What is passed on as it came has nothing to set.
fn alone(rung: &impl Serialize, takes: &[&str]) -> Checked {
    let written = json!(rung);
    let mut members = written.as_object().into_iter().flatten();
    match members.find(|(name, _)| !takes.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => invalid(name, "a copy is as the source is"),
    }
}

fn one_of(field: &str, word: Option<&str>, known: &[&str]) -> Checked {
    if word.is_none_or(|word| known.contains(&word)) {
        return Ok(());
    }
    let why = if known.is_empty() {
        "this codec has none".to_owned()
    } else {
        format!("one of {}", listed(known))
    };
    Err(Problem::invalid(&format!("{field}_unknown"), field, &why))
}

fn listed(words: &[impl ToString]) -> String {
    let words: Vec<_> = words.iter().map(ToString::to_string).collect();
    words.join(", ")
}

fn invalid(field: &str, why: &str) -> Checked {
    Err(Problem::invalid("invalid_field", field, why))
}

fn fps_invalid(field: &str, why: &str) -> Checked {
    Err(Problem::invalid("fps_invalid", field, why))
}

fn within_if(field: &str, value: Option<u32>, bounds: (u32, u32)) -> Checked {
    value.map_or(Ok(()), |value| within(field, value, bounds))
}

fn within<T: Copy + PartialOrd + Display>(field: &str, value: T, (least, most): (T, T)) -> Checked {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let why = format!("{value} is not within {least}..={most}");
    Err(Problem::invalid("out_of_range", field, &why))
}
