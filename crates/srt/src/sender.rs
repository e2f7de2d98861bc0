//! What was sent and is not acknowledged yet, and what is sent again.

use std::collections::VecDeque;

use bytes::Bytes;
use media::{Span, Timestamp};

use crate::packet::{Parity, next_message};
use crate::rtt::Rtt;
use crate::seq::Seq;

/// Whatever the latency, what is sent keeps so long: a picture may take a while.
const KEEP: Span = Span::from_millis(1_000);
/// What answers need on top of it.
const MARGIN: Span = Span::from_millis(20);

/// One packet.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) payload: Bytes,
    pub(crate) key: Option<Parity>,
    pub(crate) message: u32,
    /// When it was given to be sent: what the receiver plays it by.
    pub(crate) origin: Timestamp,
    /// When it was sent last.
    again: Option<Timestamp>,
    /// Whether it waits to be sent again.
    lost: bool,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(crate) struct Sender {
    /// The number of what is oldest in `packets`.
    first: Seq,
    packets: VecDeque<Sent>,
    /// How many of them were sent.
    sent: usize,
    lost: VecDeque<Seq>,
    /// Packets that the receiver has room for.
    window: usize,
    message: u32,
    keep: Span,
    most: usize,
    /// All before it has arrived, as far as was told.
    heard: Seq,
    /// When the first packet was sent of which nothing was acknowledged since.
    unheard: Option<Timestamp>,
}

impl Sender {
    /// From this number on, for a receiver that plays `latency` later and has `window` packets'
    /// room. At most `most` packets are held.
    pub(crate) fn new(first: Seq, latency: Span, window: usize, most: usize) -> Self {
        Self {
            first,
            packets: VecDeque::new(),
            sent: 0,
            lost: VecDeque::new(),
            window,
            message: 1,
            keep: latency.max(KEEP) + MARGIN,
            most,
            heard: first,
            unheard: None,
        }
    }

    /// For how long nothing was acknowledged, though there was something to.
    pub(crate) fn unheard(&self, now: Timestamp) -> Span {
        self.unheard.map_or(Span::ZERO, |since| now - since)
    }

    /// The number that the next packet will have.
    pub(crate) fn next(&self) -> Seq {
        self.first
            .plus(u32::try_from(self.packets.len()).unwrap_or(u32::MAX))
    }

    /// Packets that were never sent.
    pub(crate) fn waiting(&self) -> usize {
        self.packets.len() - self.sent
    }

    /// Packets that are not acknowledged.
    pub(crate) fn held(&self) -> usize {
        self.packets.len()
    }

    /// Takes a packet. Those beyond the bound push the oldest out; how many.
    pub(crate) fn push(&mut self, payload: Bytes, key: Option<Parity>, now: Timestamp) -> usize {
        let message = self.message;
        self.message = next_message(message);
        self.packets.push_back(Sent {
            payload,
            key,
            message,
            origin: now,
            again: None,
            lost: false,
        });
        let over = self.packets.len().saturating_sub(self.most);
        self.forget(over);
        over
    }

    /// All before this number has arrived. `false` for what cannot be.
    pub(crate) fn acknowledge(&mut self, upto: Seq, room: Option<u32>) -> bool {
        let count = upto.index(self.first);
        if count.is_some_and(|count| count > self.sent) {
            return false;
        }
        if upto.since(self.heard) > 0 {
            (self.heard, self.unheard) = (upto, None);
        }
        let Some(count) = count else {
            // Of what was given up meanwhile, or overtaken by a newer one.
            return true;
        };
        if let Some(room) = room {
            self.window = usize::try_from(room).unwrap_or(usize::MAX).max(2);
        }
        self.forget(count);
        true
    }

    fn forget(&mut self, count: usize) {
        self.packets.drain(..count);
        self.sent = self.sent.saturating_sub(count);
        self.first = self.first.plus(u32::try_from(count).unwrap_or(0));
        if self.packets.is_empty() {
            self.unheard = None;
        }
    }

    /// Packets are missing there, both ends in it. What of it is gone for good, to be told so.
    pub(crate) fn lost(&mut self, first: Seq, last: Seq) -> Option<(Seq, Seq)> {
        let gone = first.since(self.first) < 0;
        let from = first.index(self.first).unwrap_or(0);
        let end = last.index(self.first).map_or(0, |i| i + 1).min(self.sent);
        for index in from..end {
            let packet = &mut self.packets[index];
            if !packet.lost {
                packet.lost = true;
                self.lost
                    .push_back(self.first.plus(u32::try_from(index).unwrap_or(0)));
            }
        }
        let before = self.first.plus(u32::MAX);
        let upto = if last.since(before) < 0 { last } else { before };
        gone.then_some((first, upto))
    }

    /// What is to be sent again now: nothing twice within a round trip.
    pub(crate) fn next_lost(&mut self, now: Timestamp, rtt: &Rtt) -> Option<(Seq, &Sent)> {
        let index = loop {
            let seq = self.lost.pop_front()?;
            // What is acknowledged meanwhile is not there any more.
            let Some(index) = seq.index(self.first).filter(|i| *i < self.sent) else {
                continue;
            };
            let packet = &mut self.packets[index];
            packet.lost = false;
            let on_its_way = packet.again.is_some_and(|at| now - at < rtt.soonest());
            if !on_its_way {
                packet.again = Some(now);
                break index;
            }
        };
        Some((
            self.first.plus(u32::try_from(index).unwrap_or(0)),
            &self.packets[index],
        ))
    }

    /// What was never sent and may be.
    pub(crate) fn next_new(&mut self, now: Timestamp) -> Option<(Seq, &Sent)> {
        if self.sent >= self.window {
            return None;
        }
        let index = self.sent;
        let packet = self.packets.get(index)?;
        self.unheard.get_or_insert(now);
        self.sent += 1;
        Some((self.first.plus(u32::try_from(index).unwrap_or(0)), packet))
    }

    /// How long the payload is that [`Self::next_new`] would give.
    pub(crate) fn next_len(&self) -> Option<usize> {
        let next = self.packets.get(self.sent)?;
        (self.sent < self.window).then_some(next.payload.len())
    }

    /// Whether anything could be sent.
    pub(crate) fn is_ready(&self) -> bool {
        !self.lost.is_empty() || self.next_len().is_some()
    }

    /// Gives up what comes too late to be played; its numbers, both ends in it.
    pub(crate) fn give_up(&mut self, now: Timestamp) -> Option<(Seq, Seq)> {
        let keep = self.keep;
        let count = self
            .packets
            .iter()
            .take_while(|p| now - p.origin > keep)
            .count();
        let first = self.first;
        self.forget(count);
        let last = u32::try_from(count).ok()?.checked_sub(1)?;
        Some((first, first.plus(last)))
    }

    /// When the oldest packet is too late.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let oldest = self.packets.front()?;
        Some(oldest.origin + self.keep + Span::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Seq = Seq::new(0x7fff_fffe);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn sender(packets: u32) -> Sender {
        let mut sender = Sender::new(FIRST, Span::from_millis(120), 100, 1_000);
        for _ in 0..packets {
            assert_eq!(sender.push(Bytes::from_static(b"x"), None, at(0)), 0);
        }
        while sender.next_new(at(0)).is_some() {}
        sender
    }

    fn rtt(millis: i64) -> Rtt {
        let mut rtt = Rtt::default();
        (0..100).for_each(|_| rtt.sample(Span::from_millis(millis)));
        rtt
    }

    fn resent(sender: &mut Sender, now: i64) -> Vec<u32> {
        let rtt = rtt(40);
        std::iter::from_fn(|| sender.next_lost(at(now), &rtt).map(|(seq, _)| seq.raw())).collect()
    }

    #[test]
    fn what_is_lost_is_sent_once_per_round_trip() {
        let mut sender = sender(10);
        assert_eq!(sender.lost(FIRST.plus(1), FIRST.plus(3)), None);
        assert_eq!(sender.lost(FIRST.plus(3), FIRST.plus(3)), None);
        assert_eq!(resent(&mut sender, 50), [0x7fff_ffff, 0, 1]);
        sender.lost(FIRST.plus(1), FIRST.plus(3));
        assert!(resent(&mut sender, 60).is_empty());
        sender.lost(FIRST.plus(1), FIRST.plus(3));
        assert!(sender.acknowledge(FIRST.plus(2), None));
        assert_eq!(resent(&mut sender, 95), [0, 1]);
    }

    #[test]
    fn what_is_gone_is_told() {
        let mut sender = sender(10);
        assert!(sender.acknowledge(FIRST.plus(5), None));
        assert_eq!(
            sender.lost(FIRST.plus(2), FIRST.plus(6)),
            Some((FIRST.plus(2), FIRST.plus(4)))
        );
        assert_eq!(
            sender.lost(FIRST.plus(2), FIRST.plus(3)),
            Some((FIRST.plus(2), FIRST.plus(3)))
        );
        assert_eq!(resent(&mut sender, 50).len(), 2);
        assert_eq!(sender.give_up(at(1_020)), None);
        assert_eq!(sender.deadline(), Some(at(1_021)));
        assert_eq!(
            sender.give_up(at(1_021)),
            Some((FIRST.plus(5), FIRST.plus(9)))
        );
        assert_eq!((sender.held(), sender.deadline()), (0, None));
        assert_eq!(sender.next(), FIRST.plus(10));
    }

    #[test]
    fn the_receivers_room_bounds_what_is_on_its_way() {
        let mut sender = sender(150);
        assert_eq!((sender.waiting(), sender.next_len()), (50, None));
        assert!(sender.acknowledge(FIRST.plus(10), Some(95)));
        assert_eq!(
            std::iter::from_fn(|| sender.next_new(at(0)).map(drop)).count(),
            5
        );
        assert!(sender.acknowledge(FIRST, Some(0)));
        assert!(!sender.acknowledge(FIRST.plus(1_000), None));
        assert_eq!(sender.held(), 140);
    }

    #[test]
    fn who_acknowledges_what_was_given_up_is_heard() {
        let mut sender = sender(10);
        assert!(sender.give_up(at(1_021)).is_some());
        assert_eq!(sender.push(Bytes::from_static(b"x"), None, at(1_021)), 0);
        assert!(sender.next_new(at(1_021)).is_some());
        assert_eq!(sender.unheard(at(1_100)), Span::from_millis(79));
        assert!(sender.acknowledge(FIRST.plus(5), None));
        assert_eq!(sender.unheard(at(1_100)), Span::ZERO);
        assert!(sender.next_new(at(1_100)).is_none());
        // The same again says nothing new.
        assert_eq!(sender.push(Bytes::from_static(b"x"), None, at(1_100)), 0);
        assert!(sender.next_new(at(1_100)).is_some());
        assert!(sender.acknowledge(FIRST.plus(5), None));
        assert_eq!(sender.unheard(at(1_200)), Span::from_millis(100));
    }

    #[test]
    fn absurd_reports_cost_little() {
        let mut sender = sender(10);
        for (first, last) in [
            (FIRST, FIRST.plus(u32::MAX / 4)),
            (FIRST.plus(500), FIRST.plus(900)),
        ] {
            sender.lost(first, last);
        }
        assert_eq!(resent(&mut sender, 50).len(), 10);
        let over: usize = (0..2_000)
            .map(|_| sender.push(Bytes::new(), None, at(1)))
            .sum();
        assert_eq!((over, sender.held()), (1_010, 1_000));
    }
}
