//! The linter's part about answers to numbers.

use media::{Span, Timestamp};

use super::answers;
use super::body::{Body, Media};
use super::line::Line;
use super::linter::{Linter, RETRY};
use super::mpd::{Mpd, Period};
use super::segment::{Seen, Segment};
use super::settle::Taken;
use super::track::{self, Kept, Promised, Track};
use super::wanted::{Wanted, What};
use crate::lint::bodies::Print;
use crate::lint::{Answer, Rule};

/// How often a number is asked for in vain.
const TRIES: u32 = 5;
/// Of how many numbers one is compared with HLS and with a peer.
const SAMPLE: u64 = 4;
/// HLS has a segment once its last part is published.
const PUBLISHED: Span = Span::from_secs(1);

impl Linter {
    pub(super) fn segment(&mut self, wanted: &Wanted, answer: &Answer) {
        let Some(mpd) = self.mpd.take() else {
            return;
        };
        if let Some(mut track) = self.tracks.remove(&wanted.representation) {
            if let Some(found) = asked(&mpd, wanted) {
                self.number(&mut track, wanted, &found, answer);
            }
            self.tracks.insert(wanted.representation.clone(), track);
        }
        self.mpd = Some(mpd);
    }

    fn number(&mut self, track: &mut Track, w: &Wanted, found: &Promised<'_>, answer: &Answer) {
        let known = track.numbers.get(&w.number).cloned();
        let since = known.as_ref().map_or(answer.sent, |k| k.at);
        let rule = if w.what == What::Again {
            Rule::Expiry
        } else {
            Rule::D12
        };
        let mut b = self.ledger.at(&w.uri, since, answer.last);
        b.check(rule, answer.is(200), || answer.told());
        if !answer.is(200) {
            if w.what == What::Segment && w.tries < TRIES {
                let tries = w.tries + 1;
                self.queue
                    .push(answer.last + RETRY, Wanted { tries, ..w.clone() });
            }
            return;
        }
        match Body::read(&answer.body) {
            Err(why) => b.check(Rule::D6, false, || why),
            Ok(Body::Filler) => self.filler(track, w, found, answer, known.as_ref()),
            Ok(Body::Media(media)) => {
                self.media(track, w, found, (answer, &media), known.as_ref());
            }
        }
    }

    fn filler(
        &mut self,
        track: &mut Track,
        w: &Wanted,
        found: &Promised<'_>,
        answer: &Answer,
        known: Option<&Kept>,
    ) {
        let had = known.is_some_and(|k| k.seen.is_some() && k.uri == w.uri);
        let mut b = self
            .ledger
            .at(&w.uri, known.map_or(answer.sent, |k| k.at), answer.last);
        b.check(Rule::Filler, !had, || "there was media".to_owned());
        answers::filler(&mut b, answer);
        let whole = found.line.duration();
        let nominal = self.utc.run(found.line.nominal(w.number)).max(answer.sent);
        // Until half of the next number has passed without media, and then some.
        let half = Span::from_nanos(whole.as_nanos() / 2);
        let most = (half + Span::from_secs(1)).max(whole + half) + self.limits.slack;
        b.time(Rule::Filler, "no media", answer.last - nominal, most);
        self.taken(w, found, answer, None);
        let kept = Kept {
            at: answer.last,
            uri: w.uri.clone(),
            seen: None,
        };
        track.numbers.entry(w.number).or_insert(kept);
    }

    fn media(
        &mut self,
        track: &mut Track,
        w: &Wanted,
        found: &Promised<'_>,
        (answer, media): (&Answer, &Media),
        known: Option<&Kept>,
    ) {
        let segment = Segment {
            uri: &w.uri,
            set: found.set,
            representation: found.representation,
            line: found.line,
            mode: self.mode,
            limits: self.limits,
            utc: self.utc,
            answer,
            media,
        };
        let Some(seen) = segment.seen() else {
            return;
        };
        let mut b = self
            .ledger
            .at(&w.uri, known.map_or(answer.sent, |k| k.at), answer.last);
        let empty = known.is_some_and(|k| k.seen.is_none() && k.uri == w.uri);
        b.check(Rule::Filler, !empty, || "there was no media".to_owned());
        answers::media(&mut b, answer, &found.set.mime, found.line.duration());
        let old = known.and_then(|k| k.seen);
        let same = old.is_none_or(|old| old.print == seen.print);
        b.check(Rule::Reuse, same, || "other bytes than before".to_owned());
        if w.what != What::Again {
            track.waited(segment.pace(&mut self.ledger));
            let own = media.init.as_ref().map(Print::of);
            self.taken(w, found, answer, Some((seen, own)));
        }
        if old.is_none() {
            self.fresh(track, w, &segment, &seen);
        }
    }

    /// Media of a number that was not seen before.
    fn fresh(&mut self, track: &mut Track, w: &Wanted, segment: &Segment<'_>, seen: &Seen) {
        let answer = segment.answer;
        segment.check(&mut self.ledger.at(&w.uri, answer.sent, answer.last));
        // Of what was there before us some is looked at, and nobody told of its holes.
        if w.what != What::Again {
            self.neighbours(track, w, segment, seen);
            track.note(seen, segment.line.duration(), answer.last);
            self.compare(w, answer.last);
        }
        let kept = Kept {
            at: answer.last,
            uri: w.uri.clone(),
            seen: Some(*seen),
        };
        track.numbers.insert(w.number, kept);
    }

    /// The numbers around it, and the same number of other Representations.
    fn neighbours(&mut self, track: &Track, w: &Wanted, segment: &Segment<'_>, seen: &Seen) {
        let mut b = self
            .ledger
            .at(&w.uri, segment.answer.sent, segment.answer.last);
        let of = |track: &Track, n: u64| track.numbers.get(&n).and_then(|k| k.seen);
        if let Some(old) = w.number.checked_sub(1).and_then(|n| of(track, n)) {
            segment.follow(&mut b, &old, seen);
        }
        if let Some(next) = of(track, w.number + 1) {
            segment.follow(&mut b, seen, &next);
        }
        for (id, other) in &self.tracks {
            let Some(theirs) = of(other, w.number) else {
                continue;
            };
            // Sound begins where a frame of it does.
            let beside = segment.set.representations.iter().any(|r| r.id == *id);
            let most = Span::from_millis(if beside && segment.set.aligned {
                10
            } else {
                100
            });
            let off = seen.start - theirs.start;
            b.check(Rule::Aligned, off.abs() <= most, || {
                format!("{} begins {} ms apart from {id}", w.number, off.as_millis())
            });
        }
    }

    fn taken(
        &mut self,
        w: &Wanted,
        found: &Promised<'_>,
        answer: &Answer,
        media: Option<(Seen, Option<Print>)>,
    ) {
        if w.what != What::Segment {
            return;
        }
        let (begin, end) = (
            found.line.nominal(w.number),
            found.line.nominal(w.number + 1),
        );
        self.taken.push(Taken {
            representation: w.representation.clone(),
            number: w.number,
            uri: w.uri.clone(),
            initialization: found.representation.template.initialization.clone(),
            codecs: found.representation.codecs.clone(),
            at: answer.last,
            span: (self.utc.run(begin), self.utc.run(end)),
            media,
        });
    }

    /// Asks for the same number elsewhere.
    fn compare(&mut self, w: &Wanted, now: Timestamp) {
        if !w.number.is_multiple_of(SAMPLE) {
            return;
        }
        let plain = w.uri.split('?').next().unwrap_or_default();
        let of = |what, uri| Wanted::of(what, uri, &w.representation, w.number);
        let hls = self.hls.then(|| of(What::Hls, plain));
        let peer = self.peer.then(|| of(What::Peer, &w.uri));
        for wanted in hls.into_iter().chain(peer) {
            self.queue.push(now + PUBLISHED, wanted);
        }
    }

    /// The same number from elsewhere.
    pub(super) fn elsewhere(&mut self, rule: Rule, wanted: &Wanted, answer: &Answer) {
        let track = self.tracks.get(&wanted.representation);
        let seen = track.and_then(|t| t.numbers.get(&wanted.number)?.seen);
        if let Some(seen) = seen {
            let same = answer.is(200) && Print::of(&answer.body) == seen.print;
            let mut b = self.ledger.at(&wanted.uri, answer.sent, answer.last);
            b.check(rule, same, || {
                format!("{}, {} bytes", answer.told(), answer.body.len())
            });
        }
    }
}

/// The promise under which a number was asked for; where its Period has left meanwhile, the one that
/// holds now.
fn asked<'a>(mpd: &'a Mpd, w: &Wanted) -> Option<Promised<'a>> {
    let named = |p: &&Period| {
        let found = p.find(&w.representation);
        found
            .is_some_and(|(_, r)| r.template.first <= w.number && r.template.uri(w.number) == w.uri)
    };
    let Some(period) = mpd.periods.iter().rev().find(named) else {
        return track::promised(mpd, &w.representation, w.number).filter(|p| p.number == w.number);
    };
    let (set, representation) = period.find(&w.representation)?;
    Some(Promised {
        set,
        representation,
        line: Line::of(mpd, period, &representation.template)?,
        number: w.number,
    })
}
