//! The linter: answers of a run in, what is due next and findings out. It reads no clock and no
//! socket.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use media::{Span, Timestamp};

use super::mpd::{Mpd, Period, Representation};
use super::settle::{self, KNOWN, Taken};
use super::track::{self, Track};
use super::wanted::{Queue, Wanted, What};
use super::{Limits, Mode, Utc, answers, history, init, single};
use crate::lint::bodies::Print;
use crate::lint::ledger::Ledger;
use crate::lint::report::Report;
use crate::lint::state::State;
use crate::lint::{Answer, Rule};

/// A stream that is not live, and a number that was asked for in vain, are asked for again.
pub(super) const RETRY: Span = Span::from_millis(300);

/// Watches one stream.
#[derive(Debug)]
pub struct Linter {
    pub(super) limits: Limits,
    pub(super) mode: Mode,
    pub(super) utc: Utc,
    pub(super) ledger: Ledger,
    /// Where who joins asks.
    pub(super) address: String,
    pub(super) queue: Queue,
    pub(super) mpd: Option<Mpd>,
    /// The MPD as it was answered, and when.
    pub(super) text: Bytes,
    pub(super) at: Timestamp,
    was: State,
    pub(super) tracks: BTreeMap<String, Track>,
    pub(super) inits: HashMap<String, Option<Print>>,
    pub(super) taken: Vec<Taken>,
    pub(super) rounds: usize,
    /// SAME: whether it is served over HLS, too.
    pub(super) hls: bool,
    /// D13: whether another server has it.
    pub(super) peer: bool,
}

impl Linter {
    /// A linter for the MPD at `address`; at time zero of the run it was `utc`.
    #[must_use]
    pub fn new(address: &str, mode: Mode, limits: Limits, utc: Timestamp) -> Self {
        let mut queue = Queue::default();
        queue.push(Timestamp::ZERO, Wanted::new(What::Mpd, address));
        Self {
            limits,
            mode,
            utc: Utc(utc),
            ledger: Ledger::default(),
            address: address.to_owned(),
            queue,
            mpd: None,
            text: Bytes::new(),
            at: Timestamp::ZERO,
            was: State::NORMAL,
            tracks: BTreeMap::new(),
            inits: HashMap::new(),
            taken: Vec::new(),
            rounds: 0,
            hls: false,
            peer: false,
        }
    }

    /// The stream is in `state` from now on.
    pub fn state(&mut self, at: Timestamp, state: State) {
        // What one process knew of rates is gone with it, and another encoder's keyframes lie elsewhere.
        if self.was.and(state).meets(State::RESTART) {
            for track in self.tracks.values_mut() {
                track.peak = None;
                track.phases.clear();
            }
        }
        self.was = state;
        self.ledger.set_state(at, state);
    }

    /// A watcher that should have run at `at` ran `late` after that: nobody else ran either.
    pub fn stalled(&mut self, at: Timestamp, late: Span) {
        self.ledger.stalled(at, late);
    }

    /// The stream is served over HLS beside the MPD, too.
    pub const fn beside_hls(&mut self) {
        self.hls = true;
    }

    /// Another server has the same stream, and is asked for what is [`What::Peer`].
    pub const fn beside_peer(&mut self) {
        self.peer = true;
    }

    /// Whether there was an MPD.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.mpd.is_some()
    }

    /// What has to be asked for now, and when something is due again.
    pub fn due(&mut self, now: Timestamp) -> (Vec<Wanted>, Option<Timestamp>) {
        let mut due = self.queue.due(now);
        let mut next = self.queue.next();
        let Some(mpd) = &self.mpd else {
            return (due, next);
        };
        let utc = self.utc.of(now);
        for (id, track) in &mut self.tracks {
            for (wanted, at) in [track.fresh(mpd, id, utc), track.leaving(mpd, id, utc)] {
                due.extend(wanted);
                let at = at.map(|at| self.utc.run(at));
                next = [next, at].into_iter().flatten().min();
            }
        }
        (due, next)
    }

    /// The answer to something that was due.
    pub fn take(&mut self, wanted: &Wanted, answer: &Answer) {
        self.ledger.settle(answer.last);
        let (from, to) = (answer.sent, answer.last);
        match wanted.what {
            What::Mpd => self.refresh(wanted, answer),
            What::Join => {
                let from = from - self.after_holds();
                answers::join(&mut self.ledger.at(&wanted.uri, from, to), answer);
            }
            What::Classic => {
                let from = from - self.after_holds();
                if let Some(mpd) = &self.mpd {
                    answers::classic(&mut self.ledger.at(&wanted.uri, from, to), answer, mpd);
                }
            }
            What::Time => {
                let sent = self.utc.of(from);
                answers::time(&mut self.ledger.at(&wanted.uri, from, to), answer, sent);
            }
            What::Far => answers::far(&mut self.ledger.at(&wanted.uri, from, to), answer),
            What::Init => self.initialization(wanted, answer),
            What::Hls => self.elsewhere(Rule::Same, wanted, answer),
            What::Peer => self.elsewhere(Rule::D13, wanted, answer),
            What::Segment | What::Ahead | What::Again => self.segment(wanted, answer),
        }
    }

    fn refresh(&mut self, wanted: &Wanted, answer: &Answer) {
        let read = answer.text().map(Mpd::read);
        let since = if self.is_live() { self.at } else { answer.sent };
        let mut b = self.ledger.at(&wanted.uri, since, answer.last);
        let Some(Ok(mpd)) = read else {
            let told = read.and_then(Result::err).unwrap_or_else(|| answer.told());
            // Before it is live there is none.
            b.check(Rule::Mpd, self.mpd.is_none() && !answer.is(200), || told);
            return self.queue.push(answer.last + RETRY, wanted.clone());
        };
        b.check(Rule::Mpd, true, String::new);
        if self.mpd.is_some() {
            b.time(Rule::Mpd, "answered", answer.took(), answers::AT_ONCE);
        }
        answers::mpd(&mut b, answer, &mpd);
        if self.text != answer.body {
            single::check(&mut b, &mpd, self.mode);
        }
        if let Some(old) = &self.mpd {
            history::check(&mut b, old, &mpd, self.utc.of(answer.last));
            let since = since - self.after_holds();
            let mut b = self.ledger.at(&wanted.uri, since, answer.last);
            history::window(&mut b, old, &mpd);
        }
        self.replace(mpd, answer);
    }

    /// How long after media has come back an MPD may still show that it was away: players without
    /// low latency are four segments behind.
    fn after_holds(&self) -> Span {
        let longest = self.mpd.as_ref().and_then(|m| m.longest);
        longest.unwrap_or(Span::ZERO).times(4) + Span::from_secs(4)
    }

    fn replace(&mut self, mpd: Mpd, answer: &Answer) {
        let first = self.mpd.is_none();
        let uri = mpd.location.clone().unwrap_or_else(|| self.address.clone());
        if let Some(update) = mpd.update.filter(|_| mpd.end.is_none()) {
            let at = (answer.sent + update).max(answer.last);
            self.queue.push(at, Wanted::new(What::Mpd, &uri));
        }
        self.bandwidth(&mpd, answer);
        self.follow(&mpd, answer.last);
        (self.text, self.at) = (answer.body.clone(), answer.last);
        self.mpd = Some(mpd);
        self.settle(answer.sent);
        if first || self.rounds_over(answer.last) {
            self.probe(answer.last);
        }
    }

    fn bandwidth(&mut self, mpd: &Mpd, answer: &Answer) {
        let Some(period) = mpd.periods.last() else {
            return;
        };
        let mut b = self.ledger.at(&self.address, answer.sent, answer.last);
        for (_, one) in period.representations() {
            let track = self.tracks.get(&one.id);
            let known = track
                .and_then(|t| t.peak)
                .filter(|(_, at)| *at + KNOWN <= answer.sent);
            if let Some((peak, _)) = known {
                b.check(Rule::Bandwidth, one.bandwidth * 11 / 10 >= peak, || {
                    format!("{}: {} told, {peak} in a segment", one.id, one.bandwidth)
                });
            }
        }
    }

    /// Takes up new Representations and initialisations.
    fn follow(&mut self, mpd: &Mpd, now: Timestamp) {
        for (_, one) in mpd.periods.iter().flat_map(Period::representations) {
            let uri = &one.template.initialization;
            if !self.inits.contains_key(uri) {
                self.inits.insert(uri.clone(), None);
                self.queue
                    .push(now, Wanted::of(What::Init, uri, &one.id, 0));
            }
        }
        let Some(period) = mpd.periods.last() else {
            return;
        };
        for (_, one) in period.representations() {
            if !self.tracks.contains_key(&one.id) {
                let mut track = Track::default();
                for wanted in track.begin(mpd, &one.id, self.utc.of(now)) {
                    self.queue.push(now, wanted);
                }
                self.tracks.insert(one.id.clone(), track);
            }
        }
    }

    fn rounds_over(&self, now: Timestamp) -> bool {
        let next = self
            .limits
            .probes
            .times(i64::try_from(self.rounds).unwrap_or(i64::MAX));
        now >= Timestamp::ZERO + next
    }

    /// A round of what players ask for seldom.
    fn probe(&mut self, now: Timestamp) {
        let each = self.limits.probes.as_nanos().max(1);
        let round = (now - Timestamp::ZERO).as_nanos() / each + 1;
        self.rounds = usize::try_from(round).unwrap_or(0);
        let Some(mpd) = &self.mpd else {
            return;
        };
        let mut all = vec![Wanted::new(What::Join, &self.address)];
        let clocks = mpd.timings.iter().filter(|t| t.scheme.contains(":http-"));
        all.extend(clocks.map(|t| Wanted::new(What::Time, &t.value)));
        if self.mode == Mode::Low {
            let mark = if self.address.contains('?') { '&' } else { '?' };
            all.push(Wanted::new(
                What::Classic,
                &format!("{}{mark}ll=0", self.address),
            ));
        }
        let turn = self.rounds % self.tracks.len().max(1);
        if let Some((id, track)) = self.tracks.iter().nth(turn) {
            let of = |number, what| Some(track::promised(mpd, id, number)?.wanted(what));
            all.extend(of(track.next + 1, What::Ahead));
            all.extend(of(track.next + 1_000, What::Far));
        }
        for (_, one) in mpd.periods.iter().take(1).flat_map(Period::representations) {
            all.push(Wanted::of(
                What::Init,
                &one.template.initialization,
                &one.id,
                0,
            ));
        }
        for wanted in all {
            self.queue.push(now, wanted);
        }
    }

    fn initialization(&mut self, wanted: &Wanted, answer: &Answer) {
        let Some(mpd) = &self.mpd else {
            return;
        };
        let named = |r: &Representation| r.template.initialization == wanted.uri;
        let mut all = mpd.periods.iter().flat_map(Period::representations);
        let Some((set, one)) = all.find(|(_, r)| r.id == wanted.representation && named(r)) else {
            return;
        };
        let mut b = self.ledger.at(&wanted.uri, answer.sent, answer.last);
        b.check(Rule::Expiry, answer.is(200), || answer.told());
        if !answer.is(200) {
            return;
        }
        answers::media(&mut b, answer, &set.mime, mpd.longest.unwrap_or(Span::ZERO));
        init::check(&mut b, &answer.body, set, one);
        let print = Print::of(&answer.body);
        let known = self.inits.insert(wanted.uri.clone(), Some(print)).flatten();
        b.check(Rule::Reuse, known.is_none_or(|k| k == print), || {
            "other bytes".to_owned()
        });
    }

    /// Judges what was taken long enough before the MPD in hand was asked for.
    fn settle(&mut self, asked: Timestamp) {
        let Some(mpd) = &self.mpd else {
            return;
        };
        let (ripe, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.taken)
            .into_iter()
            .partition(|t| t.at + KNOWN <= asked);
        self.taken = waiting;
        for taken in ripe {
            if let Some(track) = self.tracks.get_mut(&taken.representation) {
                let print = |uri: &str| self.inits.get(uri).copied().flatten();
                settle::check(&mut self.ledger, track, mpd, &taken, print);
            }
        }
    }

    /// The end of the run.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.ledger.close();
        let figures = self.tracks.iter().map(|(id, t)| (id.clone(), t.figures()));
        Report {
            chunks: figures.collect(),
            ..Report::new(Rule::DASH, self.ledger)
        }
    }
}
