//! Rules between an MPD and the one before it.

use media::{Span, Timestamp};

use super::mpd::{Mpd, Period};
use crate::lint::Rule;
use crate::lint::ledger::Bench;
use crate::lint::single::secs;

/// An MPD is rendered before it is read.
const RENDERED: Span = Span::from_secs(2);

/// `now` is UTC.
pub(super) fn check(b: &mut Bench<'_>, old: &Mpd, new: &Mpd, now: Timestamp) {
    constants(b, old, new);
    published(b, old, new);
    gone(b, old, new, now);
    added(b, old, new);
    for was in &old.periods {
        if let Some(is) = new.periods.iter().find(|p| p.id == was.id) {
            let ended = old.periods.last().is_some_and(|last| last.id != was.id);
            same(b, was, is, ended);
        }
    }
}

fn constants(b: &mut Bench<'_>, old: &Mpd, new: &Mpd) {
    for (what, same) in [
        ("availabilityStartTime", old.available == new.available),
        ("profiles", old.profiles == new.profiles),
        ("UTCTiming", old.timings == new.timings),
        ("ServiceDescription", old.services == new.services),
    ] {
        b.check(Rule::Stable, same, || format!("{what} changed"));
    }
    // Shaka never takes it back.
    b.check(Rule::Stable, old.longest <= new.longest, || {
        let (was, is) = (secs(old.longest), secs(new.longest));
        format!("maxSegmentDuration {was} became {is}")
    });
}

fn published(b: &mut Bench<'_>, old: &Mpd, new: &Mpd) {
    let text = |m: &Mpd| m.periods.iter().map(|p| p.text.clone()).collect::<Vec<_>>();
    let changed = text(old) != text(new) || old.depth != new.depth;
    let (was, is) = (old.published, new.published);
    b.check(Rule::D10, is > was || !changed && is == was, || {
        let what = if changed {
            "another MPD"
        } else {
            "the same MPD"
        };
        let rise = is.zip(was).map(|(is, was)| is - was);
        format!("{what}, publishTime rises by {}", secs(rise))
    });
}

/// Periods leave oldest first, and not before all of them has left the time shift buffer.
fn gone(b: &mut Bench<'_>, old: &Mpd, new: &Mpd, now: Timestamp) {
    let is_left = |p: &Period| new.periods.iter().any(|n| n.id == p.id);
    let mut kept: Option<&Period> = None;
    for (i, was) in old.periods.iter().enumerate() {
        if is_left(was) {
            kept = kept.or(Some(was));
            continue;
        }
        b.check(Rule::Periods, kept.is_none(), || {
            format!("{} left before {}", was.id, kept.map_or("", |k| &k.id))
        });
        let next = old.periods.get(i + 1).or_else(|| new.periods.first());
        let end = next.and_then(|n| Some(new.available? + n.start?));
        let over = end
            .zip(new.depth)
            .is_some_and(|(end, depth)| end <= now - depth + RENDERED);
        b.check(Rule::Periods, over, || {
            format!("{} left with media in the buffer", was.id)
        });
    }
}

fn added(b: &mut Bench<'_>, old: &Mpd, new: &Mpd) {
    let last = old.periods.last();
    let fresh = |p: &&Period| !old.periods.iter().any(|o| o.id == p.id);
    for period in new.periods.iter().filter(fresh) {
        let after = last.is_none_or(|last| period.start > last.start);
        b.check(Rule::Periods, after, || {
            format!("{} came before another", period.id)
        });
    }
}

fn same(b: &mut Bench<'_>, was: &Period, is: &Period, ended: bool) {
    if ended {
        b.check(Rule::Stable, was.text == is.text, || {
            format!("{} changed after its end", was.id)
        });
    }
    let lasting = |p: &Period| {
        p.sets
            .iter()
            .map(super::mpd::Set::lasting)
            .collect::<Vec<_>>()
    };
    let unchanged = was.start == is.start && lasting(was) == lasting(is);
    b.check(Rule::Stable, unchanged, || format!("{} changed", was.id));
    for (_, one) in was.representations() {
        let Some((_, now)) = is.find(&one.id) else {
            continue;
        };
        b.check(Rule::Stable, now.bandwidth >= one.bandwidth, || {
            format!(
                "{}: bandwidth {} became {}",
                one.id, one.bandwidth, now.bandwidth
            )
        });
        let ending = one.template.last.is_none() || one.template.last == now.template.last;
        b.check(Rule::Stable, ending, || {
            format!("{}: endNumber changed", one.id)
        });
    }
}

/// What shrinks after media was away; players drop out of it otherwise.
pub(super) fn window(b: &mut Bench<'_>, old: &Mpd, new: &Mpd) {
    b.check(Rule::Window, new.depth >= old.depth, || {
        format!("{} became {}", secs(old.depth), secs(new.depth))
    });
}
