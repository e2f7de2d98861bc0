//! Pieces that any node makes alone and that follow each other as one stream.

use std::ops::Range;

use bytes::BytesMut;
use media::{Frame, Span, Timestamp};

use super::clock::TABLES;
use super::{Mux, payload};

/// Continuity counters have four bits.
const ROUND: i64 = 16;

impl Mux {
    /// Appends a whole segment: the frames, in their order, of the time from `start` to `end`, which
    /// is where the next one starts. Segments made by any nodes, each of its frames alone, follow
    /// each other without a continuity error, whatever this `Mux` wrote before:
    ///
    /// * the last frame of each track is spread over so many packets, up to 15 more than it needs,
    ///   that the track's counter comes round to 0, where every segment begins;
    /// * tables come at the start and then on a grid of 100 ms since the Unix epoch, one for each
    ///   point of it from `start` to `end`; their counter is the number of that point. A segment
    ///   without any point has 16.
    ///
    /// That holds while the tracks are the same. A hole in time is none where `end` and the next
    /// `start` agree.
    pub fn segment<'a>(
        &mut self,
        frames: impl Iterator<Item = &'a Frame> + Clone,
        span: Range<Timestamp>,
        out: &mut BytesMut,
    ) {
        self.clock.begin();
        let mut grid = Grid::new(&span);
        self.count_from(grid.next);
        self.find_last(frames.clone());
        grid.step(self, out);
        for (number, frame) in frames.enumerate() {
            for _ in 0..grid.due(frame.dts) {
                grid.step(self, out);
            }
            let stream = self.streams.iter().position(|s| s.track == frame.track);
            if let Some(at) = stream {
                let is_last = self.streams[at].last == Some(number);
                self.write(at, frame, is_last, out);
            }
        }
        for _ in 0..grid.left() {
            grid.step(self, out);
        }
    }

    fn count_from(&mut self, point: i64) {
        let counter = |packets: usize| {
            let packets = i64::try_from(packets).unwrap_or(1);
            let counter = (point % ROUND * packets).rem_euclid(ROUND);
            u8::try_from(counter).unwrap_or(0)
        };
        self.pat.counter = counter(self.pat.packets());
        self.pmt.counter = counter(self.pmt.packets());
        for stream in &mut self.streams {
            stream.counter = 0;
        }
    }

    fn find_last<'a>(&mut self, frames: impl Iterator<Item = &'a Frame>) {
        for stream in &mut self.streams {
            stream.last = None;
        }
        for (number, frame) in frames.enumerate() {
            let stream = self.streams.iter_mut().find(|s| s.track == frame.track);
            if let Some(stream) = stream
                && payload::measure(&stream.entry.shape, frame, &mut self.scratch).is_some()
            {
                stream.last = Some(number);
            }
        }
    }
}

/// Where tables are due.
struct Grid {
    next: i64,
    end: i64,
}

impl Grid {
    fn new(span: &Range<Timestamp>) -> Self {
        let next = point(span.start);
        let end = point(span.end);
        // Of none there are sixteen: the counter must be where the next segment begins.
        let end = if end > next { end } else { next + ROUND };
        Self { next, end }
    }

    /// How many are due before a frame; of a hole's, whole rounds of the counter are left out.
    fn due(&mut self, dts: Timestamp) -> i64 {
        let passed = point(dts + Span::from_nanos(1)).min(self.end) - self.next;
        let due = passed.max(0) % ROUND;
        self.next += passed.max(0) - due;
        due
    }

    /// How many are left, whole rounds aside.
    const fn left(&self) -> i64 {
        (self.end - self.next).rem_euclid(ROUND)
    }

    fn step(&mut self, mux: &mut Mux, out: &mut BytesMut) {
        mux.tables(out);
        self.next += 1;
    }
}

/// The number of the first point of the grid from here on.
const fn point(time: Timestamp) -> i64 {
    let (nanos, step) = (time.as_nanos(), TABLES.as_nanos());
    nanos.div_euclid(step) + (nanos.rem_euclid(step) > 0) as i64
}
