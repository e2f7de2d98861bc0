//! Rules between the playlists of one presentation.

use std::collections::VecDeque;

use media::{Span, Timestamp};

use super::Rule;
use super::ledger::Bench;
use super::playlist::Playlist;
use super::single::secs;

/// The multivariant playlist's media playlists, and what is wrong with how it names them.
pub(super) fn playlists(b: &mut Bench<'_>, text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |uri: &str| {
        if !found.iter().any(|f| f == uri) {
            found.push(uri.to_owned());
        }
    };
    let mut variant: Option<&str> = None;
    let mut variants = 0;
    for line in text.lines() {
        if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            variant = Some(list);
            stream_inf(b, list, text);
        } else if let Some(list) = line.strip_prefix("#EXT-X-MEDIA:") {
            if let Some(uri) = attribute(b, list, "URI") {
                add(&uri);
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            b.check(Rule::Index, variant.take().is_some(), || {
                format!("{line} without EXT-X-STREAM-INF")
            });
            variants += 1;
            add(line);
        }
    }
    b.check(Rule::Grammar, text.starts_with("#EXTM3U\n"), || {
        "does not begin with #EXTM3U".to_owned()
    });
    b.check(Rule::Index, variants > 0, || "no variant".to_owned());
    for uri in &found {
        b.check(
            Rule::Index,
            !uri.starts_with('/') && !uri.contains("://"),
            || format!("{uri} is not relative"),
        );
    }
    found
}

fn attribute(b: &mut Bench<'_>, list: &str, name: &str) -> Option<String> {
    match super::attributes::Attributes::parse(list) {
        Ok(a) => a.get(name).map(str::to_owned),
        Err(why) => {
            b.check(Rule::Grammar, false, || format!("{list}: {why}"));
            None
        }
    }
}

fn stream_inf(b: &mut Bench<'_>, list: &str, text: &str) {
    for needed in ["BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS"] {
        let value = attribute(b, list, needed);
        b.check(Rule::Index, value.is_some_and(|v| v != "0"), || {
            format!("a variant without {needed}")
        });
    }
    if let Some(group) = attribute(b, list, "AUDIO") {
        let named = format!("GROUP-ID=\"{group}\"");
        b.check(Rule::Index, text.contains(&named), || {
            format!("no rendition of audio group {group}")
        });
    }
}

/// What is known of another rendition.
pub(super) struct Other<'a> {
    pub(super) uri: &'a str,
    /// Its newest edge that was seen before the playlist in hand was asked for.
    pub(super) before: Option<(u64, u64)>,
    pub(super) now: &'a Playlist,
    pub(super) edges: &'a Edges,
}

/// `hold` says that the playlist is frozen, in which a lonely rendition reports itself.
pub(super) fn check(
    b: &mut Bench<'_>,
    (uri, list): (&str, &Playlist),
    (others, ragged): (&[Other<'_>], Span),
    all: &[String],
) {
    hold_back(b, list, others);
    reports(b, (uri, list), others, all);
    for other in others {
        aligned(b, list, other, ragged);
    }
}

fn hold_back(b: &mut Bench<'_>, list: &Playlist, others: &[Other<'_>]) {
    let targets = others
        .iter()
        .filter_map(|o| o.now.part_target)
        .chain(list.part_target);
    let (Some(longest), Some(control)) = (targets.max(), &list.control) else {
        return;
    };
    let back = control.part_hold_back;
    b.check(
        Rule::H3,
        back.is_some_and(|back| back >= longest.times(3)),
        || {
            format!(
                "PART-HOLD-BACK {}, the largest PART-TARGET is {}",
                secs(back),
                secs(Some(longest))
            )
        },
    );
}

fn reports(
    b: &mut Bench<'_>,
    (uri, list): (&str, &Playlist),
    others: &[Other<'_>],
    all: &[String],
) {
    if list.ended || list.part_target.is_none() {
        return;
    }
    let alone_in_hold = all.len() == 1 && list.hints.is_empty();
    for report in &list.reports {
        let relative = !report.uri.starts_with('/') && !report.uri.contains("://");
        let wrong = || format!("{} is not relative", report.uri);
        b.check(Rule::H21, relative, wrong);
        let known = all.contains(&report.uri) && (report.uri != uri || alone_in_hold);
        b.check(Rule::H21, known, || format!("a report of {}", report.uri));
        let told = report.msn.is_some() && report.part.is_some();
        let wrong = || format!("LAST-MSN or LAST-PART of {} is missing", report.uri);
        b.check(Rule::H21, told, wrong);
    }
    for other in all.iter().filter(|o| *o != uri) {
        let of_it = list.reports.iter().filter(|r| r.uri == *other).count();
        b.check(Rule::H21, of_it == 1, || {
            format!("{of_it} reports of {other}")
        });
    }
    for other in others {
        for report in list.reports.iter().filter(|r| r.uri == other.uri) {
            fresh(b, (report.msn, report.part), other);
        }
    }
}

/// A report must not be older than what was seen before the playlist was asked for.
fn fresh(b: &mut Bench<'_>, report: (Option<u64>, Option<u64>), other: &Other<'_>) {
    let (Some(msn), Some(part)) = report else {
        return;
    };
    let Some((seen_msn, seen_parts)) = other.before else {
        return;
    };
    let seen_part = seen_parts.saturating_sub(1);
    b.check(Rule::H21, (msn, part) >= (seen_msn, seen_part), || {
        format!(
            "{} is reported at {msn}.{part}, it was at {seen_msn}.{seen_part} before",
            other.uri
        )
    });
}

fn aligned(b: &mut Bench<'_>, list: &Playlist, other: &Other<'_>, ragged: Span) {
    b.check(
        Rule::Constant,
        list.target_duration == other.now.target_duration,
        || {
            format!(
                "TARGETDURATION {:?}, {:?} in {}",
                list.target_duration, other.now.target_duration, other.uri
            )
        },
    );
    let tolerance = list
        .part_target
        .max(other.now.part_target)
        .unwrap_or(Span::from_millis(250))
        + ragged;
    let mut number = list.discontinuity_sequence;
    for segment in &list.segments {
        number += u64::from(segment.discontinuity);
        let Some(same) = other.now.segment(segment.number) else {
            continue;
        };
        if let (Some(a), Some(z)) = (segment.date, same.date) {
            b.check(Rule::Aligned, (a - z).abs() <= tolerance, || {
                format!(
                    "{} begins {} ms apart from {}",
                    segment.number,
                    (a - z).as_millis(),
                    other.uri
                )
            });
        }
        let theirs = discontinuity_number(other.now, segment.number);
        b.check(Rule::Aligned, number == theirs, || {
            format!(
                "{} has discontinuity number {number}, {theirs} in {}",
                segment.number, other.uri
            )
        });
    }
}

fn discontinuity_number(list: &Playlist, number: u64) -> u64 {
    let tags = list.segments.iter().take_while(|s| s.number <= number);
    list.discontinuity_sequence + tags.filter(|s| s.discontinuity).count() as u64
}

/// When a rendition's edge was seen at which programme time.
#[derive(Debug, Clone, Default)]
pub(super) struct Edges(VecDeque<(Timestamp, Timestamp)>);

impl Edges {
    pub(super) fn note(&mut self, at: Timestamp, edge: Timestamp) {
        self.0.push_back((at, edge));
        if self.0.len() > 64 {
            self.0.pop_front();
        }
    }

    fn newest(&self) -> Option<Timestamp> {
        self.0.back().map(|(_, edge)| *edge)
    }
}

/// H23: what one rendition had published, the others reach within a part target, give or take a
/// part: they need not end their parts at the same time.
pub(super) fn keep_step(
    b: &mut Bench<'_>,
    own: &Edges,
    edge: Timestamp,
    at: Timestamp,
    (target, slack): (Span, Span),
    others: &[Other<'_>],
) {
    let Some(before) = own.newest() else {
        return;
    };
    for other in others {
        b.check(Rule::H23, true, String::new);
        for (published, theirs) in &other.edges.0 {
            let due = *theirs - target;
            if before < due && due <= edge {
                let what = format!("behind {}", other.uri);
                let late = (at - *published).max(Span::ZERO);
                b.time(Rule::H23, &what, late, target + slack);
            }
        }
    }
}
