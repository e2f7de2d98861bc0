//! Writes media playlists (RFC 8216bis, draft-pantos-hls-rfc8216bis).

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use media::{Span, Timestamp};

use crate::media::{Media, Snapshot};
use crate::segment::{Part, Segment};

/// What a client asked of a media playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Form {
    /// Parts, hints and blocking reload; otherwise a classic playlist of complete segments.
    pub low_latency: bool,
    /// Whether a delta update will do (`_HLS_skip`).
    pub skip: Skip,
}

/// Delta updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Skip {
    /// The whole playlist.
    #[default]
    No,
    /// Older segments may be replaced by `EXT-X-SKIP`.
    Yes,
}

/// How many target durations from the end older segments may be skipped.
const SKIP_UNTIL: i64 = 6;
/// How many target durations from the end parts stay listed.
const PARTS_UNTIL: i64 = 3;

impl Snapshot {
    /// The text of the media playlist `media`, which is one of this snapshot's.
    #[must_use]
    pub fn playlist(&self, media: &Media, form: Form) -> String {
        let mut out = String::with_capacity(4096);
        let Ok(()) = self.write(&mut out, media, form) else {
            unreachable!("a String takes all that is written to it")
        };
        out
    }

    fn write(&self, out: &mut String, media: &Media, form: Form) -> std::fmt::Result {
        let listed = listed(media, form);
        // Shaka loses its whole index over a delta update that brings nothing new.
        let frozen = media.hold || media.ended;
        let skipped = if form.low_latency && form.skip == Skip::Yes && !frozen {
            skippable(listed, media.target_duration)
        } else {
            0
        };
        let first = listed.first().map_or(0, |s| s.number);
        self.header(out, media, (first, listed), form)?;
        if skipped > 0 {
            writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        body(out, media, (listed, skipped), form)?;
        if form.low_latency {
            self.footer(out, media)?;
        }
        if media.ended {
            writeln!(out, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }

    /// A whole low-latency playlist that begins with segment `number`, which an earlier process may
    /// have begun and did not live to end: it and all up to those that are there are gaps. A player
    /// that holds parts of it would wait for the others for ever (Shaka).
    #[must_use]
    pub fn after_loss(&self, media: &Media, number: u64) -> Option<String> {
        let first = media.segments.first()?;
        let lost = number..first.number;
        let mut out = String::with_capacity(4096);
        let written = self.write_after_loss(&mut out, media, first, lost);
        written.ok().map(|()| out)
    }

    fn write_after_loss(
        &self,
        out: &mut String,
        media: &Media,
        first: &Segment,
        lost: Range<u64>,
    ) -> std::fmt::Result {
        let form = Form {
            low_latency: true,
            skip: Skip::No,
        };
        let listed = listed(media, form);
        self.header(out, media, (lost.start, listed), form)?;
        let (id, hash) = (&media.id, &first.init.hash);
        writeln!(out, "#EXT-X-MAP:URI=\"{id}_init_{hash}.mp4\"")?;
        for number in lost {
            let before = i64::try_from(first.number - number).unwrap_or(i64::MAX);
            let start = date_time(first.start - first.duration.times(before));
            let duration = seconds(first.duration);
            writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{start}")?;
            writeln!(out, "#EXT-X-GAP\n#EXTINF:{duration},\n{id}_{number}.m4s")?;
        }
        body(out, media, (listed, 0), form)?;
        self.footer(out, media)
    }

    fn header(
        &self,
        out: &mut String,
        media: &Media,
        (first, listed): (u64, &[Arc<Segment>]),
        form: Form,
    ) -> std::fmt::Result {
        let td = media.target_duration;
        let version = if form.low_latency { 9 } else { 6 };
        writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{version}")?;
        writeln!(out, "#EXT-X-TARGETDURATION:{td}")?;
        if form.low_latency {
            self.server_control(out, media)?;
        }
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
        let discontinuity = media.discontinuity_sequence;
        writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity}")?;
        if media.independent_segments && listed.iter().all(|s| s.independent) {
            writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        self.ranges.write(out)
    }

    /// The hold-back covers the longest part target of all playlists: a player uses one for all.
    fn server_control(&self, out: &mut String, media: &Media) -> std::fmt::Result {
        let td = f64::from(media.target_duration);
        let longest = self.media.iter().map(|m| m.part_target).max();
        let part_hold_back = longest.unwrap_or(media.part_target).times(3);
        writeln!(
            out,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={:.1},HOLD-BACK={:.1},PART-HOLD-BACK={}",
            td * 6.0,
            td * 3.0,
            seconds(part_hold_back),
        )?;
        let target = seconds(media.part_target);
        writeln!(out, "#EXT-X-PART-INF:PART-TARGET={target}")
    }

    /// A hold drops the hint and keeps the reports: players take a last complete segment with
    /// nothing after it for an open one.
    fn footer(&self, out: &mut String, media: &Media) -> std::fmt::Result {
        if media.ended {
            return Ok(());
        }
        if !media.hold {
            let (id, part) = (&media.id, media.next_part);
            writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{id}_{part}.m4s\"")?;
        }
        let mut others = self.media.iter().filter(|m| m.id != media.id).peekable();
        let alone = others.peek().is_none();
        others.try_for_each(|other| report(out, other))?;
        if alone && media.hold {
            report(out, media)?;
        }
        Ok(())
    }
}

/// The segments but the first `skipped`.
fn body(
    out: &mut String,
    media: &Media,
    (listed, skipped): (&[Arc<Segment>], usize),
    form: Form,
) -> std::fmt::Result {
    let parts_from = first_with_parts(listed, media.target_duration);
    let mut init = None;
    for (i, segment) in listed.iter().enumerate() {
        let new_init = init.replace(&segment.init.hash) != Some(&segment.init.hash);
        if i < skipped {
            continue;
        }
        // Shaka takes a delta update for the whole where it is its first: it must find the MAP.
        let new_init = new_init || i == skipped && skipped > 0;
        segment_head(out, media, segment, new_init)?;
        if form.low_latency && i >= parts_from {
            parts(out, media, &segment.parts)?;
        }
        segment_tail(out, media, segment)?;
    }
    Ok(())
}

fn report(out: &mut String, media: &Media) -> std::fmt::Result {
    let Some(edge) = media.edge() else {
        return Ok(());
    };
    writeln!(
        out,
        "#EXT-X-RENDITION-REPORT:URI=\"{}.m3u8\",LAST-MSN={},LAST-PART={}",
        media.id,
        edge.msn,
        edge.parts.saturating_sub(1)
    )
}

/// A classic playlist ends with the last complete segment.
fn listed(media: &Media, form: Form) -> &[Arc<Segment>] {
    match media.segments.split_last() {
        Some((last, complete))
            if !last.complete && (!form.low_latency || last.parts.is_empty()) =>
        {
            complete
        }
        _ => &media.segments,
    }
}

fn segment_head(
    out: &mut String,
    media: &Media,
    segment: &Segment,
    new_init: bool,
) -> std::fmt::Result {
    if segment.discontinuity {
        writeln!(out, "#EXT-X-DISCONTINUITY")?;
    }
    if new_init || segment.discontinuity {
        writeln!(
            out,
            "#EXT-X-MAP:URI=\"{}_init_{}.mp4\"",
            media.id, segment.init.hash
        )?;
    }
    writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(segment.start))
}

fn parts(out: &mut String, media: &Media, parts: &[Arc<Part>]) -> std::fmt::Result {
    for part in parts {
        let independent = if part.independent {
            ",INDEPENDENT=YES"
        } else {
            ""
        };
        writeln!(
            out,
            "#EXT-X-PART:DURATION={},URI=\"{}_{}.m4s\"{independent}",
            seconds(part.duration),
            media.id,
            part.name
        )?;
    }
    Ok(())
}

fn segment_tail(out: &mut String, media: &Media, segment: &Segment) -> std::fmt::Result {
    if !segment.complete {
        return Ok(());
    }
    let (id, number) = (&media.id, segment.number);
    writeln!(
        out,
        "#EXTINF:{},\n{id}_{number}.m4s",
        seconds(segment.duration)
    )
}

/// How many of the oldest segments lie further from the end than the skip boundary.
fn skippable(listed: &[Arc<Segment>], target_duration: u32) -> usize {
    from_end(listed, target_duration, SKIP_UNTIL)
}

fn first_with_parts(listed: &[Arc<Segment>], target_duration: u32) -> usize {
    from_end(listed, target_duration, PARTS_UNTIL)
}

/// The index of the first segment that begins within `targets` target durations of the end.
fn from_end(listed: &[Arc<Segment>], target_duration: u32, targets: i64) -> usize {
    let boundary = Span::from_secs(i64::from(target_duration)).times(targets);
    let mut distance = Span::ZERO;
    for (i, segment) in listed.iter().enumerate().rev() {
        distance += segment.duration;
        if distance > boundary {
            return i + 1;
        }
    }
    0
}

/// Decimal seconds to the nanosecond: Shaka adds them up and compares with `tfdt` to the microsecond.
pub(crate) fn seconds(span: Span) -> String {
    let nanos = span.as_nanos().max(0);
    let (whole, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let digits = format!("{fraction:09}");
    let short = digits.trim_end_matches('0');
    format!("{whole}.{short:0<5}")
}

/// RFC 3339 in UTC with milliseconds, from nanoseconds since the Unix epoch.
pub(crate) fn date_time(t: Timestamp) -> String {
    let millis = t.as_millis();
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (secs, ms) = (of_day / 1000, of_day % 1000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        secs / 3600,
        secs / 60 % 60,
        secs % 60
    )
}

/// The proleptic Gregorian date of a day number (1970-01-01 is 0), by eras of 400 years that
/// begin in March, so that the leap day comes last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_224_044_087, "2026-11-21T01:20:44.087Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(date_time(Timestamp::from_millis(millis)), text);
        }
    }

    #[test]
    fn decimal_seconds() {
        assert_eq!(seconds(Span::from_nanos(213_333_333)), "0.213333333");
        assert_eq!(seconds(Span::from_nanos(2_001_999_999)), "2.001999999");
        assert_eq!(seconds(Span::from_millis(2_002)), "2.00200");
    }
}
