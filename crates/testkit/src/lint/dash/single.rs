//! Rules about one MPD alone.

use std::collections::BTreeSet;

use media::{Span, Timestamp};

use super::Mode;
use super::mpd::{Descriptor, Mpd, Period, Reference, Representation, Set, Template};
use crate::lint::Rule;
use crate::lint::ledger::Bench;
use crate::lint::single::secs;

const LIVE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
const LOW_LATENCY: &str = "http://www.dashif.org/guidelines/low-latency-live-v5";
const CRITICAL: &str = "urn:dvb:dash:lowlatency:critical:2019";
const ROLES: &str = "urn:mpeg:dash:role:2011";
const CLOCKS: [&str; 8] = [
    "urn:mpeg:dash:utc:ntp:2014",
    "urn:mpeg:dash:utc:sntp:2014",
    "urn:mpeg:dash:utc:http-head:2014",
    "urn:mpeg:dash:utc:http-xsdate:2014",
    "urn:mpeg:dash:utc:http-iso:2014",
    "urn:mpeg:dash:utc:http-ntp:2014",
    "urn:mpeg:dash:utc:direct:2014",
    "urn:mpeg:dash:utc:direct:2012",
];
/// Times of an MPD have milliseconds.
const ROUNDING: Span = Span::from_millis(1);
/// Starts of Periods are whole ticks of all usual timescales.
const GRAIN: i64 = 10_000_000;

pub(super) fn check(b: &mut Bench<'_>, mpd: &Mpd, mode: Mode) {
    for fault in &mpd.faults {
        b.check(Rule::Mpd, false, || fault.clone());
    }
    b.check(Rule::Mpd, mpd.dynamic, || "not dynamic".to_owned());
    profiles(b, mpd, mode);
    relative(b, mpd);
    let known = mpd.timings.iter().any(|t| CLOCKS.contains(&&*t.scheme));
    b.check(Rule::D3, known, || {
        "no UTCTiming of a known scheme".to_owned()
    });
    let refreshed = mpd.end.is_some() || mpd.update.is_some_and(|u| u > Span::ZERO);
    b.check(Rule::D10, refreshed, || "no minimumUpdatePeriod".to_owned());
    epoch(b, mpd);
    periods(b, mpd);
    for period in &mpd.periods {
        languages(b, period);
        for (_, one) in period.representations() {
            template(b, &one.id, &one.template);
        }
    }
    longest(b, mpd);
    match mode {
        Mode::Low => low(b, mpd),
        Mode::Classic => classic(b, mpd),
    }
}

fn profiles(b: &mut Bench<'_>, mpd: &Mpd, mode: Mode) {
    let has = |profile: &str| mpd.profiles.iter().any(|p| p == profile);
    b.check(Rule::D1, has(LIVE), || format!("profiles without {LIVE}"));
    let low = mode == Mode::Low;
    b.check(Rule::D1, has(LOW_LATENCY) == low, || {
        let told = if low { "without" } else { "with" };
        format!("profiles {told} {LOW_LATENCY}")
    });
}

fn relative(b: &mut Bench<'_>, mpd: &Mpd) {
    let templates = mpd.periods.iter().flat_map(Period::representations);
    let templates = templates.map(|(_, r)| &r.template);
    let media = templates.flat_map(|t| [&t.initialization, &t.media]);
    let clocks = mpd.timings.iter().filter(|t| t.scheme.contains(":http-"));
    let all = media.chain(&mpd.location).chain(clocks.map(|t| &t.value));
    for uri in all {
        let relative = !uri.is_empty() && !uri.starts_with('/') && !uri.contains("://");
        b.check(Rule::D1, relative, || format!("`{uri}` is not relative"));
    }
}

fn template(b: &mut Bench<'_>, id: &str, t: &Template) {
    let numbered = t.duration > 0 && !t.timeline && t.media.contains("$Number$");
    b.check(Rule::D5, numbered, || {
        format!("{id}: no SegmentTemplate with duration and $Number$")
    });
}

/// Shaka measures its distance to the edge by it.
fn longest(b: &mut Bench<'_>, mpd: &Mpd) {
    let all = mpd.periods.iter().flat_map(Period::representations);
    let durations = all.map(|(_, r)| length(&r.template, r.template.duration));
    let (told, due) = (mpd.longest, durations.max());
    let same = told
        .zip(due)
        .is_some_and(|(a, z)| (a - z).abs() <= ROUNDING);
    b.check(Rule::D5, same, || {
        let (told, due) = (secs(told), secs(due));
        format!("maxSegmentDuration is {told}, the longest duration {due}")
    });
}

fn length(t: &Template, ticks: u64) -> Span {
    Span::from_ticks(super::line::signed(ticks), t.timescale)
}

fn epoch(b: &mut Bench<'_>, mpd: &Mpd) {
    b.check(Rule::D13, mpd.available == Some(Timestamp::ZERO), || {
        "availabilityStartTime is not 1970-01-01T00:00:00Z".to_owned()
    });
    for period in &mpd.periods {
        let Some(start) = period.start else {
            b.check(Rule::D13, false, || {
                format!("no start of Period {}", period.id)
            });
            continue;
        };
        b.check(Rule::D13, start.as_nanos() % GRAIN == 0, || {
            format!("Period {} starts between two hundredths", period.id)
        });
        let origin = start == Span::ZERO;
        for (_, one) in period.representations() {
            let t = &one.template;
            b.check(Rule::D13, !origin || t.first == 0, || {
                format!("{}: startNumber {} at PT0S", one.id, t.first)
            });
            // One tick, without which ffmpeg takes the start of 1970 for none.
            let off = (length(t, t.offset) - start).abs();
            let tick = Span::from_ticks(1, t.timescale) + Span::from_nanos(1);
            b.check(
                Rule::D13,
                off <= if origin { tick } else { half(tick) },
                || {
                    format!(
                        "{}: presentationTimeOffset is not the start of {}",
                        one.id, period.id
                    )
                },
            );
        }
    }
}

fn half(span: Span) -> Span {
    Span::from_nanos(span.as_nanos() / 2)
}

fn periods(b: &mut Bench<'_>, mpd: &Mpd) {
    b.check(Rule::Periods, !mpd.periods.is_empty(), || "none".to_owned());
    for period in &mpd.periods {
        own(b, period);
    }
    for pair in mpd.periods.windows(2) {
        if let [old, new] = pair {
            followed(b, old, new);
        }
    }
    let last = mpd.periods.last().filter(|_| mpd.end.is_none());
    for (_, one) in last.into_iter().flat_map(Period::representations) {
        b.check(Rule::Periods, one.template.last.is_none(), || {
            format!("{}: endNumber, and no Period after it", one.id)
        });
    }
}

fn own(b: &mut Bench<'_>, period: &Period) {
    let id = &period.id;
    b.check(Rule::Periods, !period.has_duration, || {
        format!("{id} has a duration")
    });
    let first = period.first();
    let named = first.is_some_and(|n| *id == format!("p{n}"));
    b.check(Rule::Periods, named, || {
        format!("{id} begins with number {first:?}")
    });
    for (_, one) in period.representations() {
        b.check(Rule::Periods, Some(one.template.first) == first, || {
            format!(
                "{id}: {} begins with {}, others with {first:?}",
                one.id, one.template.first
            )
        });
    }
    let ids: BTreeSet<_> = period.representations().map(|(_, r)| &r.id).collect();
    let sets: BTreeSet<_> = period.sets.iter().map(|s| &s.id).collect();
    let unique = ids.len() == period.representations().count() && sets.len() == period.sets.len();
    b.check(Rule::Periods, unique, || format!("{id}: an id twice"));
}

fn followed(b: &mut Bench<'_>, old: &Period, new: &Period) {
    let rises = old.start < new.start && old.first() < new.first();
    b.check(Rule::Periods, rises, || {
        format!("{} behind {}", new.id, old.id)
    });
    let next = new.first().unwrap_or(0);
    for (_, one) in old.representations() {
        let (first, last) = (one.template.first, one.template.last);
        let within = last.is_some_and(|last| last + 1 >= first && last < next);
        b.check(Rule::Periods, within, || {
            format!("{} {}: endNumber {last:?} before {next}", old.id, one.id)
        });
    }
}

fn languages(b: &mut Bench<'_>, period: &Period) {
    for kind in ["video", "audio"] {
        let sets: Vec<_> = period.sets.iter().filter(|s| s.kind == kind).collect();
        let has = |set: &Set, role: &str| {
            let ours = |r: &&Descriptor| r.scheme == ROLES;
            set.roles.iter().filter(ours).any(|r| r.value == role)
        };
        let main = sets.iter().filter(|s| has(s, "main")).count();
        b.check(Rule::Language, sets.is_empty() || main > 0, || {
            format!("no main {kind}")
        });
        let told: BTreeSet<_> = sets.iter().map(|s| distinction(s)).collect();
        b.check(Rule::Language, told.len() == sets.len(), || {
            format!("{kind}: two Adaptation Sets look the same")
        });
    }
    for set in &period.sets {
        b.check(Rule::Language, !set.roles.is_empty(), || {
            format!("no Role of {}", set.id)
        });
        let lang = set.lang.as_deref();
        b.check(Rule::Language, lang.is_none_or(is_language), || {
            format!("lang {lang:?}")
        });
    }
}

/// What a viewer or player chooses by.
fn distinction(set: &Set) -> (Option<&str>, Option<&str>, Vec<&str>, &str) {
    let roles = set.roles.iter().map(|r| &*r.value).collect();
    let codecs = set.representations.first().map_or("", |r| &*r.codecs);
    let family = super::settle::family(codecs);
    (set.lang.as_deref(), set.label.as_deref(), roles, family)
}

/// The form of BCP 47 (RFC 5646 2.1).
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let letters =
        |p: &str| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic());
    let rest = |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
    parts.next().is_some_and(letters) && parts.all(rest)
}

fn low(b: &mut Bench<'_>, mpd: &Mpd) {
    service(b, mpd);
    let sets = || {
        mpd.periods
            .iter()
            .flat_map(|p| p.sets.iter().map(move |s| (p, s)))
    };
    let mut ids = BTreeSet::new();
    for (period, set) in sets() {
        b.check(Rule::D4, !set.references.is_empty(), || {
            format!("{} {}: no ProducerReferenceTime", period.id, set.id)
        });
        for one in &set.references {
            b.check(Rule::D4, ids.insert((&period.id, &one.id)), || {
                format!("ProducerReferenceTime {} twice", one.id)
            });
            reference(b, mpd, (period, set), one);
        }
        let critical = set
            .properties
            .iter()
            .any(|p| p.scheme == CRITICAL && p.value == "true");
        b.check(Rule::D14, critical, || {
            format!("{} {}: no {CRITICAL}", period.id, set.id)
        });
        for one in &set.representations {
            let t = &one.template;
            let both = t.early.is_some_and(|e| e > Span::ZERO) && t.complete == Some(false);
            b.check(Rule::D7, both, || {
                let early = secs(t.early);
                format!("{}: offset {early}, complete {:?}", one.id, t.complete)
            });
            // Where segments begin as they will, nothing can be told of where one may begin.
            if set.start_with_sap.is_some() || one.resync.is_some() {
                resync(b, mpd, one);
            }
        }
    }
}

fn service(b: &mut Bench<'_>, mpd: &Mpd) {
    let Some(service) = mpd.services.iter().find(|s| s.target.is_some()) else {
        return b.check(Rule::D2, false, || "no Latency@target".to_owned());
    };
    let target = service.target.unwrap_or(0);
    let around = service.min.is_none_or(|min| min <= target)
        && service.max.is_none_or(|max| target <= max)
        && service
            .rates
            .is_none_or(|(min, max)| min <= 1_000 && 1_000 <= max);
    b.check(Rule::D2, target > 0 && around, || format!("{service:?}"));
    // dash.js seeks where it is further behind than this, and never comes out of a hole again.
    let depth = mpd.depth.map_or(0, Span::as_millis);
    let far = service.max.is_some_and(|max| max > depth + target);
    b.check(Rule::D14, far, || {
        format!(
            "Latency@max {:?} lies within the time shift buffer",
            service.max
        )
    });
}

fn reference(b: &mut Bench<'_>, mpd: &Mpd, (period, set): (&Period, &Set), one: &Reference) {
    let Some(t) = set.representations.first().map(|r| &r.template) else {
        return;
    };
    let form = ["encoder", "captured"].contains(&&*one.kind) && one.inband;
    b.check(Rule::D4, form, || format!("{}: {one:?}", set.id));
    let (presentation, start) = (one.presentation, period.start.unwrap_or(Span::ZERO));
    let at = |ticks: u64| length(t, ticks) - length(t, t.offset) + start;
    let permitted = presentation.is_some_and(|p| p == t.offset || p == 0);
    let identical = mpd.available.zip(presentation).zip(one.wall_clock);
    let identical =
        identical.is_some_and(|((zero, p), clock)| ((zero + at(p)) - clock).abs() <= ROUNDING);
    b.check(Rule::D4, permitted && identical, || {
        format!("{}: {presentation:?} is not when it is shown", set.id)
    });
    let timed = one.timing.as_ref().is_some_and(|t| mpd.timings.contains(t));
    b.check(Rule::D4, timed, || {
        format!("{}: without the UTCTiming of the MPD", set.id)
    });
}

fn resync(b: &mut Bench<'_>, mpd: &Mpd, one: &Representation) {
    let Some(resync) = one.resync else {
        return b.check(Rule::D9, false, || format!("{}: no Resync", one.id));
    };
    let distance = resync.distance.map(|ticks| length(&one.template, ticks));
    let near = distance
        .zip(mpd.target())
        .is_some_and(|(d, target)| d <= target);
    let good = matches!(resync.kind, 1 | 2) && resync.marker && near;
    b.check(Rule::D9, good, || format!("{}: {resync:?}", one.id));
}

fn classic(b: &mut Bench<'_>, mpd: &Mpd) {
    let timed = mpd.services.iter().any(|s| s.target.is_some());
    b.check(Rule::D8, !timed, || "a target latency".to_owned());
    for (set, one) in mpd.periods.iter().flat_map(Period::representations) {
        let neither = one.template.early.is_none() && one.template.complete.is_none();
        b.check(Rule::D8, neither, || {
            format!("{}: an availabilityTimeOffset", one.id)
        });
        let critical = set.properties.iter().any(|p| p.scheme == CRITICAL);
        b.check(Rule::D8, !critical, || format!("{}: {CRITICAL}", set.id));
    }
}
