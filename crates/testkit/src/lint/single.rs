//! Rules that one playlist keeps or breaks by itself.

use media::{Span, Timestamp};

use super::Rule;
use super::ledger::Bench;
use super::playlist::{Playlist, Segment};

/// Parts may stay listed until they are this many target durations from the end.
const PARTS_UNTIL: i64 = 3;

/// Programme times and durations may disagree by this much: a frame's worth of rounding.
pub(super) const DATE_TOLERANCE: Span = Span::from_millis(40);

pub(super) fn check(b: &mut Bench<'_>, list: &Playlist) {
    grammar(b, list);
    hold_backs(b, list);
    part_durations(b, list);
    part_tags(b, list);
    hints(b, list);
    check_skip(b, list);
    segments(b, list);
    dates(b, list);
}

fn grammar(b: &mut Bench<'_>, list: &Playlist) {
    b.check(Rule::Grammar, true, String::new);
    b.check(Rule::H32, true, String::new);
    for (rule, seen) in &list.faults {
        b.check(*rule, false, || seen.clone());
    }
}

fn hold_backs(b: &mut Bench<'_>, list: &Playlist) {
    let parts = list.has_parts();
    b.check(Rule::H1, !parts || list.part_target.is_some(), || {
        "parts without EXT-X-PART-INF".to_owned()
    });
    let control = list.control.clone().unwrap_or_default();
    if let Some(target) = list.part_target {
        let back = control.part_hold_back;
        b.check(
            Rule::H2,
            back.is_some_and(|back| back >= target.times(2)),
            || {
                format!(
                    "PART-HOLD-BACK {} with PART-TARGET {}",
                    secs(back),
                    secs(Some(target))
                )
            },
        );
    }
    let target = list.target();
    for (name, value, least, needed) in [
        ("HOLD-BACK", control.hold_back, 3, false),
        ("CAN-SKIP-UNTIL", control.can_skip_until, 6, false),
    ] {
        let holds = value.map_or(!needed, |v| v >= target.times(least));
        b.check(Rule::H4, holds, || {
            format!(
                "{name} {} with TARGETDURATION {}",
                secs(value),
                secs(Some(target))
            )
        });
    }
    let long = list.duration() > Span::from_secs(120);
    b.check(
        Rule::H17,
        !parts || !long || control.can_skip_until.is_some(),
        || "a window of more than two minutes without CAN-SKIP-UNTIL".to_owned(),
    );
    b.check(
        Rule::H17,
        !list.dateranges || control.can_skip_dateranges || control.can_skip_until.is_none(),
        || "EXT-X-DATERANGE without CAN-SKIP-DATERANGES".to_owned(),
    );
}

fn part_durations(b: &mut Bench<'_>, list: &Playlist) {
    let Some(target) = list.part_target else {
        return;
    };
    let least = Span::from_nanos(target.as_nanos() / 100 * 85);
    for segment in &list.segments {
        for (i, part) in segment.parts.iter().enumerate() {
            let next = segment.parts.get(i + 1);
            let last = next.is_none();
            let may_be_short = part.independent || part.gap || last || next.is_some_and(|n| n.gap);
            let holds = part.duration <= target && (may_be_short || part.duration >= least);
            b.check(Rule::H5, holds, || {
                format!(
                    "{} lasts {}, PART-TARGET is {}",
                    part.uri,
                    secs(Some(part.duration)),
                    secs(Some(target))
                )
            });
        }
    }
}

fn part_tags(b: &mut Bench<'_>, list: &Playlist) {
    b.check(Rule::H31, !list.i_frames_only || !list.has_parts(), || {
        "parts in a playlist of I-frames".to_owned()
    });
    let mut behind = Span::ZERO;
    for segment in list.segments.iter().rev() {
        let late = !segment.parts.is_empty() && behind > list.target().times(PARTS_UNTIL);
        b.check(Rule::H8, !late, || {
            format!(
                "parts of {} are listed {} from the end",
                segment.number,
                secs(Some(behind))
            )
        });
        behind += segment.length();
        let known = segment
            .duration
            .filter(|_| segment.is_complete() && !segment.parts.is_empty());
        if let Some(duration) = known {
            let parts = segment.parts_duration();
            b.check(
                Rule::H7,
                (duration - parts).abs() <= Span::from_millis(1),
                || {
                    format!(
                        "EXTINF of {} is {}, its parts last {}",
                        segment.number,
                        secs(Some(duration)),
                        secs(Some(parts))
                    )
                },
            );
        }
    }
}

fn hints(b: &mut Bench<'_>, list: &Playlist) {
    for kind in ["PART", "MAP"] {
        let many = list.hints.iter().filter(|h| h.kind == kind).count();
        b.check(Rule::H18, many <= 1, || {
            format!("{many} hints of TYPE={kind}")
        });
    }
    if list.has_parts() && !list.ended {
        b.check(Rule::H18, list.hint("PART").is_some(), || {
            "no hint at the next part".to_owned()
        });
    }
    b.check(Rule::H18, !list.ended || list.hints.is_empty(), || {
        "a hint after ENDLIST".to_owned()
    });
}

/// What holds for a delta update as it came.
pub(super) fn check_skip(b: &mut Bench<'_>, list: &Playlist) {
    let Some(skip) = list.skips.first() else {
        return;
    };
    b.check(Rule::H15, list.skips.len() == 1, || {
        format!("{} EXT-X-SKIP", list.skips.len())
    });
    let until = list.control.as_ref().and_then(|c| c.can_skip_until);
    b.check(Rule::H15, until.is_some(), || {
        "EXT-X-SKIP without CAN-SKIP-UNTIL".to_owned()
    });
    b.check(Rule::H15, !list.ended, || {
        "EXT-X-SKIP after the end".to_owned()
    });
    let needed = if skip.dateranges { 10 } else { 9 };
    b.check(Rule::H16, list.version.is_some_and(|v| v >= needed), || {
        format!(
            "EXT-X-SKIP in version {:?}, {needed} is needed",
            list.version
        )
    });
}

fn segments(b: &mut Bench<'_>, list: &Playlist) {
    for segment in &list.segments {
        if let (Some(duration), Some(target)) = (segment.duration, list.target_duration) {
            b.check(
                Rule::Rounding,
                rounded(duration) <= i128::from(target),
                || {
                    format!(
                        "EXTINF of {} is {}, TARGETDURATION {target}",
                        segment.number,
                        secs(Some(duration))
                    )
                },
            );
        }
        if segment.is_complete() && !segment.parts.is_empty() {
            let independent = segment.parts.iter().any(|p| p.independent);
            b.check(Rule::H22, independent, || {
                format!("no independent part in {}", segment.number)
            });
        }
        b.check(
            Rule::Discontinuity,
            !segment.discontinuity || segment.map.is_none() || segment.own_map,
            || format!("a DISCONTINUITY at {} without EXT-X-MAP", segment.number),
        );
    }
    for (old, new) in list.segments.iter().zip(list.segments.iter().skip(1)) {
        b.check(
            Rule::Discontinuity,
            old.map == new.map || new.discontinuity,
            || format!("another EXT-X-MAP at {} without DISCONTINUITY", new.number),
        );
    }
}

fn rounded(duration: Span) -> i128 {
    (i128::from(duration.as_nanos()) + 500_000_000).div_euclid(1_000_000_000)
}

fn dates(b: &mut Bench<'_>, list: &Playlist) {
    for segment in &list.segments {
        b.check(Rule::Dates, segment.date.is_some(), || {
            format!("no PROGRAM-DATE-TIME at {}", segment.number)
        });
    }
    for pair in list.segments.windows(2) {
        let [old, new] = pair else { continue };
        let (Some(end), Some(start)) = (end(old), new.date) else {
            continue;
        };
        let off = start - end;
        let continuous = off.abs() <= DATE_TOLERANCE;
        b.check(Rule::Dates, continuous, || {
            format!(
                "{} begins {} ms after the end of {}",
                new.number,
                off.as_millis(),
                old.number
            )
        });
        if new.discontinuity {
            b.check(Rule::Discontinuity, continuous, || {
                format!(
                    "a DISCONTINUITY at {} over a hole of {} ms",
                    new.number,
                    off.as_millis()
                )
            });
        }
    }
}

fn end(segment: &Segment) -> Option<Timestamp> {
    Some(segment.date? + segment.duration?)
}

pub(super) fn secs(span: Option<Span>) -> String {
    span.map_or_else(
        || "missing".to_owned(),
        |s| format!("{:.3}", s.as_secs_f64()),
    )
}
