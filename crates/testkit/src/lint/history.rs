//! Rules between two states of one playlist.

use media::{Span, Timestamp};

use super::Rule;
use super::ledger::Bench;
use super::playlist::{Playlist, Segment};
use super::single::secs;

pub(super) fn check(b: &mut Bench<'_>, old: &Playlist, new: &Playlist) {
    constants(b, old, new);
    numbers(b, old, new);
    same_segments(b, old, new);
    removal(b, old, new);
    discontinuity_sequence(b, old, new);
    hint(b, old, new);
    b.check(Rule::Sequence, !old.ended || new == old, || {
        "changed after ENDLIST".to_owned()
    });
}

/// H6: how long a part was waited for, with `slack` for what the network and the encoder do.
pub(super) fn cadence(
    b: &mut Bench<'_>,
    list: &Playlist,
    last: Timestamp,
    at: Timestamp,
    slack: Span,
) {
    if let Some(target) = list.part_target {
        b.time(Rule::H6, "between two parts", at - last, target + slack);
    }
}

fn constants(b: &mut Bench<'_>, old: &Playlist, new: &Playlist) {
    b.check(
        Rule::Constant,
        old.target_duration == new.target_duration,
        || {
            format!(
                "TARGETDURATION {:?} became {:?}",
                old.target_duration, new.target_duration
            )
        },
    );
    b.check(Rule::Constant, old.part_target == new.part_target, || {
        format!(
            "PART-TARGET {} became {}",
            secs(old.part_target),
            secs(new.part_target)
        )
    });
}

fn numbers(b: &mut Bench<'_>, old: &Playlist, new: &Playlist) {
    b.check(
        Rule::Sequence,
        new.media_sequence >= old.media_sequence,
        || {
            format!(
                "EXT-X-MEDIA-SEQUENCE went from {} back to {}",
                old.media_sequence, new.media_sequence
            )
        },
    );
    b.check(Rule::Sequence, new.edge() >= old.edge(), || {
        format!(
            "the edge went from {:?} back to {:?}",
            old.edge(),
            new.edge()
        )
    });
}

/// What was listed under a number stays what it was; a growing segment only grows.
fn same_segments(b: &mut Bench<'_>, old: &Playlist, new: &Playlist) {
    for (was, is) in old
        .segments
        .iter()
        .filter_map(|s| Some((s, new.segment(s.number)?)))
    {
        let contradiction = contradiction(was, is);
        b.check(Rule::Sequence, contradiction.is_none(), || {
            let what = contradiction.unwrap_or_default();
            format!("segment {} was published with another {what}", was.number)
        });
    }
}

fn contradiction(was: &Segment, is: &Segment) -> Option<&'static str> {
    let same_parts = was.parts.iter().zip(&is.parts).all(|(a, b)| a == b);
    let shrunk = !is.parts.is_empty() && is.parts.len() < was.parts.len();
    let grown = was.is_complete() && !was.parts.is_empty() && is.parts.len() > was.parts.len();
    let same = [
        (was.uri.is_none() || was.uri == is.uri, "URI"),
        (
            was.duration.is_none() || was.duration == is.duration,
            "EXTINF",
        ),
        (was.date == is.date, "PROGRAM-DATE-TIME"),
        (was.map == is.map, "EXT-X-MAP"),
        (was.discontinuity == is.discontinuity, "DISCONTINUITY"),
        (same_parts && !shrunk && !grown, "list of parts"),
    ];
    same.into_iter()
        .find(|(same, _)| !same)
        .map(|(_, what)| what)
}

fn removal(b: &mut Bench<'_>, old: &Playlist, new: &Playlist) {
    let (Some((last, _)), Some(first)) = (old.edge(), new.first()) else {
        return;
    };
    b.check(Rule::H9, first <= last + 1, || {
        format!(
            "the numbers {} to {} were never listed",
            last + 1,
            first - 1
        )
    });
    let gone: Vec<_> = old.segments.iter().filter(|s| s.number < first).collect();
    if !gone.is_empty() {
        // 6.2.2: what is removed leaves three target durations.
        let left = new.duration();
        b.check(Rule::H9, left >= new.target().times(3), || {
            format!("{} segments left, {} remain", gone.len(), secs(Some(left)))
        });
    }
    // Parts leave oldest first: what is without parts now must not lie behind what has some.
    let mut kept = None;
    for was in old.segments.iter().filter(|s| !s.parts.is_empty()) {
        let Some(is) = new.segment(was.number) else {
            continue;
        };
        let lost = is.parts.is_empty();
        b.check(Rule::H9, !lost || kept.is_none(), || {
            format!(
                "{} lost its parts before {}",
                was.number,
                kept.unwrap_or_default()
            )
        });
        if !lost {
            kept = kept.or(Some(was.number));
        }
    }
}

/// It grows by the tags that left, and by nothing else.
fn discontinuity_sequence(b: &mut Bench<'_>, old: &Playlist, new: &Playlist) {
    let Some(first) = new.first() else {
        return;
    };
    let gone = old
        .segments
        .iter()
        .filter(|s| s.number < first && s.discontinuity)
        .count();
    let due = old.discontinuity_sequence + gone as u64;
    b.check(
        Rule::Discontinuity,
        new.discontinuity_sequence == due,
        || {
            format!(
                "EXT-X-DISCONTINUITY-SEQUENCE is {}, {due} is due",
                new.discontinuity_sequence
            )
        },
    );
}

/// The first part that is new bears the hinted URI; behind a new MAP only where that was hinted at
/// as well.
fn hint(b: &mut Bench<'_>, old: &Playlist, new: &Playlist) {
    let Some(hinted) = old.hint("PART") else {
        return;
    };
    let known = old.edge().map_or((0, 0), |e| e);
    let is_new = |s: &Segment, i: usize| (s.number, i as u64 + 1) > known;
    let mut fresh = new.segments.iter().flat_map(|s| {
        let parts = s.parts.iter().enumerate();
        parts
            .filter(move |(i, _)| is_new(s, *i))
            .map(move |(_, p)| (s, p))
    });
    let Some((segment, part)) = fresh.next() else {
        return;
    };
    let map = old.segments.last().and_then(|s| s.map.as_ref());
    if segment.map.as_ref() == map {
        b.check(Rule::H18, part.uri == hinted.uri, || {
            format!("{} was hinted at, {} came", hinted.uri, part.uri)
        });
        return;
    }
    // A change that nobody foresaw: who fetched what was hinted at holds nothing of it.
    let told = old.hint("MAP").map(|h| &h.uri) == segment.map.as_ref();
    b.check(Rule::H18, told || part.uri != hinted.uri, || {
        format!(
            "{} was hinted at, and came behind {}, which was not",
            hinted.uri,
            segment.map.as_deref().unwrap_or("no MAP")
        )
    });
}
