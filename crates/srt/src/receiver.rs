//! What has come and is not played yet, and what is missing.

use std::collections::VecDeque;

use bytes::Bytes;
use media::{Span, Timestamp};

use crate::rtt::Rtt;
use crate::seq::Seq;

/// What is missing is not asked for again sooner than this.
const AGAIN: Span = Span::from_millis(20);
/// But once, where there is time for one answer alone: the question itself may be lost.
const AT_ONCE: Span = Span::from_millis(8);

/// Packets with a hole before them and none in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    first: Seq,
    last: Seq,
    /// When it was asked for last; never yet where there is none.
    asked: Option<Timestamp>,
    /// How often it was.
    times: u32,
}

/// One packet that is there.
#[derive(Debug)]
struct Slot {
    /// `None` where its key was not.
    payload: Option<Bytes>,
    at: Timestamp,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It has its place.
    Placed,
    /// It was there already, or its time was over.
    Late,
    /// It has its place, and so many packets before it are given up: more than there is room for.
    Behind(u64),
    /// There is no room for it, or its number is none that could come.
    Outside,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// The number of what is played next.
    next: Seq,
    slots: VecDeque<Option<Slot>>,
    gaps: VecDeque<Gap>,
    most: usize,
    latency: Span,
}

impl Receiver {
    /// From this number on; holds at most `most` packets, each for as long as `latency`.
    pub(crate) const fn new(next: Seq, most: usize, latency: Span) -> Self {
        Self {
            latency,
            next,
            slots: VecDeque::new(),
            gaps: VecDeque::new(),
            most,
        }
    }

    /// The number behind the newest.
    pub(crate) fn end(&self) -> Seq {
        self.next.plus(u32::try_from(self.slots.len()).unwrap_or(0))
    }

    /// All before this number is there, or was given up.
    pub(crate) fn acknowledged(&self) -> Seq {
        self.gaps
            .front()
            .map_or_else(|| self.end(), |gap| gap.first)
    }

    /// How many packets there is room for.
    pub(crate) fn room(&self) -> u32 {
        u32::try_from(self.most - self.slots.len().min(self.most)).unwrap_or(0)
    }

    /// How many packets are there or missing.
    pub(crate) fn held(&self) -> usize {
        self.slots.len()
    }

    #[cfg(test)]
    fn is_missing(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Whether it is there already, or its time is over.
    pub(crate) fn is_late(&self, seq: Seq) -> bool {
        let index = seq.index(self.next);
        index.is_none_or(|index| matches!(self.slots.get(index), Some(Some(_))))
    }

    /// Takes a packet that is to be played `at`.
    pub(crate) fn push(&mut self, seq: Seq, payload: Option<Bytes>, at: Timestamp) -> Taken {
        let Some(index) = seq.index(self.next) else {
            return Taken::Late;
        };
        if index >= self.most {
            if self.due().is_some() {
                return Taken::Outside;
            }
            // Nothing is waited for: all before it is lost, what was given up unseen left out.
            let given_up = index - self.slots.len();
            self.slots.clear();
            self.gaps.clear();
            self.next = seq;
            self.slots.push_back(Some(Slot { payload, at }));
            return Taken::Behind(given_up as u64);
        }
        let slot = Slot { payload, at };
        if index >= self.slots.len() {
            if index > self.slots.len() {
                self.gaps.push_back(Gap {
                    first: self.end(),
                    last: seq.plus(u32::MAX),
                    asked: None,
                    times: 0,
                });
            }
            self.slots.resize_with(index, || None);
            self.slots.push_back(Some(slot));
            return Taken::Placed;
        }
        if self.slots[index].is_some() {
            return Taken::Late;
        }
        self.slots[index] = Some(slot);
        self.found(seq, seq);
        Taken::Placed
    }

    /// These numbers are missing no more, both ends in it. How many of them were.
    fn found(&mut self, first: Seq, last: Seq) -> u64 {
        let from = self.gaps.partition_point(|gap| gap.last.since(first) < 0);
        let to = self.gaps.partition_point(|gap| gap.first.since(last) <= 0);
        let mut found = 0;
        let (mut before, mut behind) = (None, None);
        for gap in self.gaps.drain(from..to.max(from)) {
            let (mut start, mut end) = (gap.first, gap.last);
            if first.since(start) > 0 {
                start = first;
                let last = first.plus(u32::MAX);
                before = Some(Gap { last, ..gap });
            }
            if end.since(last) > 0 {
                end = last;
                let first = last.next();
                behind = Some(Gap { first, ..gap });
            }
            found += u64::from(end.since(start).unsigned_abs()) + 1;
        }
        for rest in behind.into_iter().chain(before) {
            self.gaps.insert(from, rest);
        }
        found
    }

    /// The sender says that these will not come, both ends in it. How many of them are missing.
    pub(crate) fn give_up(&mut self, first: Seq, last: Seq) -> u64 {
        let found = self.found(first, last);
        // What never came and would have been next is not waited for either.
        let Some(end) = last.index(self.next).filter(|index| *index < self.most) else {
            return found;
        };
        if end < self.slots.len() || first.since(self.end()) > 0 {
            return found;
        }
        let unseen = end + 1 - self.slots.len();
        if self.due().is_some() {
            self.slots.resize_with(end + 1, || None);
        } else {
            // Nothing is held that this would have to stand behind.
            self.slots.clear();
            self.next = last.next();
        }
        found + unseen as u64
    }

    /// Appends what is to be played now; how many packets were given up for it.
    pub(crate) fn play(&mut self, now: Timestamp, out: &mut Vec<Bytes>) -> u64 {
        let mut skipped = 0;
        while let Some(holes) = self.slots.iter().position(Option::is_some) {
            let due = self.slots[holes].as_ref().is_some_and(|s| s.at <= now);
            if !due {
                break;
            }
            if holes > 0 {
                let last = self.next.plus(u32::try_from(holes - 1).unwrap_or(0));
                skipped += self.give_up(self.next, last);
            }
            out.extend(
                self.slots
                    .drain(..=holes)
                    .flatten()
                    .filter_map(|s| s.payload),
            );
            self.next = self.next.plus(u32::try_from(holes + 1).unwrap_or(0));
        }
        skipped
    }

    /// Appends all that is there, whenever it was to be played.
    pub(crate) fn play_all(&mut self, out: &mut Vec<Bytes>) {
        self.next = self.end();
        self.gaps.clear();
        let held = self.slots.drain(..);
        out.extend(held.flatten().filter_map(|slot| slot.payload));
    }

    /// When the next packet is to be played.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.slots.iter().flatten().next().map(|s| s.at)
    }

    /// What is missing and was not asked for of late; both ends in each range.
    pub(crate) fn missing(&mut self, now: Timestamp, rtt: &Rtt) -> Vec<(Seq, Seq)> {
        let pauses = self.pauses(rtt);
        let mut due = Vec::new();
        for gap in &mut self.gaps {
            if gap.due(pauses) <= now {
                gap.asked = Some(now);
                gap.times += 1;
                due.push((gap.first, gap.last));
            }
        }
        due
    }

    /// When something is to be asked for.
    pub(crate) fn ask_at(&self, rtt: &Rtt) -> Option<Timestamp> {
        let pauses = self.pauses(rtt);
        self.gaps.iter().map(|gap| gap.due(pauses)).min()
    }

    /// Behind the first question, and behind the others: half of what an answer may take, so that
    /// the second time is the first that can tell.
    fn pauses(&self, rtt: &Rtt) -> (Span, Span) {
        let others = Span::from_nanos(rtt.patience().as_nanos() / 2).max(AGAIN);
        let one_chance = self.latency < others + rtt.patience();
        (if one_chance { AT_ONCE } else { others }, others)
    }
}

impl Gap {
    fn due(&self, (first, others): (Span, Span)) -> Timestamp {
        let pause = if self.times == 1 { first } else { others };
        self.asked.map_or(Timestamp::ZERO, |at| at + pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Seq = Seq::new(0x7fff_fffd);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A receiver that got these of the packets, each a millisecond behind the one before.
    fn got(numbers: &[u32]) -> Receiver {
        let mut receiver = Receiver::new(FIRST, 100, Span::from_millis(500));
        for n in numbers {
            assert_eq!(put(&mut receiver, *n), Taken::Placed, "{n}");
        }
        receiver
    }

    fn put(receiver: &mut Receiver, n: u32) -> Taken {
        let payload = Bytes::copy_from_slice(&[u8::try_from(n).unwrap_or(0)]);
        receiver.push(FIRST.plus(n), Some(payload), at(i64::from(n)))
    }

    fn played(receiver: &mut Receiver, now: i64) -> (Vec<u8>, u64) {
        let mut out = Vec::new();
        let skipped = receiver.play(at(now), &mut out);
        (out.iter().map(|b| b[0]).collect(), skipped)
    }

    fn rtt() -> Rtt {
        let mut rtt = Rtt::default();
        (0..100).for_each(|_| rtt.sample(Span::from_millis(60)));
        rtt
    }

    #[test]
    fn what_is_missing_is_asked_for_until_it_comes() {
        let mut receiver = got(&[0, 1, 4, 8]);
        let range = |a: u32, b: u32| (FIRST.plus(a), FIRST.plus(b));
        assert_eq!(receiver.missing(at(0), &rtt()), [range(2, 3), range(5, 7)]);
        assert_eq!(receiver.missing(at(20), &rtt()), []);
        assert_eq!(put(&mut receiver, 6), Taken::Placed);
        assert_eq!(receiver.acknowledged(), FIRST.plus(2));
        let asked = receiver.ask_at(&rtt()).unwrap();
        assert_eq!(
            receiver.missing(asked, &rtt()),
            [range(2, 3), range(5, 5), range(7, 7)]
        );
        for n in [2, 3, 5, 7] {
            assert_eq!(put(&mut receiver, n), Taken::Placed);
            assert_eq!(put(&mut receiver, n), Taken::Late);
        }
        assert_eq!(
            (receiver.is_missing(), receiver.acknowledged()),
            (false, FIRST.plus(9))
        );
        assert_eq!(played(&mut receiver, 8), ((0..9).collect(), 0));
        assert_eq!(put(&mut receiver, 8), Taken::Late);
    }

    #[test]
    fn a_question_may_be_lost_where_there_is_time_for_one_answer() {
        let mut receiver = got(&[0, 2]);
        receiver.latency = Span::from_millis(70);
        for (now, asks) in [
            (0, true),
            (7, false),
            (8, true),
            (9, false),
            (37, false),
            (39, true),
        ] {
            assert_eq!(!receiver.missing(at(now), &rtt()).is_empty(), asks, "{now}");
        }
    }

    #[test]
    fn nothing_waits_for_what_does_not_come() {
        let mut receiver = got(&[0, 3, 4, 7]);
        assert_eq!(played(&mut receiver, 2), (vec![0], 0));
        assert_eq!(receiver.due(), Some(at(3)));
        assert_eq!(played(&mut receiver, 3), (vec![3], 2));
        assert_eq!(receiver.acknowledged(), FIRST.plus(5));
        assert_eq!(put(&mut receiver, 2), Taken::Late);
        assert_eq!(played(&mut receiver, 100), (vec![4, 7], 2));
        assert!(!receiver.is_missing());
    }

    #[test]
    fn the_sender_may_say_that_it_gave_up() {
        let mut receiver = got(&[0, 5]);
        assert_eq!(receiver.give_up(FIRST.plus(1), FIRST.plus(2)), 2);
        assert_eq!(receiver.acknowledged(), FIRST.plus(3));
        assert_eq!(receiver.give_up(FIRST.plus(2), FIRST.plus(9)), 6);
        assert_eq!(receiver.acknowledged(), FIRST.plus(10));
        assert_eq!(receiver.give_up(FIRST.plus(50), FIRST.plus(60)), 0);
        assert_eq!(receiver.give_up(FIRST.plus(0), FIRST.plus(0x1000_0000)), 0);
        assert_eq!(played(&mut receiver, 100), (vec![0, 5], 0));
        assert_eq!(put(&mut receiver, 10), Taken::Placed);
        assert_eq!(played(&mut receiver, 100), (vec![10], 0));
    }

    #[test]
    fn numbers_from_nowhere_take_no_room() {
        let mut receiver = got(&[0]);
        assert_eq!(put(&mut receiver, 100), Taken::Outside);

        assert_eq!(put(&mut receiver, 0x3000_0000), Taken::Outside);
        assert_eq!(put(&mut receiver, 99), Taken::Placed);
        assert_eq!((receiver.room(), receiver.held()), (0, 100));
    }

    #[test]
    fn it_goes_on_behind_a_gap_that_is_longer_than_its_room() {
        let mut receiver = got(&[0]);
        assert_eq!(played(&mut receiver, 0), (vec![0], 0));
        assert_eq!(put(&mut receiver, 200), Taken::Behind(199));
        assert_eq!(put(&mut receiver, 202), Taken::Placed);
        assert_eq!(put(&mut receiver, 150), Taken::Late);
        assert_eq!(receiver.acknowledged(), FIRST.plus(201));
        let mut out = Vec::new();
        receiver.play_all(&mut out);
        assert_eq!(out.iter().map(|b| b[0]).collect::<Vec<_>>(), [200, 202]);
    }

    #[test]
    fn what_was_given_up_unseen_holds_nothing_up() {
        let mut receiver = got(&[0]);
        assert_eq!(played(&mut receiver, 0), (vec![0], 0));
        assert_eq!(receiver.give_up(FIRST.plus(1), FIRST.plus(90)), 90);
        assert_eq!(receiver.held(), 0);
        assert_eq!(put(&mut receiver, 150), Taken::Placed);
        assert_eq!(played(&mut receiver, 150), (vec![150], 59));
    }
}
