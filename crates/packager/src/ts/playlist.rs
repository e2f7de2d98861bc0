//! Classic media playlists of segments in MPEG-TS (RFC 8216 4.3).

use std::fmt::Write as _;

use super::Paired;
use crate::cue::DateRanges;
use crate::media::Snapshot;
use crate::playlist::{date_time, seconds};

impl Snapshot {
    /// The text of the media playlist that `id` names; `None` where there is none.
    #[must_use]
    pub fn ts_playlist(&self, id: &str) -> Option<String> {
        let paired = self.paired(id)?;
        let mut out = String::with_capacity(4096);
        paired.write(&mut out, (id, &self.ranges)).ok()?;
        Some(out)
    }
}

impl Paired<'_> {
    fn write(&self, out: &mut String, (id, ranges): (&str, &DateRanges)) -> std::fmt::Result {
        let (lead, listed) = (self.lead, self.listed());
        let first = listed.first().map(|s| s.number);
        let first = first.unwrap_or_else(|| lead.media_sequence());
        writeln!(out, "#EXTM3U\n#EXT-X-VERSION:3")?;
        writeln!(out, "#EXT-X-TARGETDURATION:{}", lead.target_duration)?;
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
        let discontinuity = lead.discontinuity_sequence;
        writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity}")?;
        if lead.independent_segments && listed.iter().all(|s| s.independent) {
            writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        ranges.write(out)?;
        for segment in listed {
            if segment.discontinuity {
                writeln!(out, "#EXT-X-DISCONTINUITY")?;
            }
            let (date, duration) = (date_time(segment.start), seconds(segment.duration));
            writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{date}")?;
            writeln!(out, "#EXTINF:{duration},\n{id}_{}.ts", segment.number)?;
        }
        if lead.ended {
            writeln!(out, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }
}
