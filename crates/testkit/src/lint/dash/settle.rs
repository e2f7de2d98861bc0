//! Rules about a number and an MPD that knows of it: one that was asked for late enough after it.

use media::{Span, Timestamp};

use super::line::Line;
use super::mpd::{Mpd, Period, Representation};
use super::segment::Seen;
use super::track::{Anchor, Track};
use crate::lint::Rule;
use crate::lint::bodies::Print;
use crate::lint::ledger::{Bench, Ledger};

/// What an MPD may lack after a number was answered: it is asked for every second, and rendered
/// anew once a segment has begun.
pub(super) const KNOWN: Span = Span::from_millis(1_500);
/// D7: chunks of sound are not all of one length, and a phase is told in steps.
const STEPS: Span = Span::from_millis(150);
/// D7: how many segments tell the phase.
const PHASES: usize = 8;

/// A number that was answered when it was due.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) representation: String,
    pub(super) number: u64,
    pub(super) uri: String,
    /// The initialisation that the MPD named when it was asked for.
    pub(super) initialization: String,
    pub(super) codecs: String,
    /// Time of the run.
    pub(super) at: Timestamp,
    /// Where it belongs, as the MPD had it; times of the run.
    pub(super) span: (Timestamp, Timestamp),
    /// Its media, and the initialisation in front of it.
    pub(super) media: Option<(Seen, Option<Print>)>,
}

/// `prints` tells of initialisations by their URI.
pub(super) fn check(
    ledger: &mut Ledger,
    track: &mut Track,
    mpd: &Mpd,
    taken: &Taken,
    prints: impl Fn(&str) -> Option<Print>,
) {
    let Some(period) = mpd.period_of(&taken.representation, taken.number) else {
        return;
    };
    let Some((_, one)) = period.find(&taken.representation) else {
        return;
    };
    let Some(line) = Line::of(mpd, period, &one.template) else {
        return;
    };
    let mut b = ledger.at(&taken.uri, taken.span.0, taken.at.max(taken.span.1));
    let Some((seen, own)) = &taken.media else {
        // Who asks with another initialisation may be told nothing where his decoder cannot go on.
        let asked = one.template.uri(taken.number) == taken.uri;
        let same = family(&one.codecs) == family(&taken.codecs);
        return b.check(Rule::Media, !asked && !same, || "no media".to_owned());
    };
    b.check(Rule::Media, true, String::new);
    initialization(&mut b, taken, *own, one, prints);
    drift(&mut b, track, (period, line), taken.number, seen);
    phase(&mut b, track, (one, line), taken.number, seen);
}

/// What a decoder is chosen by.
pub(super) fn family(codecs: &str) -> &str {
    codecs.split('.').next().unwrap_or_default()
}

/// D10: media that needs another initialisation than who asks knows of comes with it, and the MPD
/// tells of it soon.
fn initialization(
    b: &mut Bench<'_>,
    taken: &Taken,
    own: Option<Print>,
    one: &Representation,
    prints: impl Fn(&str) -> Option<Print>,
) {
    let told = &one.template.initialization;
    let stale = *told != taken.initialization;
    b.check(Rule::D10, stale == own.is_some(), || {
        let what = if stale { "none" } else { "one" };
        format!("the MPD says {told}, then {what} comes with the media")
    });
    if let Some((own, named)) = own.zip(prints(told)).filter(|_| stale) {
        b.check(Rule::D6, own == named, || {
            format!("begins with another than {told}")
        });
    }
}

/// D5: a segment begins where its number says, give or take half its length.
fn drift(
    b: &mut Bench<'_>,
    track: &mut Track,
    (period, line): (&Period, Line),
    number: u64,
    seen: &Seen,
) {
    let off = seen.start - line.nominal(number);
    let most = line.duration();
    b.check(Rule::D5, off.abs().times(2) <= most, || {
        format!(
            "{number} begins {} ms from where it belongs",
            off.as_millis()
        )
    });
    // Behind a hole media may have another phase within the same half.
    let follows = |a: &&mut Anchor| a.period == period.id && a.last + 1 == number;
    let anchor = match track.anchor.as_mut().filter(follows) {
        Some(anchor) => anchor,
        None => {
            track.phases.clear();
            track.anchor.insert(Anchor {
                period: period.id.clone(),
                first: number,
                start: seen.start,
                last: number,
            })
        }
    };
    anchor.last = number;
    let (first, start) = (anchor.first, anchor.start);
    // As the conformance tool has it: from the first one that was seen.
    let off = (seen.start - start) - (line.nominal(number) - line.nominal(first));
    b.check(Rule::D5, off.abs().times(2) < most, || {
        format!(
            "{number} begins {} ms from where {first} says",
            off.as_millis()
        )
    });
}

/// D7: what the MPD promises is neither more nor much less than what is.
fn phase(
    b: &mut Bench<'_>,
    track: &mut Track,
    (one, line): (&Representation, Line),
    number: u64,
    seen: &Seen,
) {
    let Some(early) = one.template.early else {
        return;
    };
    track.phases.push(seen.start - line.nominal(number));
    if track.phases.len() > PHASES {
        track.phases.remove(0);
    }
    let (least, most) = (track.phases.iter().min(), track.phases.iter().max());
    let (Some(least), Some(most)) = (least, most) else {
        return;
    };
    let chunk = line.duration() - seen.chunk;
    // To be there before it is promised is no harm.
    let most_late = (*most).max(Span::ZERO);
    let range = (chunk - most_late - STEPS, chunk - *least + STEPS);
    b.check(Rule::D7, range.0 <= early && early <= range.1, || {
        format!(
            "availabilityTimeOffset is {} ms, chunks of {} ms begin {} to {} ms late",
            early.as_millis(),
            seen.chunk.as_millis(),
            least.as_millis(),
            most.as_millis()
        )
    });
}
