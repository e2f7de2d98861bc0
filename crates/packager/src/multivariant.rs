//! Writes the multivariant playlist.

use std::fmt::Write as _;
use std::sync::Arc;

use media::{Span, TrackKind};

use crate::media::{Media, Snapshot};

impl Snapshot {
    /// The multivariant playlist; `None` until every playlist has a complete segment. A classic
    /// one (`low_latency` false) links to classic media playlists.
    #[must_use]
    pub fn multivariant(&self, low_latency: bool) -> Option<String> {
        if !self.is_live() {
            return None;
        }
        let query = if low_latency { "" } else { "?ll=0" };
        let version = if low_latency { 9 } else { 6 };
        let mut out = format!("#EXTM3U\n#EXT-X-VERSION:{version}\n");
        if self.media.iter().all(|m| m.is_independent()) {
            out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        let Ok(()) = self.variants(&mut out, query) else {
            unreachable!("a String takes all that is written to it")
        };
        Some(out)
    }

    fn variants(&self, out: &mut String, query: &str) -> std::fmt::Result {
        // Where captions may be, players look into segments for them before they play.
        let captions = if self.media.iter().any(|m| m.captions) {
            ""
        } else {
            ",CLOSED-CAPTIONS=NONE"
        };
        let tail = (captions, query);
        let video: Vec<_> = self.variants.iter().map(|v| &self.media[*v]).collect();
        let audio: Vec<_> = self.sound().collect();
        if video.is_empty() {
            return audio
                .iter()
                .try_for_each(|a| stream_inf(out, a, None, tail));
        }
        let groups = audio_groups(&audio);
        for (group, members) in &groups {
            for (i, member) in members.iter().enumerate() {
                let name = name(member, &members[..i]);
                rendition(out, group, (member, &name), i == 0, query)?;
            }
        }
        for v in &video {
            if groups.is_empty() {
                stream_inf(out, v, None, tail)?;
            }
            for (group, members) in &groups {
                stream_inf(out, v, Some((group, members)), tail)?;
            }
        }
        Ok(())
    }

    fn sound(&self) -> impl Iterator<Item = &Arc<Media>> {
        let is_sound = |m: &&Arc<Media>| m.track.kind == TrackKind::Audio;
        self.media.iter().filter(is_sound)
    }
}

type Group<'a> = (String, Vec<&'a Arc<Media>>);

/// One group per codec: members of a group must be interchangeable for a player.
fn audio_groups<'a>(audio: &[&'a Arc<Media>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for m in audio {
        let name = format!("audio-{}", m.track.config.name());
        match groups.iter_mut().find(|(n, _)| *n == name) {
            Some((_, members)) => members.push(m),
            None => groups.push((name, vec![m])),
        }
    }
    groups
}

/// RFC 8216bis 4.4.6.1.1: no two members of a group have the same name.
fn name(m: &Media, before: &[&Arc<Media>]) -> String {
    let told = |m: &Media| {
        let label = m.track.label.as_deref();
        label.or(m.track.language.as_deref()).map(quotable)
    };
    match told(m) {
        Some(name) if before.iter().any(|b| told(b).as_ref() == Some(&name)) => {
            format!("{name} ({})", m.id)
        }
        name => name.unwrap_or_else(|| m.id.clone()),
    }
}

fn rendition(
    out: &mut String,
    group: &str,
    (m, name): (&Media, &str),
    first: bool,
    query: &str,
) -> std::fmt::Result {
    let language = m.track.language.as_deref();
    let yes_no = if first { "YES" } else { "NO" };
    write!(
        out,
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",NAME=\"{name}\",DEFAULT={yes_no},AUTOSELECT=YES"
    )?;
    if let Some(language) = language {
        write!(out, ",LANGUAGE=\"{}\"", quotable(language))?;
    }
    if let Some(audio) = m.track.config.audio() {
        write!(out, ",CHANNELS=\"{}\"", audio.channels)?;
    }
    writeln!(out, ",URI=\"{}.m3u8{query}\"", m.id)
}

fn stream_inf(
    out: &mut String,
    m: &Media,
    audio: Option<(&str, &[&Arc<Media>])>,
    (captions, query): (&str, &str),
) -> std::fmt::Result {
    let members = audio.map_or(&[][..], |(_, members)| members);
    let loudest = |f: fn(&Media) -> u64| members.iter().map(|a| f(a)).max().unwrap_or(0);
    write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}",
        peak_bitrate(m) + loudest(peak_bitrate),
        mean_bitrate(m) + loudest(mean_bitrate)
    )?;
    let codecs = m.track.config.rfc6381();
    let codecs: Vec<_> = codecs
        .into_iter()
        .chain(members.first().and_then(|a| a.track.config.rfc6381()))
        .collect();
    if !codecs.is_empty() {
        write!(out, ",CODECS=\"{}\"", codecs.join(","))?;
    }
    if let Some(v) = m.track.config.video().filter(|v| v.width > 0) {
        write!(out, ",RESOLUTION={}x{}", v.width, v.height)?;
    }
    if let Some(rate) = m.frame_rate {
        write!(out, ",FRAME-RATE={rate:.3}")?;
    }
    if let Some((group, _)) = audio {
        write!(out, ",AUDIO=\"{group}\"")?;
    }
    writeln!(out, "{captions}\n{}.m3u8{query}", m.id)
}

/// RFC 8216bis 4.2: a quoted string holds neither line breaks nor double quotes.
fn quotable(text: &str) -> String {
    text.replace(['"', '\r', '\n'], " ")
}

/// RFC 8216bis 4.4.6.2: the peak is over at least half a target duration, where there is as much.
fn peak_bitrate(m: &Media) -> u64 {
    let complete = m.segments.iter().filter(|s| s.complete);
    let half = Span::from_millis(500 * i64::from(m.target_duration));
    let long = complete.clone().filter(|s| s.duration >= half);
    let peak = long.map(|s| s.bitrate()).max();
    peak.or_else(|| complete.map(|s| s.bitrate()).max())
        .unwrap_or(0)
}

fn mean_bitrate(m: &Media) -> u64 {
    let (mut bits, mut nanos) = (0_u128, 0_i64);
    for s in m.segments.iter().filter(|s| s.complete) {
        bits += s.len as u128 * 8;
        nanos = nanos.saturating_add(s.duration.as_nanos());
    }
    let nanos = u128::try_from(nanos).unwrap_or(0).max(1);
    u64::try_from((bits * 1_000_000_000).div_ceil(nanos)).unwrap_or(u64::MAX)
}
