//! Rules about the bytes of one segment, and about when they came.

use bytes::Bytes;
use media::{Span, Timestamp};

use super::body::{Media, Piece};
use super::line::{Line, signed};
use super::mpd::{Representation, Set};
use super::{Limits, Mode, Utc};
use crate::lint::bodies::{Init, Print};
use crate::lint::ledger::{Bench, Ledger};
use crate::lint::{Answer, Rule};

/// The next `tfdt` absorbs what a last sample's nominal duration is wrong by.
const ABSORBED: Span = Span::from_millis(40);
/// Ranges of presentation times of two chunks may have so much in common.
const OVERLAP: Span = Span::from_millis(2);
/// `prft` counts fractions of its own.
const ROUNDING: Span = Span::from_millis(1);

/// What is known of the media of a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) print: Print,
    /// Earliest presentation time, UTC.
    pub(super) start: Timestamp,
    /// Decode times: where it begins, of its newest sample, where it ends.
    pub(super) from: Timestamp,
    pub(super) newest: Timestamp,
    pub(super) until: Timestamp,
    /// The longest chunk.
    pub(super) chunk: Span,
    /// First and last point at which decoding can start.
    pub(super) points: Option<(Timestamp, Timestamp)>,
    /// Bits per second.
    pub(super) rate: u64,
}

/// Everything that a segment is looked at with.
pub(super) struct Segment<'a> {
    pub(super) uri: &'a str,
    pub(super) set: &'a Set,
    pub(super) representation: &'a Representation,
    pub(super) line: Line,
    pub(super) mode: Mode,
    pub(super) limits: Limits,
    pub(super) utc: Utc,
    pub(super) answer: &'a Answer,
    pub(super) media: &'a Media,
}

/// Milliseconds, of chunks that were waited for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) gaps: Vec<i64>,
    pub(super) behind: Vec<i64>,
}

impl Segment<'_> {
    fn timescale(&self) -> u32 {
        let own = self.media.init.as_ref().and_then(Init::read);
        own.map_or(self.representation.template.timescale, |init| {
            init.timescale
        })
    }

    /// UTC of a media time.
    fn at(&self, ticks: i64) -> Timestamp {
        self.line.shown(ticks, self.timescale())
    }

    fn ends(&self, piece: &Piece) -> (Timestamp, Timestamp) {
        let (start, end) = piece.range();
        (self.at(signed(start)), self.at(signed(end)))
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        let chunks = &self.media.chunks;
        let (first, last) = (chunks.first()?, chunks.last()?);
        let shown = chunks.iter().flat_map(Piece::samples).map(|(at, _)| at);
        let newest = last
            .chunk
            .samples
            .last()
            .map_or(0, |s| u64::from(s.duration));
        let lasts: u64 = chunks.iter().map(|p| p.chunk.duration()).sum();
        let lasts = Span::from_ticks(signed(lasts), self.timescale());
        let lengths = chunks.iter().map(|p| p.chunk.duration());
        let longest = Span::from_ticks(signed(lengths.max()?), self.timescale());
        let mut points = self.points();
        Some(Seen {
            print: Print::of(&self.media.bytes),
            start: self.at(shown.min()?),
            from: self.ends(first).0,
            newest: self.at(signed(last.range().1 - newest)),
            until: self.ends(last).1,
            chunk: longest,
            points: points
                .next()
                .map(|first| (first, points.last().unwrap_or(first))),
            rate: rate(&self.media.bytes, lasts),
        })
    }

    /// Where decoding can start: at a keyframe; sound, where a chunk begins.
    fn points(&self) -> impl Iterator<Item = Timestamp> {
        let video = self.set.kind == "video";
        let of = move |p: &Piece| {
            let samples = p.samples().take(if video { usize::MAX } else { 1 });
            samples
                .filter(|(_, key)| *key)
                .map(|(at, _)| at)
                .collect::<Vec<_>>()
        };
        self.media
            .chunks
            .iter()
            .flat_map(of)
            .map(|ticks| self.at(ticks))
    }

    pub(super) fn check(&self, b: &mut Bench<'_>) {
        let Media {
            odd,
            events,
            chunks,
            ..
        } = self.media;
        b.check(Rule::D6, odd.is_empty(), || {
            format!("boxes where they should not be: {odd:?}")
        });
        b.check(Rule::D11, !events, || "emsg".to_owned());
        let video_starts = chunks.first().and_then(|p| p.samples().next());
        let key = video_starts.is_some_and(|(_, key)| key);
        let claimed = matches!(self.set.start_with_sap, Some(1 | 2));
        b.check(Rule::Sap, key || !claimed, || {
            "begins with a frame that needs others".to_owned()
        });
        self.order(b);
        self.density(b);
        if self.mode == Mode::Low {
            self.opening(b);
        }
    }

    /// Chunks follow each other.
    fn order(&self, b: &mut Bench<'_>) {
        let chunks = &self.media.chunks;
        let whole = self.line.duration();
        let lasts = chunks
            .last()
            .map(|p| self.ends(p).1 - self.ends(&chunks[0]).0);
        let short = lasts.is_none_or(|l| l.times(2) < whole);
        let several = chunks.len() > 1 || short || self.mode == Mode::Classic;
        b.check(Rule::D6, several, || "one chunk".to_owned());
        for pair in chunks.windows(2) {
            let [old, new] = pair else { continue };
            let (end, start) = (self.ends(old).1, self.ends(new).0);
            hole(b, end, start);
            if is_in_order(old) && is_in_order(new) {
                b.check(Rule::D6, start >= end - OVERLAP, || {
                    format!("two chunks overlap by {} ms", (end - start).as_millis())
                });
            }
        }
    }

    /// D9: how far it is from one point to the next.
    fn density(&self, b: &mut Bench<'_>) {
        let points: Vec<_> = self.points().collect();
        for pair in points.windows(2) {
            self.near(b, pair[1] - pair[0]);
        }
        let lasts = self.media.chunks.iter().map(|p| self.ends(p));
        let lasts = lasts
            .map(|(start, end)| end - start)
            .fold(Span::ZERO, |a, z| a + z);
        if points.is_empty() {
            // The one before it lies before its first frame.
            self.near(b, lasts + ROUNDING + ROUNDING);
        }
    }

    fn near(&self, b: &mut Bench<'_>, distance: Span) {
        let most = self.representation.resync.and_then(|r| r.distance);
        let Some(most) = most else {
            return;
        };
        let most = Span::from_ticks(signed(most), self.timescale());
        b.check(Rule::D9, distance <= most + ROUNDING, || {
            format!("{} ms without a point to start at", distance.as_millis())
        });
    }

    /// Against the segment before it.
    pub(super) fn follow(&self, b: &mut Bench<'_>, old: &Seen, new: &Seen) {
        b.check(Rule::D6, new.from > old.newest, || {
            format!(
                "decode times go back by {} ms",
                (old.newest - new.from).as_millis()
            )
        });
        hole(b, old.until, new.from);
        if let Some(((_, old), (new, _))) = old.points.zip(new.points) {
            self.near(b, new - old);
        }
    }

    /// `styp` and `prft`, and that the latter agrees with the MPD and with the clock.
    fn opening(&self, b: &mut Bench<'_>) {
        let Some(first) = self.media.chunks.first() else {
            return;
        };
        b.check(Rule::D6, first.styp, || "no styp".to_owned());
        let inband = self.set.references.iter().any(|r| r.inband);
        let Some(reference) = first.reference else {
            return b.check(Rule::D4, !inband, || "no prft".to_owned());
        };
        let shown = first.samples().next().map(|(ticks, _)| ticks);
        b.check(Rule::D4, shown == Some(signed(reference.media)), || {
            format!(
                "prft of {}, the first sample is at {shown:?}",
                reference.media
            )
        });
        let due = self.at(signed(reference.media));
        b.check(Rule::D4, (reference.utc - due).abs() <= ROUNDING, || {
            format!(
                "prft is {} ms from when it is shown",
                (reference.utc - due).as_millis()
            )
        });
        let early = reference.utc - self.utc.of(self.answer.first);
        b.check(
            Rule::D4,
            early <= self.limits.lead + self.limits.slack,
            || format!("prft lies {} ms ahead", early.as_millis()),
        );
    }

    /// Each chunk comes when its media is over, and not together with others.
    pub(super) fn pace(&self, ledger: &mut Ledger) -> Waits {
        let mut waits = Waits::default();
        let sent = self.answer.sent;
        let mut last: Option<Timestamp> = None;
        let mut together = 0;
        for piece in &self.media.chunks {
            let arrived = self.answer.arrived(piece.end);
            let (start, end) = self.ends(piece);
            let due = self.utc.run(end).max(sent);
            let late = arrived - due;
            let from = self.utc.run(start).min(arrived);
            let mut b = ledger.at(self.uri, from, arrived);
            b.time(
                Rule::Pace,
                "a chunk behind its media",
                late,
                self.limits.behind,
            );
            if due == sent {
                continue;
            }
            waits.behind.push(late.as_millis());
            if let Some(last) = last.replace(arrived) {
                waits.gaps.push((arrived - last).as_millis());
                together += usize::from(arrived == last);
                let most = end - start + self.limits.slack;
                b.time(Rule::Pace, "between two chunks", arrived - last, most);
            }
        }
        let all = waits.behind.len();
        let mut b = ledger.at(self.uri, sent, self.answer.last);
        b.check(Rule::Pace, together <= 1 + all / 5, || {
            format!("{together} of {all} chunks came with the one before")
        });
        waits
    }
}

fn hole(b: &mut Bench<'_>, end: Timestamp, start: Timestamp) {
    b.check(Rule::Media, start - end <= ABSORBED, || {
        format!("a hole of {} ms", (start - end).as_millis())
    });
}

/// Whether frames are shown in the order in which they are decoded.
fn is_in_order(piece: &Piece) -> bool {
    piece.chunk.samples.iter().all(|s| s.composition == 0)
}

fn rate(bytes: &Bytes, lasts: Span) -> u64 {
    let bits = i128::from(signed(bytes.len() as u64)) * 8;
    let nanos = i128::from(lasts.as_nanos().max(1));
    u64::try_from(bits * 1_000_000_000 / nanos).unwrap_or(0)
}
