//! One way of a link: which packets are lost, and when the others come. Pure.

use std::collections::VecDeque;
use std::ops::Add;
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
    /// It may take so much longer. None overtakes another.
    pub jitter: Duration,
    /// The share that is lost, from 0 to 1.
    pub loss: f64,
    /// Times in which all are lost.
    pub outages: Option<Outages>,
    /// All are lost: a black hole.
    pub closed: bool,
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
    /// Were lost.
    pub lost: u64,
    /// Outages that there were.
    pub outages: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            taken: self.taken + other.taken,
            lost: self.lost + other.lost,
            outages: self.outages + other.outages,
        }
    }
}

/// Times count from any beginning, and never go back.
#[derive(Debug)]
pub(super) struct Queue {
    weather: Weather,
    chance: StdRng,
    waiting: VecDeque<(Duration, Vec<u8>)>,
    /// When the next outage begins.
    outage: Option<Duration>,
    counts: Counts,
}

impl Queue {
    /// Of fair weather.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            weather: Weather::default(),
            chance: StdRng::seed_from_u64(seed),
            waiting: VecDeque::new(),
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

    /// A packet came.
    pub(super) fn put(&mut self, packet: &[u8], now: Duration) {
        self.counts.taken += 1;
        if self.loses(now) {
            self.counts.lost += 1;
            return;
        }
        let jitter = self.weather.jitter.mul_f64(self.chance.random());
        let due = now + self.weather.delay + jitter;
        let before = self.waiting.back().map_or(Duration::ZERO, |(at, _)| *at);
        self.waiting.push_back((due.max(before), packet.to_vec()));
    }

    fn loses(&mut self, now: Duration) -> bool {
        let out = self.is_out(now);
        out || self.weather.closed
            || self.waiting.len() >= MOST
            || self.chance.random::<f64>() < self.weather.loss
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
        self.waiting.front().map(|(due, _)| *due)
    }

    /// A packet that is due.
    pub(super) fn take(&mut self, now: Duration) -> Option<Vec<u8>> {
        let (_, packet) = self.waiting.pop_front_if(|(due, _)| *due <= now)?;
        Some(packet)
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
                queue.put(&n.to_be_bytes(), now);
            }
            while let Some(packet) = queue.take(now) {
                let id = packet.try_into().map_or(u32::MAX, u32::from_be_bytes);
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
        queue.put(b"before", MS);
        queue.set(Weather {
            closed: true,
            ..Weather::default()
        });
        queue.put(b"after", MS * 2);
        assert_eq!(queue.due(), Some(MS * 11));
        assert_eq!(queue.take(MS * 10), None);
        assert_eq!(queue.take(MS * 11).as_deref(), Some(&b"before"[..]));
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
