//! Rules about HTTP answers.

use media::{Span, Timestamp};

use super::Mode;
use super::mpd::{Mpd, Template};
use super::single;
use crate::lint::attributes::date;
use crate::lint::ledger::Bench;
use crate::lint::{Answer, Rule};

/// An answer that should be there at once.
pub(super) const AT_ONCE: Span = Span::from_millis(500);
/// How far two clocks of one time may be apart.
const SAME_TIME: Span = Span::from_millis(50);

/// What every answer has.
fn open(b: &mut Bench<'_>, answer: &Answer) {
    let anybody = answer.header("access-control-allow-origin") == Some("*");
    b.check(Rule::Cache, anybody, || {
        "no Access-Control-Allow-Origin: *".to_owned()
    });
    let age = answer.header("age");
    b.check(Rule::Cache, age.is_none(), || format!("Age: {age:?}"));
}

fn kept(b: &mut Bench<'_>, answer: &Answer, right: bool) {
    b.check(Rule::Cache, right, || {
        format!(
            "Cache-Control: {}",
            answer.header("cache-control").unwrap_or("none")
        )
    });
}

fn is_stored(answer: &Answer) -> bool {
    !answer
        .header("cache-control")
        .is_some_and(|c| c.contains("no-store"))
}

fn kind(b: &mut Bench<'_>, answer: &Answer, due: &str) {
    let told = answer.header("content-type").unwrap_or_default();
    let told = told.split(';').next().unwrap_or_default().trim();
    b.check(Rule::Cache, told == due, || format!("Content-Type: {told}"));
}

pub(super) fn mpd(b: &mut Bench<'_>, answer: &Answer, mpd: &Mpd) {
    open(b, answer);
    kind(b, answer, "application/dash+xml");
    let most = mpd
        .update
        .map_or(1, |u| u.as_millis().div_euclid(1000).max(1));
    let told = answer.max_age().is_some_and(|age| age <= most);
    kept(b, answer, told || !is_stored(answer));
}

/// Bytes that never change. Those that grow say no length, and may say nothing of their keeping.
pub(super) fn media(b: &mut Bench<'_>, answer: &Answer, mime: &str, duration: Span) {
    open(b, answer);
    kind(b, answer, mime);
    if answer.header("content-length").is_some() {
        let least = duration.as_millis() * 6 / 1000;
        kept(b, answer, answer.max_age().is_some_and(|age| age >= least));
    }
}

/// It may be that another process knows better.
pub(super) fn filler(b: &mut Bench<'_>, answer: &Answer) {
    open(b, answer);
    kept(b, answer, !is_stored(answer));
}

/// A number that will be some day.
pub(super) fn far(b: &mut Bench<'_>, answer: &Answer) {
    b.check(Rule::D12, answer.is(404), || {
        format!("far ahead: {}", answer.told())
    });
    b.time(Rule::D12, "far ahead", answer.took(), AT_ONCE);
    if answer.is(404) {
        open(b, answer);
        kept(b, answer, !is_stored(answer));
    }
}

/// `utc` is what time it was when it was asked for.
pub(super) fn time(b: &mut Bench<'_>, answer: &Answer, utc: Timestamp) {
    b.check(Rule::D3, answer.is(200), || answer.told());
    let Some(text) = answer.text().map(str::trim) else {
        return;
    };
    let exact = text.ends_with('Z') && text.split_once('.').is_some_and(|(_, f)| f.len() > 3);
    b.check(Rule::D3, exact, || {
        format!("`{text}` has no milliseconds, or no Z")
    });
    let off = date(text).map(|told| told - utc);
    // It was told some time between question and answer.
    let (least, most) = (Span::ZERO - SAME_TIME, answer.took() + SAME_TIME);
    b.check(
        Rule::D3,
        off.is_some_and(|off| least <= off && off <= most),
        || format!("{} ms from our time", off.map_or(0, Span::as_millis)),
    );
    open(b, answer);
    kept(b, answer, !is_stored(answer));
}

/// Who joins; he may be held while there is nothing to play.
pub(super) fn join(b: &mut Bench<'_>, answer: &Answer) {
    let mpd = answer.text().map(Mpd::read);
    let read = matches!(&mpd, Some(Ok(_)));
    b.check(Rule::Join, read, || answer.told());
    b.time(Rule::Join, "answered", answer.took(), AT_ONCE);
    if let Some(Ok(mpd)) = mpd {
        b.check(Rule::Join, mpd.location.is_some(), || {
            "no Location".to_owned()
        });
    }
}

/// The classic face, beside what is known of the low-latency one.
pub(super) fn classic(b: &mut Bench<'_>, answer: &Answer, known: &Mpd) {
    b.check(Rule::Join, answer.is(200), || answer.told());
    let Some(mpd) = answer.text().and_then(|t| Mpd::read(t).ok()) else {
        return;
    };
    single::check(b, &mpd, Mode::Classic);
    let lasting = |t: &Template| Template {
        early: None,
        complete: None,
        last: None,
        ..t.clone()
    };
    let mut common = 0;
    for period in &mpd.periods {
        let Some(same) = known.periods.iter().find(|p| p.id == period.id) else {
            continue;
        };
        common += 1;
        let of = |p: &super::mpd::Period| {
            let all = p.representations();
            all.map(|(_, r)| (r.id.clone(), lasting(&r.template)))
                .collect::<Vec<_>>()
        };
        b.check(Rule::D8, of(period) == of(same), || {
            format!("Period {} is another one than with low latency", period.id)
        });
    }
    b.check(Rule::D8, common > 0, || {
        "other Periods than with low latency".to_owned()
    });
}
