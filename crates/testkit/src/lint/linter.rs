//! The linter: events of a run in, findings out. It reads no clock and no socket.

use std::collections::BTreeMap;

use bytes::Bytes;
use media::{Span, Timestamp};
use quick_m3u8::config::ParsingOptions;
use quick_m3u8::{HlsLine, Reader};

use super::answers::{self, Answer, Directives, Probe};
use super::bodies::{Origin, Prints};
use super::group::{self, Other};
use super::ledger::{Bench, Ledger};
use super::playlist::Playlist;
use super::rendition::{Rendition, Wanted, What};
use super::report::{Figures, Report};
use super::state::State;
use super::{Rule, history, single};

/// What is allowed beyond the letter of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// H6 and H23: what the encoder's pacing and the loopback add to a part target.
    pub slack: Span,
    /// ALIGNED: how much of the sound of a source may not have come when its pictures end.
    pub ragged: Span,
}

impl Limits {
    /// With nothing else beyond the letter.
    #[must_use]
    pub const fn of_slack(slack: Span) -> Self {
        Self {
            slack,
            ragged: Span::ZERO,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of_slack(Span::from_millis(50))
    }
}

/// How long before the promised end something that left the playlist is asked for again.
const BEFORE_END: Span = Span::from_millis(400);

/// Watches one stream.
#[derive(Debug, Default)]
pub struct Linter {
    limits: Limits,
    ledger: Ledger,
    playlists: Vec<String>,
    renditions: BTreeMap<String, Rendition>,
    prints: Prints,
    origin: Origin,
    again: BTreeMap<(Timestamp, String), Wanted>,
}

impl Linter {
    /// A linter that allows `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The stream is in `state` from now on.
    pub fn state(&mut self, at: Timestamp, state: State) {
        self.ledger.set_state(at, state);
    }

    /// A watcher that should have run at `at` ran `late` after that: nobody else ran either.
    pub fn stalled(&mut self, at: Timestamp, late: Span) {
        self.ledger.stalled(at, late);
    }

    /// The multivariant playlist; tells the media playlists.
    pub fn multivariant(&mut self, uri: &str, answer: &Answer) -> Vec<String> {
        let mut b = self.ledger.at(uri, answer.sent, answer.last);
        b.check(Rule::Serve, answer.is(200), || answer.told());
        let Some(text) = answer.text() else {
            return Vec::new();
        };
        understood(&mut b, text);
        let found = group::playlists(&mut b, text);
        for one in &found {
            self.renditions.entry(one.clone()).or_default();
        }
        self.playlists.clone_from(&found);
        found
    }

    /// What a follower of `playlist` asks for next; `None` before the first answer, after one that
    /// was no playlist, and where nothing is promised about blocking reloads.
    #[must_use]
    pub fn next(&self, playlist: &str) -> Option<(u64, u64)> {
        let list = self.renditions.get(playlist)?.current.as_ref()?;
        list.control.as_ref().and_then(|_| list.next())
    }

    /// Whether `playlist` has come to its end.
    #[must_use]
    pub fn ended(&self, playlist: &str) -> bool {
        let current = self
            .renditions
            .get(playlist)
            .and_then(|r| r.current.as_ref());
        current.is_some_and(|l| l.ended)
    }

    /// A media playlist as a follower got it, in order. Tells what to fetch.
    pub fn playlist(&mut self, uri: &str, asked: Directives, answer: &Answer) -> Vec<Wanted> {
        self.ledger.settle(answer.last);
        let Some(text) = answer.text() else {
            self.not_served(uri, asked, answer);
            return Vec::new();
        };
        let list = Playlist::read(text);
        let Some(mut rendition) = self.renditions.remove(uri) else {
            return Vec::new();
        };
        self.check_list(uri, &rendition, (asked, answer, text), &list);
        self.check_progress(uri, &mut rendition, answer, &list);
        self.plan_again(uri, &rendition, &list, answer.last);
        rendition.replace(list, answer.last);
        for (part, told) in rendition.broken_hints() {
            let mut b = self.ledger.at(&part, answer.sent, answer.last);
            b.check(Rule::H19, false, || {
                format!("the hint was answered: {told}")
            });
        }
        let wanted = rendition.wanted(uri);
        rendition.settle(&mut self.ledger, &mut self.origin, answer.last);
        self.renditions.insert(uri.to_owned(), rendition);
        wanted
    }

    fn check_list(
        &mut self,
        uri: &str,
        rendition: &Rendition,
        (asked, answer, text): (Directives, &Answer, &str),
        list: &Playlist,
    ) {
        let old_at = rendition
            .current
            .as_ref()
            .map_or(answer.sent, |_| rendition.at);
        let others: Vec<_> = others(&self.playlists, &self.renditions, uri, answer.sent).collect();
        let mut b = self.ledger.at(uri, old_at.min(answer.sent), answer.last);
        b.check(Rule::Serve, true, String::new);
        understood(&mut b, text);
        answers::reload(&mut b, asked, answer, list);
        single::check(&mut b, list);
        if let Some(old) = &rendition.current {
            history::check(&mut b, old, list);
        }
        let ragged = self.limits.ragged;
        group::check(&mut b, (uri, list), (&others, ragged), &self.playlists);
        if let Some((end, target)) = list.end().zip(longest_target(list, &others)) {
            let allowed = (target, self.limits.slack);
            group::keep_step(&mut b, &rendition.edges, end, answer.last, allowed, &others);
        }
    }

    fn check_progress(
        &mut self,
        uri: &str,
        rendition: &mut Rendition,
        answer: &Answer,
        list: &Playlist,
    ) {
        let old = rendition.current.as_ref();
        let newest = |l: &Playlist| l.newest_part().map(str::to_owned);
        let part = newest(list);
        if part.is_none() || old.is_some_and(|old| newest(old) == part) {
            return;
        }
        if let Some(last) = rendition.last_part {
            rendition.gaps.push((answer.last - last).as_millis());
            let mut b = self.ledger.at(uri, last, answer.last);
            history::cadence(&mut b, list, last, answer.last, self.limits.slack);
        }
        rendition.last_part = Some(answer.last);
    }

    fn plan_again(&mut self, uri: &str, rendition: &Rendition, list: &Playlist, at: Timestamp) {
        let due = at + list.target().times(3) - BEFORE_END;
        for gone in rendition.gone(list) {
            let wanted = Wanted {
                playlist: uri.to_owned(),
                uri: gone.clone(),
                what: What::Again,
                since: rendition.at,
            };
            self.again.insert((due, gone), wanted);
        }
    }

    fn not_served(&mut self, uri: &str, asked: Directives, answer: &Answer) {
        let target = self.target(uri);
        let mut b = self.ledger.at(uri, answer.sent, answer.last);
        match answer.status {
            Some(503) if asked.msn.is_some() && answer.took() >= target.times(3) - BEFORE_END => {
                b.check(Rule::H13, true, String::new);
            }
            Some(400) => b.check(Rule::H10, false, || format!("{asked:?}: {}", answer.told())),
            _ => b.check(Rule::Serve, false, || answer.told()),
        }
        if answer.status.is_some() {
            answers::refused(&mut b, answer, asked.msn.is_some(), target);
        }
    }

    /// What has to be asked for again by now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Wanted> {
        let later = self.again.split_off(&(now, String::new()));
        std::mem::replace(&mut self.again, later)
            .into_values()
            .collect()
    }

    /// Something that was wanted.
    pub fn body(&mut self, wanted: &Wanted, answer: &Answer) {
        let target = self.target(&wanted.playlist);
        let Some(mut rendition) = self.renditions.remove(&wanted.playlist) else {
            return;
        };
        if answer.is(200) {
            let mut b = self.ledger.at(&wanted.uri, answer.sent, answer.last);
            answers::media(&mut b, answer, target);
            self.prints.check(&mut b, &wanted.uri, &answer.body);
        }
        self.take(&mut rendition, wanted, answer);
        rendition.settle(&mut self.ledger, &mut self.origin, answer.last);
        self.renditions.insert(wanted.playlist.clone(), rendition);
    }

    fn take(&mut self, rendition: &mut Rendition, wanted: &Wanted, answer: &Answer) {
        let uri = &wanted.uri;
        let body = answer.is(200).then(|| answer.body.clone());
        if wanted.what == What::Hint {
            return self.take_hint(rendition, uri, answer);
        }
        let span = (wanted.since, answer.last);
        Rendition::check_listed(&mut self.ledger, uri, body.is_some(), &answer.told(), span);
        match (wanted.what, body) {
            (What::Init, Some(bytes)) => {
                let read = rendition.take_init(uri, &bytes);
                let mut b = self.ledger.at(uri, answer.sent, answer.last);
                b.check(Rule::H7, read, || "no initialisation section".to_owned());
            }
            (What::Part, body) => rendition.take_part(uri, body),
            (What::Segment, Some(bytes)) => rendition.take_segment(uri, bytes),
            _ => {}
        }
    }

    fn take_hint(&mut self, rendition: &mut Rendition, uri: &str, answer: &Answer) {
        let mut b = self.ledger.at(uri, answer.sent, answer.last);
        if !answer.is(200) {
            // What was hinted at in vain is unknown then; what is listed after all breaks H19.
            let unknown = answer.is(404) || answer.is(503) || answer.status.is_none();
            b.check(Rule::H20, unknown, || {
                format!("an abandoned hint: {}", answer.told())
            });
            return rendition.hint_failed(uri, answer.told());
        }
        let part = rendition.current.as_ref().and_then(|l| l.part_target);
        let duration = rendition
            .duration_of(uri)
            .or(part)
            .unwrap_or(Span::from_millis(200));
        answers::burst(&mut b, answer, duration);
        rendition
            .bursts
            .push((answer.last - answer.first).as_millis());
        rendition.take_part(uri, Some(answer.body.clone()));
    }

    /// A request that had to be refused.
    pub fn probe(&mut self, playlist: &str, probe: Probe, answer: &Answer) {
        let target = self.target(playlist);
        let mut b = self.ledger.at(playlist, answer.sent, answer.last);
        answers::probe(&mut b, probe, answer, target);
    }

    /// A reload that asked for the oldest number; `None` of the playlist is known before.
    pub fn old(&mut self, playlist: &str, answer: &Answer) {
        let known = self
            .renditions
            .get(playlist)
            .and_then(|r| r.current.as_ref());
        // Only what was there when it was asked must be in it.
        let Some(known) = known.filter(|_| self.renditions[playlist].at <= answer.sent) else {
            return;
        };
        let mut b = self.ledger.at(playlist, answer.sent, answer.last);
        answers::old(&mut b, answer, known);
    }

    /// One state, asked for plainly, compressed and as a delta update.
    pub fn same(&mut self, playlist: &str, [plain, gzip, delta]: [&Answer; 3]) {
        let mut b = self.ledger.at(playlist, plain.sent, delta.last);
        answers::same(&mut b, plain, gzip, delta);
    }

    /// The classic face of a media playlist.
    pub fn classic(&mut self, playlist: &str, answer: &Answer) {
        let known = self
            .renditions
            .get(playlist)
            .and_then(|r| r.current.as_ref());
        if let Some((known, text)) = known.zip(answer.text()) {
            let mut b = self.ledger.at(playlist, answer.sent, answer.last);
            answers::classic(&mut b, text, known);
        }
    }

    /// The first `whole.len()` bytes of a resource, asked for as a range, beside what is known.
    pub fn range(&mut self, uri: &str, answer: &Answer, whole: &Bytes) {
        let mut b = self.ledger.at(uri, answer.sent, answer.last);
        let same = answer.is(206) && whole.starts_with(&answer.body) && !answer.body.is_empty();
        b.check(Rule::H26, same, || format!("a range: {}", answer.told()));
    }

    /// The newest state of a media playlist.
    #[must_use]
    pub fn current(&self, playlist: &str) -> Option<&Playlist> {
        self.renditions.get(playlist)?.current.as_ref()
    }

    fn target(&self, playlist: &str) -> Span {
        let list = self.current(playlist);
        list.map_or(Span::from_secs(2), |l| l.target().max(Span::from_secs(1)))
    }

    /// The end of the run, at `now`.
    #[must_use]
    pub fn finish(mut self, now: Timestamp) -> Report {
        for (uri, rendition) in &self.renditions {
            let Some(list) = rendition.current.as_ref().filter(|l| !l.ended) else {
                continue;
            };
            if let Some(last) = rendition.last_part {
                let mut b = self.ledger.at(uri, last, now);
                history::cadence(&mut b, list, last, now, self.limits.slack);
            }
        }
        self.ledger.close();
        let figures = self
            .renditions
            .iter()
            .map(|(uri, r)| (uri.clone(), Figures::of(r)));
        Report {
            figures: figures.collect(),
            ..Report::new(Rule::HLS, self.ledger)
        }
    }
}

fn others<'a>(
    playlists: &'a [String],
    renditions: &'a BTreeMap<String, Rendition>,
    uri: &str,
    sent: Timestamp,
) -> impl Iterator<Item = Other<'a>> {
    let uri = uri.to_owned();
    playlists
        .iter()
        .filter(move |p| **p != uri)
        .filter_map(move |p| {
            let rendition = renditions.get(p)?;
            let before = rendition.before(sent);
            Some(Other {
                uri: p,
                before,
                now: rendition.current.as_ref()?,
                edges: &rendition.edges,
            })
        })
}

fn longest_target(list: &Playlist, others: &[Other<'_>]) -> Option<Span> {
    let targets = others.iter().filter_map(|o| o.now.part_target);
    targets.chain(list.part_target).max()
}

/// A second opinion on the grammar, by a parser that is not ours.
fn understood(b: &mut Bench<'_>, text: &str) {
    let mut reader = Reader::from_str(text, ParsingOptions::default());
    loop {
        match reader.read_line() {
            Ok(None) => return,
            Ok(Some(HlsLine::UnknownTag(tag))) => {
                let line = String::from_utf8_lossy(tag.as_bytes()).into_owned();
                b.check(Rule::Grammar, tag.validation_error().is_none(), || line);
            }
            Ok(Some(_)) => {}
            Err(e) => b.check(Rule::Grammar, false, || {
                format!("{}: {}", e.errored_line, e.error)
            }),
        }
    }
}
