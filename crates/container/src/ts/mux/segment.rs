//! Pieces that any node makes alone and that follow each other as one stream.

use bytes::BytesMut;
use media::{Frame, Span, Timestamp};

use super::packets::{self, Marks};
use super::{Mux, payload, pes};

/// Continuity counters have four bits.
const ROUND: i64 = 16;
/// So much media at most is between tables, a quarter of a second.
const SPREAD: Span = Span::from_secs(4);

impl Mux {
    /// Appends a whole segment of these frames, in their order. Segments made by any nodes, each of
    /// its own frames alone, follow each other without a continuity error, whatever this `Mux`
    /// wrote before: every counter is 0 where a segment begins and comes round to 0 where it ends.
    ///
    /// * The last frames of each track are spread over so many packets, together up to 15 more than
    ///   they need, each with its header and some of its payload in the first one.
    /// * Tables come at the start and then at equal distances of at most 250 ms, 16 of them, or 32 …
    ///
    /// That holds while the tracks are the same.
    pub fn segment<'a>(
        &mut self,
        frames: impl Iterator<Item = &'a Frame> + Clone,
        out: &mut BytesMut,
    ) {
        self.clock.begin();
        self.count_from_zero();
        self.find_tails(frames.clone());
        let mut spread = Spread::over(frames.clone().map(|f| f.dts));
        for (number, frame) in frames.enumerate() {
            for _ in 0..spread.due(frame.dts) {
                self.tables(out);
            }
            let stream = self.streams.iter().position(|s| s.track == frame.track);
            if let Some(at) = stream {
                let round = self.streams[at].tail.round(number);
                self.write(at, frame, round, out);
            }
        }
        for _ in 0..spread.left() {
            self.tables(out);
        }
    }

    fn count_from_zero(&mut self) {
        (self.pat.counter, self.pmt.counter) = (0, 0);
        for stream in &mut self.streams {
            stream.counter = 0;
        }
    }

    fn find_tails<'a>(&mut self, frames: impl Iterator<Item = &'a Frame>) {
        for stream in &mut self.streams {
            stream.tail = Tail::default();
        }
        for (number, frame) in frames.enumerate() {
            let stream = self.streams.iter_mut().find(|s| s.track == frame.track);
            if let Some(stream) = stream
                && let Some(bytes) = payload::measure(&stream.entry.shape, frame, &mut self.scratch)
            {
                stream.tail.push(number, bytes);
            }
        }
    }
}

/// So many frames share the packets that bring a counter round: small ones have no room for all.
const TAIL: usize = 4;

/// The last frames of a stream in a segment, oldest first, with the packets that each needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tail {
    frames: [Option<(usize, usize)>; TAIL],
}

impl Tail {
    fn push(&mut self, number: usize, payload: usize) {
        self.frames.rotate_left(1);
        let bytes = pes::HEADER + payload;
        self.frames[TAIL - 1] = Some((number, packets::needed(Marks::default(), bytes)));
    }

    fn round(&self, number: usize) -> Round {
        let is_it = |f: &Option<(usize, usize)>| f.is_some_and(|(n, _)| n == number);
        match self.frames.iter().position(is_it) {
            None => Round::Not,
            Some(at) if at == TAIL - 1 => Round::Last,
            Some(at) => {
                let later = self.frames[at + 1..].iter().flatten();
                Round::Before(later.map(|(_, packets)| packets).sum())
            }
        }
    }
}

/// How a frame's packets are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// As many as it needs.
    Not,
    /// As many more as its payload has bytes for, so that the counter comes round with so many
    /// packets of the frames behind it.
    Before(usize),
    /// So many that the counter comes round.
    Last,
}

impl Round {
    pub(super) fn packets(self, counter: u8, needed: usize, payload: usize) -> usize {
        let (later, most) = match self {
            Self::Not => return needed,
            Self::Before(later) => (later, payload.saturating_sub(needed)),
            Self::Last => (0, usize::MAX),
        };
        let odd = (usize::from(counter) + needed + later) % 16;
        needed + ((16 - odd) % 16).min(most)
    }
}

/// Where tables are due: a multiple of 16 of them, so that their counter comes round.
struct Spread {
    first: Timestamp,
    length: Span,
    all: i64,
    done: i64,
}

impl Spread {
    fn over(times: impl Iterator<Item = Timestamp> + Clone) -> Self {
        let first = times.clone().min().unwrap_or_default();
        let length = times.max().unwrap_or_default() - first;
        let rounds = length.as_nanos() / SPREAD.as_nanos() + 1;
        Self {
            first,
            length: length.max(Span::from_nanos(1)),
            all: rounds * ROUND,
            done: 0,
        }
    }

    /// How many come before a frame; one at least before the first.
    fn due(&mut self, dts: Timestamp) -> i64 {
        let passed = i128::from((dts - self.first).as_nanos()) * i128::from(self.all)
            / i128::from(self.length.as_nanos());
        let due = i64::try_from(passed).unwrap_or(self.all).saturating_add(1);
        let due = due.clamp(self.done, self.all) - self.done;
        self.done += due;
        due
    }

    const fn left(&self) -> i64 {
        self.all - self.done
    }
}
