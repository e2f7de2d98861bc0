//! `onMetaData`: what an encoder says of itself.

use std::collections::{BTreeMap, HashMap};

use container::flv::{audio_track, video_track};
use media::TrackId;

use crate::amf::Value;

/// What an encoder said, as it said it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// Every plain member, numbers and flags written out.
    pub members: BTreeMap<String, String>,
    /// Whether it announces pictures.
    pub video: bool,
    /// Whether it announces sound.
    pub audio: bool,
    /// What it says of its tracks, where it says anything.
    pub tracks: BTreeMap<TrackId, TrackInfo>,
}

/// What an encoder says of one track for people to choose by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrackInfo {
    /// A language tag.
    pub language: Option<String>,
    /// A name.
    pub label: Option<String>,
}

/// An encoder has about twenty members to tell.
const MEMBERS: usize = 64;
const LENGTH: usize = 256;
/// RFC 5646 4.4.1: what a language tag needs at most, as a rule.
const LANGUAGE: usize = 35;
const LABEL: usize = 64;

/// Enhanced RTMP v2, `onMetaData`: tracks other than the first of their kind, by their numbers.
pub(crate) const AUDIO_TRACKS: &str = "audioTrackIdInfoMap";
pub(crate) const VIDEO_TRACKS: &str = "videoTrackIdInfoMap";

impl Metadata {
    /// From the values of a data message; `None` where it is another one.
    pub(crate) fn read(values: &[Value]) -> Option<Self> {
        let mut values = values.iter().peekable();
        let is = |v: &&&Value, name: &str| matches!(v, Value::Utf8String(s) if s == name);
        values.next_if(|v| is(&v, "@setDataFrame"));
        values.next_if(|v| is(&v, "onMetaData"))?;
        let Some(Value::Object(members)) = values.next() else {
            return None;
        };
        let has = |name: &str| members.contains_key(name);
        // In order, so that of too many always the same are kept.
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        Some(Self {
            video: has("videocodecid") || has("width"),
            audio: has("audiocodecid") || has("audiosamplerate"),
            members: sorted.into_iter().filter_map(plain).take(MEMBERS).collect(),
            tracks: tracks(members),
        })
    }
}

/// The specification asks for the language and names no member for it: these are what senders use.
fn tracks(members: &HashMap<String, Value>) -> BTreeMap<TrackId, TrackInfo> {
    let audio = further(members, AUDIO_TRACKS).map(|(n, info)| (audio_track(n), info));
    let video = further(members, VIDEO_TRACKS).map(|(n, info)| (video_track(n), info));
    // The first track is described by the top level, whose title is the programme's.
    let first = TrackInfo {
        language: language(members),
        label: label(members, &["audiotitle"]),
    };
    let all = [(audio_track(0), first)]
        .into_iter()
        .chain(audio)
        .chain(video);
    all.filter(|(_, info)| *info != TrackInfo::default())
        .collect()
}

/// What one of the two maps says, by track number.
fn further(members: &HashMap<String, Value>, map: &str) -> impl Iterator<Item = (u8, TrackInfo)> {
    let map = match members.get(map) {
        Some(Value::Object(map)) => Some(map),
        _ => None,
    };
    map.into_iter().flatten().filter_map(|(number, info)| {
        let Value::Object(info) = info else {
            return None;
        };
        let info = TrackInfo {
            language: language(info),
            label: label(info, &["title", "name", "label"]),
        };
        Some((number.parse().ok()?, info))
    })
}

fn language(members: &HashMap<String, Value>) -> Option<String> {
    let told = text(members, &["language", "lang"])?;
    media::language::tag(told).filter(|tag| tag.len() <= LANGUAGE)
}

fn label(members: &HashMap<String, Value>, names: &[&str]) -> Option<String> {
    let told = text(members, names)?;
    let shown = told.chars().filter(|c| !c.is_control());
    Some(shown.take(LABEL).collect())
}

/// The first of these members that holds a text.
fn text<'a>(members: &'a HashMap<String, Value>, names: &[&str]) -> Option<&'a str> {
    let told = |name: &&str| match members.get(*name) {
        Some(Value::Utf8String(text)) => Some(text.trim()).filter(|t| !t.is_empty()),
        _ => None,
    };
    names.iter().find_map(told)
}

fn plain((name, value): (&String, &Value)) -> Option<(String, String)> {
    let text = match value {
        Value::Number(n) => n.to_string(),
        Value::Boolean(b) => b.to_string(),
        Value::Utf8String(s) => s.chars().take(LENGTH).collect(),
        _ => return None,
    };
    Some((name.chars().take(LENGTH).collect(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::{object, text};

    fn info(language: Option<&str>, label: Option<&str>) -> TrackInfo {
        TrackInfo {
            language: language.map(str::to_owned),
            label: label.map(str::to_owned),
        }
    }

    #[test]
    fn tracks_have_languages_and_names() {
        let second = object([("language", text("fra")), ("title", text(" Voix\u{7} "))]);
        let third = object([("lang", text("e n")), ("name", text("Commentary"))]);
        let low = object([("width", Value::Number(160.0)), ("label", text("Low"))]);
        let silent = object([("language", Value::Number(1.0))]);
        let sound = [
            ("1", second),
            ("2", third),
            ("x", low.clone()),
            ("3", silent),
        ];
        let members = object([
            ("language", text("eng")),
            ("title", text("The programme")),
            (AUDIO_TRACKS, object(sound)),
            (VIDEO_TRACKS, object([("1", low), ("300", Value::Null)])),
        ]);
        let read = Metadata::read(&[text("onMetaData"), members]).unwrap();
        let expected = [
            (audio_track(0), info(Some("en"), None)),
            (video_track(1), info(None, Some("Low"))),
            (audio_track(1), info(Some("fr"), Some("Voix"))),
            (audio_track(2), info(None, Some("Commentary"))),
        ];
        assert_eq!(read.tracks, expected.into());
    }
}
