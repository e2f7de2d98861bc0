//! Writes the multivariant playlist.

use std::fmt::Write as _;
use std::sync::Arc;

use media::{Span, TrackKind};

use crate::media::{Media, Snapshot};
use crate::segment::{Segment, bits};

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
                let uri = format!("{}.m3u8{query}", member.id);
                rendition(out, group, (member, &name, i == 0), Some(&uri))?;
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

pub(crate) type Group<'a> = (String, Vec<&'a Arc<Media>>);

/// One group per codec: members of a group must be interchangeable for a player.
pub(crate) fn audio_groups<'a>(audio: &[&'a Arc<Media>]) -> Vec<Group<'a>> {
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
pub(crate) fn name(m: &Media, before: &[&Arc<Media>]) -> String {
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

/// One without an address lies in the segments of the variant.
pub(crate) fn rendition(
    out: &mut String,
    group: &str,
    (m, name, first): (&Media, &str, bool),
    uri: Option<&str>,
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
    if let Some(uri) = uri {
        write!(out, ",URI=\"{uri}\"")?;
    }
    writeln!(out)
}

fn stream_inf(
    out: &mut String,
    m: &Media,
    audio: Option<(&str, &[&Arc<Media>])>,
    (captions, query): (&str, &str),
) -> std::fmt::Result {
    let members = audio.map_or(&[][..], |(_, members)| members);
    let rates = members.iter().map(|a| Rate::of(a, |s| s.len));
    let rate = Rate::of(m, |s| s.len).plus(rates.fold(Rate::default(), Rate::max));
    let codecs = m.track.config.rfc6381();
    let codecs: Vec<_> = codecs
        .into_iter()
        .chain(members.first().and_then(|a| a.track.config.rfc6381()))
        .collect();
    describe(out, m, (rate, &codecs), audio.map(|(group, _)| group))?;
    writeln!(out, "{captions}\n{}.m3u8{query}", m.id)
}

/// What a variant is, without the end of the line.
pub(crate) fn describe(
    out: &mut String,
    m: &Media,
    (rate, codecs): (Rate, &[String]),
    group: Option<&str>,
) -> std::fmt::Result {
    let Rate { peak, mean } = rate;
    write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={mean}"
    )?;
    if !codecs.is_empty() {
        write!(out, ",CODECS=\"{}\"", codecs.join(","))?;
    }
    if let Some(v) = m.track.config.video().filter(|v| v.width > 0) {
        write!(out, ",RESOLUTION={}x{}", v.width, v.height)?;
    }
    if let Some(rate) = m.frame_rate {
        write!(out, ",FRAME-RATE={rate:.3}")?;
    }
    if let Some(group) = group {
        write!(out, ",AUDIO=\"{group}\"")?;
    }
    Ok(())
}

/// RFC 8216bis 4.2: a quoted string holds neither line breaks nor double quotes.
fn quotable(text: &str) -> String {
    text.replace(['"', '\r', '\n'], " ")
}

/// Bits per second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    peak: u64,
    mean: u64,
}

impl Rate {
    /// Of a playlist whose segments have so many bytes. RFC 8216bis 4.4.6.2: the peak is over at
    /// least half a target duration, where there is as much.
    pub(crate) fn of(m: &Media, bytes: fn(&Segment) -> usize) -> Self {
        let half = Span::from_millis(500 * i64::from(m.target_duration));
        let (mut peaks, mut sum) = ((None, None), (0, Span::ZERO));
        for s in m.segments.iter().filter(|s| s.complete) {
            let bytes = bytes(s);
            let rate = Some(bits(bytes, s.duration));
            peaks.0 = rate.max(peaks.0);
            if s.duration >= half {
                peaks.1 = rate.max(peaks.1);
            }
            sum = (sum.0 + bytes, sum.1 + s.duration);
        }
        let (all, long) = peaks;
        Self {
            peak: long.or(all).unwrap_or(0),
            mean: bits(sum.0, sum.1),
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            peak: self.peak + other.peak,
            mean: self.mean + other.mean,
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            peak: self.peak.max(other.peak),
            mean: self.mean.max(other.mean),
        }
    }
}
