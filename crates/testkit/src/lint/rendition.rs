//! What is known of one media playlist: its states, its bytes, and what is still to be fetched.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use media::{Span, Timestamp};

use super::Rule;
use super::bodies::{self, Init, Origin, Placed, Track};
use super::group::Edges;
use super::ledger::Ledger;
use super::playlist::{Part, Playlist, Segment};
use super::transport::Transport;

/// What a fetched resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An initialisation section.
    Init,
    /// A part that is listed.
    Part,
    /// A part that is hinted at.
    Hint,
    /// A complete segment.
    Segment,
    /// Something that was fetched before and has left the playlist since.
    Again,
}

/// Something to fetch, and to hand to `Linter::body`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The media playlist it belongs to.
    pub playlist: String,
    /// Its URI, as the playlist has it.
    pub uri: String,
    /// What it is.
    pub what: What,
    /// Since when it ought to be there.
    pub since: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Rendition {
    pub(super) current: Option<Playlist>,
    pub(super) at: Timestamp,
    /// Edges and when they were seen.
    seen: VecDeque<(Timestamp, (u64, u64))>,
    pub(super) last_part: Option<Timestamp>,
    pub(super) edges: Edges,
    /// Between two parts, in milliseconds.
    pub(super) gaps: Vec<i64>,
    /// From first to last byte of a hinted part, in milliseconds.
    pub(super) bursts: Vec<i64>,
    asked: HashSet<String>,
    inits: HashMap<String, Init>,
    bodies: HashMap<String, Option<Bytes>>,
    failed_hints: HashMap<String, String>,
    waiting: BTreeMap<u64, Bytes>,
    judged: Option<(u64, usize)>,
    track: Track,
    transport: Transport,
}

impl Rendition {
    /// The newest edge that was seen before `at`.
    pub(super) fn before(&self, at: Timestamp) -> Option<(u64, u64)> {
        self.seen
            .iter()
            .rev()
            .find(|(seen, _)| *seen <= at)
            .map(|(_, edge)| *edge)
    }

    /// Takes a new state.
    pub(super) fn replace(&mut self, list: Playlist, at: Timestamp) {
        if let Some(edge) = list.edge() {
            self.seen.push_back((at, edge));
            if self.seen.len() > 64 {
                self.seen.pop_front();
            }
        }
        if let Some(end) = list.end() {
            self.edges.note(at, end);
        }
        let listed: HashSet<&str> = uris(&list).collect();
        self.bodies.retain(|uri, _| listed.contains(uri.as_str()));
        let first = list.first().unwrap_or(0);
        self.waiting.retain(|number, _| *number >= first);
        (self.current, self.at) = (Some(list), at);
    }

    /// What this state lists and was not fetched yet.
    pub(super) fn wanted(&mut self, playlist: &str) -> Vec<Wanted> {
        let Some(list) = &self.current else {
            return Vec::new();
        };
        let maps = list
            .segments
            .iter()
            .filter_map(|s| Some((s.map.clone()?, What::Init)));
        let hinted = list.hints.iter().map(|h| {
            let what = if h.kind == "MAP" {
                What::Init
            } else {
                What::Hint
            };
            (h.uri.clone(), what)
        });
        let parts = list
            .parts()
            .filter(|(_, p)| !p.gap)
            .map(|(_, p)| (p.uri.clone(), What::Part));
        let segments = list.segments.iter().filter(|s| !s.gap);
        let segments = segments.filter_map(|s| Some((s.uri.clone()?, What::Segment)));
        let all: Vec<_> = maps.chain(hinted).chain(parts).chain(segments).collect();
        let fresh = all
            .into_iter()
            .filter(|(uri, _)| self.asked.insert(uri.clone()));
        fresh
            .map(|(uri, what)| Wanted {
                playlist: playlist.to_owned(),
                uri,
                what,
                since: self.at,
            })
            .collect()
    }

    /// What `list` no longer lists: URIs of parts and segments.
    pub(super) fn gone(&self, list: &Playlist) -> Vec<String> {
        let Some(old) = &self.current else {
            return Vec::new();
        };
        let still: HashSet<&str> = uris(list).collect();
        let hinted = |u: &&str| !old.hints.iter().any(|h| h.uri == *u);
        uris(old)
            .filter(hinted)
            .filter(|u| !still.contains(u))
            .map(str::to_owned)
            .collect()
    }

    /// A hinted resource that was refused: fatal if it is listed later.
    pub(super) fn hint_failed(&mut self, uri: &str, told: String) {
        self.failed_hints.insert(uri.to_owned(), told);
        self.asked.remove(uri);
    }

    /// Complaints about parts that were refused as hints and are listed now.
    pub(super) fn broken_hints(&mut self) -> Vec<(String, String)> {
        let Some(list) = &self.current else {
            return Vec::new();
        };
        let failed = &mut self.failed_hints;
        let broken = list
            .parts()
            .filter_map(|(_, p)| Some((p.uri.clone(), failed.remove(&p.uri)?)));
        broken.collect()
    }

    pub(super) fn take_init(&mut self, uri: &str, bytes: &Bytes) -> bool {
        let init = Init::read(bytes);
        if let Some(init) = init {
            self.inits.insert(uri.to_owned(), init);
        }
        init.is_some()
    }

    pub(super) fn take_part(&mut self, uri: &str, bytes: Option<Bytes>) {
        self.bodies.insert(uri.to_owned(), bytes);
    }

    pub(super) fn take_segment(&mut self, uri: &str, bytes: Bytes) {
        let segments = self.current.iter().flat_map(|l| &l.segments);
        let mut of_it = segments.filter(|s| s.uri.as_deref() == Some(uri));
        if let Some(segment) = of_it.next() {
            self.waiting.insert(segment.number, bytes);
        }
    }

    /// The duration of a part that is listed.
    pub(super) fn duration_of(&self, uri: &str) -> Option<Span> {
        let mut parts = self.current.as_ref()?.parts();
        parts.find(|(_, p)| p.uri == uri).map(|(_, p)| p.duration)
    }

    /// Judges the parts whose bytes are there, in order, and the segments whose parts are.
    pub(super) fn settle(&mut self, ledger: &mut Ledger, origin: &mut Origin, now: Timestamp) {
        let Some(list) = self.current.take() else {
            return;
        };
        let mut before = None;
        'all: for segment in &list.segments {
            for (index, part) in segment.parts.iter().enumerate() {
                let place = (segment.number, index);
                if self.judged.is_none_or(|judged| place > judged) {
                    let follows = before.is_some() && before == self.judged;
                    if !self.judge(ledger, origin, (segment, part, index), follows, now) {
                        break 'all;
                    }
                    self.judged = Some(place);
                }
                before = Some(place);
            }
        }
        self.join(ledger, &list, now);
        self.current = Some(list);
    }

    /// `false` where bytes are still to come.
    fn judge(
        &mut self,
        ledger: &mut Ledger,
        origin: &mut Origin,
        (segment, part, index): (&Segment, &Part, usize),
        follows: bool,
        now: Timestamp,
    ) -> bool {
        let Some(body) = self.bodies.get(&part.uri) else {
            return part.gap;
        };
        let (Some(bytes), Some(map)) = (body, &segment.map) else {
            return true;
        };
        let Some(init) = self.inits.get(map).copied() else {
            return false;
        };
        let first = index == 0;
        let placed = Placed {
            segment,
            part,
            first,
            follows,
            init,
            bytes,
        };
        bodies::part(
            &mut ledger.at(&part.uri, self.at, now),
            &mut self.track,
            origin,
            &placed,
        );
        true
    }

    /// Segments without an initialisation section are MPEG-TS (RFC 8216 3.2); they come in any order.
    fn join_in_ts(&mut self, ledger: &mut Ledger, list: &Playlist, now: Timestamp) {
        let (transport, waiting) = (&mut self.transport, &mut self.waiting);
        for segment in list.segments.iter().filter(|s| !s.gap) {
            if transport.is_judged(segment.number) {
                continue;
            }
            let Some(bytes) = waiting.remove(&segment.number) else {
                return;
            };
            let uri = segment.uri.as_deref().unwrap_or_default();
            let of = (segment, list.independent_segments);
            transport.segment(&mut ledger.at(uri, now, now), of, &bytes);
        }
    }

    fn join(&mut self, ledger: &mut Ledger, list: &Playlist, now: Timestamp) {
        if list
            .segments
            .iter()
            .all(|s| s.map.is_none() && s.parts.is_empty())
        {
            return self.join_in_ts(ledger, list, now);
        }
        let bodies = &self.bodies;
        let independent = list.independent_segments;
        self.waiting.retain(|number, bytes| {
            let Some(segment) = list.segment(*number) else {
                return false;
            };
            let uri = segment.uri.as_deref().unwrap_or_default();
            let mut b = ledger.at(uri, now, now);
            let parts: Option<Vec<_>> = segment.parts.iter().map(|p| bodies.get(&p.uri)).collect();
            let Some(parts) = parts else {
                return true;
            };
            if let Some(parts) = parts
                .into_iter()
                .map(Option::as_ref)
                .collect::<Option<Vec<_>>>()
                && !parts.is_empty()
            {
                bodies::concatenation(&mut b, bytes, &parts);
            }
            if independent {
                bodies::independent_start(&mut b, bytes);
            }
            false
        });
    }

    /// Every part of the current state that is listed without GAP has to be there.
    pub(super) fn check_listed(
        ledger: &mut Ledger,
        uri: &str,
        there: bool,
        told: &str,
        span: (Timestamp, Timestamp),
    ) {
        let mut b = ledger.at(uri, span.0, span.1);
        b.check(Rule::H8, there, || told.to_owned());
        b.check(Rule::H30, there, || told.to_owned());
    }
}

/// Every part and segment, and the part that is hinted at.
fn uris(list: &Playlist) -> impl Iterator<Item = &str> {
    let segments = list.segments.iter().filter_map(|s| s.uri.as_deref());
    let parts = list.parts().map(|(_, p)| p.uri.as_str());
    let hinted = list.hints.iter().map(|h| h.uri.as_str());
    segments.chain(parts).chain(hinted)
}
