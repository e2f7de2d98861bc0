//! The multivariant playlist of what is there in MPEG-TS.

use std::fmt::Write as _;
use std::sync::Arc;

use media::{Span, TrackKind};

use super::{Paired, carries};
use crate::media::{Media, Snapshot};
use crate::multivariant::{Rate, audio_groups, describe, name, rendition};
use crate::segment::Segment;

/// What a sample costs beside its bytes: PES header, parameter sets, the clock.
const PER_SAMPLE: usize = 40;
const PACKET: usize = 188;
const PAYLOAD: usize = 184;
/// Packets of tables in four seconds.
const TABLES: usize = 32;
/// Those that bring a counter round.
const ROUND: usize = 15;

impl Snapshot {
    /// The multivariant playlist of TS playlists; `None` until every playlist has a complete
    /// segment, or where nothing fits. The first sound of each group lies in the segments of the
    /// pictures, where every player finds it; others have playlists of their own.
    #[must_use]
    pub fn ts_multivariant(&self) -> Option<String> {
        if !self.is_live() || !self.fits_ts() {
            return None;
        }
        let mut out = String::new();
        self.write_ts(&mut out).ok()?;
        Some(out)
    }

    fn write_ts(&self, out: &mut String) -> std::fmt::Result {
        let fit = |m: &&Arc<Media>| carries(&m.track);
        let video: Vec<_> = self.variants.iter().map(|v| &self.media[*v]).collect();
        let video: Vec<_> = video.into_iter().filter(fit).collect();
        let is_sound = |m: &&Arc<Media>| m.track.kind == TrackKind::Audio;
        let audio: Vec<_> = self.media.iter().filter(is_sound).filter(fit).collect();
        let groups = audio_groups(&audio);
        let chosen = groups.iter().any(|(_, members)| members.len() > 1) && !video.is_empty();
        writeln!(
            out,
            "#EXTM3U\n#EXT-X-VERSION:{}",
            if chosen { 4 } else { 3 }
        )?;
        if video.iter().chain(&audio).all(|m| m.is_independent()) {
            writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        if video.is_empty() {
            let alone = audio.iter().map(|lead| Paired { lead, sound: None });
            return alone
                .into_iter()
                .try_for_each(|p| self.variant(out, p, None));
        }
        for (group, members) in groups.iter().filter(|(_, members)| members.len() > 1) {
            for (i, member) in members.iter().enumerate() {
                let name = name(member, &members[..i]);
                // The one that lies in the variant's own segments has no address.
                let uri = (i > 0).then(|| format!("{}.ts.m3u8", member.id));
                rendition(out, group, (member, &name, i == 0), uri.as_deref())?;
            }
        }
        for lead in video {
            if groups.is_empty() {
                self.variant(out, Paired { lead, sound: None }, None)?;
            }
            for (group, members) in &groups {
                let sound = members.first().copied();
                let group = (members.len() > 1).then_some(group.as_str());
                self.variant(out, Paired { lead, sound }, group)?;
            }
        }
        Ok(())
    }

    fn variant(&self, out: &mut String, p: Paired<'_>, group: Option<&str>) -> std::fmt::Result {
        let rates = [Some(p.lead), p.sound]
            .into_iter()
            .flatten()
            .map(|m| rate(m));
        let rate = rates.fold(Rate::default(), Rate::plus);
        let captions = !self.media.iter().any(|m| m.captions);
        let codecs = [Some(p.lead), p.sound].into_iter().flatten();
        let codecs = codecs.filter_map(|m| m.track.config.rfc6381());
        describe(out, p.lead, (rate, &codecs.collect::<Vec<_>>()), group)?;
        let none = if captions {
            ",CLOSED-CAPTIONS=NONE"
        } else {
            ""
        };
        writeln!(out, "{none}\n{}.ts.m3u8", p.id())
    }
}

fn rate(m: &Media) -> Rate {
    Rate::of(m, packets)
}

/// At most so many bytes are a segment's samples in MPEG-TS.
fn packets(segment: &Segment) -> usize {
    let buffers = segment.parts.iter().flat_map(|p| &p.buffers);
    let samples = buffers.filter(|b| !is_header(b));
    let packets = samples.map(|b| (b.len() + PER_SAMPLE).div_ceil(PAYLOAD));
    let seconds = segment.duration.as_nanos().max(0) / Span::from_secs(1).as_nanos();
    let tables = (usize::try_from(seconds).unwrap_or(0) / 4 + 1) * TABLES;
    (packets.sum::<usize>() + tables + ROUND) * PACKET
}

/// What stands before the samples of a chunk.
fn is_header(buffer: &[u8]) -> bool {
    matches!(buffer.get(4..8), Some(b"moof" | b"styp"))
}
