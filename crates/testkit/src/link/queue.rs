//! One way of a link: which packets are lost, and when the others come. Pure.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::{Add, Sub};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// More are lost, as a router loses them.
const MOST: usize = 4_096;

/// How packets fare.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weather {
    /// How long each takes.
    pub delay: Duration,
    /// It may take so much longer. None overtakes another by that.
    pub jitter: Duration,
    /// The share that is lost, from 0 to 1.
    pub loss: f64,
    /// The share that others overtake: it takes `behind` longer than they.
    pub reordered: f64,
    /// How much longer.
    pub behind: Duration,
    /// The share that comes twice.
    pub duplicated: f64,
    /// Bits per second that fit through; more waits its turn. As much as comes where there is none.
    pub rate: Option<u64>,
    /// Times in which all are lost.
    pub outages: Option<Outages>,
    /// All are lost: a black hole.
    pub closed: bool,
}

impl Weather {
    /// Nothing happens to packets.
    pub const FAIR: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        reordered: 0.0,
        behind: Duration::ZERO,
        duplicated: 0.0,
        rate: None,
        outages: None,
        closed: false,
    };
}

/// Short times in which everything is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outages {
    /// From the end of one to the beginning of the next, on average; at most twice that.
    pub every: Duration,
    /// How long each lasts.
    pub lasting: Duration,
}

/// What became of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Came in.
    pub taken: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Were lost.
    pub lost: u64,
    /// Came twice.
    pub duplicated: u64,
    /// Were held back, so that others overtook them.
    pub reordered: u64,
    /// Outages that there were.
    pub outages: u64,
}

impl Counts {
    fn with(self, other: Self, each: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            taken: each(self.taken, other.taken),
            bytes: each(self.bytes, other.bytes),
            lost: each(self.lost, other.lost),
            duplicated: each(self.duplicated, other.duplicated),
            reordered: each(self.reordered, other.reordered),
            outages: each(self.outages, other.outages),
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
}

/// What was counted since.
impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }
}

/// Packets of any kind; times count from any beginning, and never go back.
#[derive(Debug)]
pub(super) struct Queue<P> {
    weather: Weather,
    chance: StdRng,
    waiting: BinaryHeap<Waiting<P>>,
    /// Of packets that waited, so that those of equal times keep their order.
    number: u64,
    /// When the last one of those comes that are not overtaken.
    last: Duration,
    /// Until when the way is full.
    full: Duration,
    /// When the next outage begins.
    outage: Option<Duration>,
    counts: Counts,
}

#[derive(Debug)]
struct Waiting<P> {
    due: Duration,
    number: u64,
    packet: P,
}

/// A heap has its greatest on top: that is the one that comes first.
impl<P> Ord for Waiting<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl<P> PartialOrd for Waiting<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Waiting<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<P> Eq for Waiting<P> {}

impl<P: Clone> Queue<P> {
    /// Of fair weather.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            weather: Weather::default(),
            chance: StdRng::seed_from_u64(seed),
            waiting: BinaryHeap::new(),
            number: 0,
            last: Duration::ZERO,
            full: Duration::ZERO,
            outage: None,
            counts: Counts::default(),
        }
    }

    /// For packets that come from now on.
    pub(super) fn set(&mut self, weather: Weather) {
        self.weather = weather;
        self.outage = None;
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    /// A packet of so many bytes came.
    pub(super) fn put(&mut self, packet: P, length: usize, now: Duration) {
        self.counts.taken += 1;
        self.counts.bytes += length as u64;
        if self.loses(now) {
            self.counts.lost += 1;
            return;
        }
        let due = self.due_of(length, now);
        if self.happens(self.weather.duplicated) {
            self.counts.duplicated += 1;
            self.wait(packet.clone(), due);
        }
        self.wait(packet, due);
    }

    fn due_of(&mut self, length: usize, now: Duration) -> Duration {
        let sent = self.sent(length, now);
        let jitter = self.weather.jitter.mul_f64(self.chance.random());
        if self.happens(self.weather.reordered) {
            self.counts.reordered += 1;
            return sent + self.weather.delay + self.weather.behind;
        }
        self.last = self.last.max(sent + self.weather.delay + jitter);
        self.last
    }

    /// When its last bit is on its way.
    fn sent(&mut self, length: usize, now: Duration) -> Duration {
        let Some(rate) = self.weather.rate else {
            return now;
        };
        let takes = length as f64 * 8.0 / rate.max(1) as f64;
        self.full = self.full.max(now) + Duration::from_secs_f64(takes);
        self.full
    }

    fn wait(&mut self, packet: P, due: Duration) {
        let number = self.number;
        self.number += 1;
        self.waiting.push(Waiting {
            due,
            number,
            packet,
        });
    }

    fn loses(&mut self, now: Duration) -> bool {
        let out = self.is_out(now);
        out || self.weather.closed
            || self.waiting.len() >= MOST
            || self.chance.random::<f64>() < self.weather.loss
    }

    /// No chance is drawn for what never happens: a way that has nothing of it stays as it was.
    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.chance.random::<f64>() < share
    }

    fn is_out(&mut self, now: Duration) -> bool {
        let Some(Outages { every, lasting }) = self.weather.outages else {
            return false;
        };
        let mut away = || every.mul_f64(2.0 * self.chance.random::<f64>());
        let mut begin = *self.outage.get_or_insert_with(|| now + away());
        while begin + lasting <= now {
            begin += lasting + away();
            self.counts.outages += 1;
        }
        self.outage = Some(begin);
        begin <= now
    }

    /// When the next packet is due.
    pub(super) fn due(&self) -> Option<Duration> {
        self.waiting.peek().map(|first| first.due)
    }

    /// A packet that is due, and since when.
    pub(super) fn take(&mut self, now: Duration) -> Option<(P, Duration)> {
        if self.due()? > now {
            return None;
        }
        self.waiting.pop().map(|first| (first.packet, first.due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// A packet each millisecond: which came, and when.
    fn send(weather: Weather, seed: u64, packets: u32) -> (Vec<(u32, Duration)>, Counts) {
        let mut queue = Queue::new(seed);
        queue.set(weather);
        let mut came = Vec::new();
        for n in 0..packets * 2 {
            let now = MS * n;
            if n < packets {
                queue.put(n, 1_000, now);
            }
            while let Some((id, _)) = queue.take(now) {
                came.push((id, now));
            }
        }
        (came, queue.counts())
    }

    #[test]
    fn a_black_hole_swallows_what_comes_and_lets_through_what_was_under_way() {
        let mut queue = Queue::new(1);
        let delay = MS * 10;
        queue.set(Weather {
            delay,
            ..Weather::default()
        });
        queue.put("before", 6, MS);
        queue.set(Weather {
            closed: true,
            ..Weather::default()
        });
        queue.put("after", 5, MS * 2);
        assert_eq!(queue.due(), Some(MS * 11));
        assert_eq!(queue.take(MS * 10), None);
        assert_eq!(queue.take(MS * 11), Some(("before", MS * 11)));
        assert_eq!((queue.due(), queue.counts().lost), (None, 1));
    }

    #[test]
    fn loss_and_outages_are_about_what_was_asked_for() {
        let loss = Weather {
            loss: 0.01,
            ..Weather::default()
        };
        let (_, counts) = send(loss, 7, 100_000);
        assert!((800..1_200).contains(&counts.lost), "{counts:?}");
        let outages = Outages {
            every: MS * 1_000,
            lasting: MS * 150,
        };
        let weather = Weather {
            outages: Some(outages),
            ..Weather::default()
        };
        let (came, counts) = send(weather, 7, 100_000);
        assert!((70..110).contains(&counts.outages), "{counts:?}");
        let mut holes = came.windows(2).map(|w| w[1].0 - w[0].0).filter(|n| *n > 1);
        assert!(holes.all(|n| (150..=152).contains(&n)));
    }

    #[test]
    fn those_that_are_held_back_come_behind_others_and_some_come_twice() {
        let weather = Weather {
            reordered: 0.1,
            behind: MS * 5,
            duplicated: 0.2,
            ..Weather::default()
        };
        let (came, counts) = send(weather, 7, 10_000);
        assert_eq!(came.len() as u64, counts.taken + counts.duplicated);
        assert!((900..1_100).contains(&counts.reordered), "{counts:?}");
        assert!((1_900..2_100).contains(&counts.duplicated), "{counts:?}");
        let late = came.iter().filter(|(id, at)| *at == MS * (*id + 5)).count();
        assert!(late as u64 >= counts.reordered);
        assert!(
            came.iter()
                .all(|(id, at)| *at == MS * *id || *at == MS * (*id + 5))
        );
    }

    #[test]
    fn a_narrow_way_takes_its_time() {
        let rate = Weather {
            rate: Some(4_000_000),
            ..Weather::default()
        };
        // 8 Mb/s into 4 Mb/s: each waits for those before it.
        let (came, _) = send(rate, 7, 100);
        assert!(came.iter().all(|(id, at)| *at == MS * (*id + 1) * 2));
    }

    proptest! {
        #[test]
        fn none_is_early_or_overtakes_and_each_is_lost_or_comes(
            delay in 0_u32..80,
            jitter in 0_u32..80,
            loss in 0.0..0.5,
            seed: u64,
        ) {
            let weather = Weather { delay: MS * delay, jitter: MS * jitter, loss, ..Weather::default() };
            let (came, counts) = send(weather, seed, 500);
            prop_assert_eq!(came.len() as u64 + counts.lost, counts.taken);
            prop_assert!(came.windows(2).all(|w| w[0].0 < w[1].0));
            for (id, at) in &came {
                let took = *at - MS * *id;
                prop_assert!(took >= weather.delay);
                // Behind another it may wait until that one comes, no longer.
                prop_assert!(took <= weather.delay + weather.jitter + MS);
            }
            prop_assert_eq!(came, send(weather, seed, 500).0);
        }
    }
}
