//! How many connections there are, of whom, and how many of them have not said what they want.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who comes when all places are taken is told so, up to this many at a time.
const AWAY: usize = 64;
/// One address may hold this part of the places for those who have said nothing.
const SHARE: usize = 4;

/// The most of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) all: usize,
    pub(crate) pending: usize,
    pub(crate) per_address: usize,
}

/// Everybody who is connected.
#[derive(Debug)]
pub(crate) struct Crowd {
    bounds: Bounds,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    away: usize,
    serial: u64,
    /// Those who have said nothing, in the order in which they came.
    pending: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    by_address: HashMap<IpAddr, Mine>,
}

#[derive(Debug, Default)]
struct Mine {
    all: usize,
    pending: VecDeque<u64>,
}

/// What becomes of a connection.
pub(crate) enum Admission {
    /// It has a place.
    In(Place),
    /// There is none; it may be told so.
    Away(Away),
    /// There is not even time for that.
    Shut,
}

/// A place among the connections, given back when it goes.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
    serial: u64,
    outstayed: Arc<Notify>,
}

/// A place among those who are told that there is none.
pub(crate) struct Away(Arc<Crowd>);

impl Crowd {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            counts: Mutex::default(),
        })
    }

    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Admission {
        let address = who(address);
        let mut counts = self.counts();
        let mine = counts.by_address.get(&address).map_or(0, |m| m.all);
        if counts.all >= self.bounds.all || mine >= self.bounds.per_address {
            return self.turn_away(&mut counts);
        }
        counts.make_room(address, self.bounds.pending);
        counts.all += 1;
        counts.serial += 1;
        let (serial, outstayed) = (counts.serial, Arc::new(Notify::new()));
        let waiting = (address, Arc::clone(&outstayed));
        counts.pending.insert(serial, waiting);
        let mine = counts.by_address.entry(address).or_default();
        mine.all += 1;
        mine.pending.push_back(serial);
        Admission::In(Place {
            crowd: Arc::clone(self),
            address,
            serial,
            outstayed,
        })
    }

    fn turn_away(self: &Arc<Self>, counts: &mut Counts) -> Admission {
        if counts.away >= AWAY {
            return Admission::Shut;
        }
        counts.away += 1;
        Admission::Away(Away(Arc::clone(self)))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One peer may have all of an IPv6 network of 64 bits.
fn who(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Counts {
    /// Who has said nothing for longest goes: an honest peer has said all within a moment.
    fn make_room(&mut self, address: IpAddr, most: usize) {
        let mine = self.by_address.get(&address).map(|m| &m.pending);
        let mine = mine.filter(|mine| mine.len() >= (most / SHARE).max(1));
        let oldest = match mine.and_then(|mine| mine.front()) {
            Some(oldest) => Some(*oldest),
            None if self.pending.len() >= most => self.pending.keys().next().copied(),
            None => None,
        };
        if let Some(outstayed) = oldest.and_then(|oldest| self.settle(oldest)) {
            outstayed.notify_one();
        }
    }

    fn settle(&mut self, serial: u64) -> Option<Arc<Notify>> {
        let (address, outstayed) = self.pending.remove(&serial)?;
        if let Some(mine) = self.by_address.get_mut(&address) {
            mine.pending.retain(|other| *other != serial);
        }
        Some(outstayed)
    }
}

impl Place {
    /// It said what it wants.
    pub(crate) fn settle(&self) {
        self.crowd.counts().settle(self.serial);
    }

    /// Waits until it has to go for those who came later.
    pub(crate) async fn outstayed(&self) {
        self.outstayed.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.settle(self.serial);
        counts.all -= 1;
        if let Some(mine) = counts.by_address.get_mut(&self.address) {
            mine.all -= 1;
            if mine.all == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        self.0.counts().away -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn crowd(all: usize, pending: usize, per_address: usize) -> Arc<Crowd> {
        Crowd::new(Bounds {
            all,
            pending,
            per_address,
        })
    }

    fn place(crowd: &Arc<Crowd>, address: IpAddr) -> Option<Place> {
        match crowd.enter(address) {
            Admission::In(place) => Some(place),
            _ => None,
        }
    }

    fn outstayed(places: &[Place]) -> Vec<bool> {
        let told = |p: &Place| p.outstayed().now_or_never().is_some();
        places.iter().map(told).collect()
    }

    #[test]
    fn a_crowd_has_bounds_and_places_come_back() {
        let crowd = crowd(3, 32, 2);
        let first = place(&crowd, A).unwrap();
        let second = place(&crowd, A).unwrap();
        first.settle();
        assert!(place(&crowd, A).is_none(), "two of one address");
        let third = place(&crowd, B).unwrap();
        assert!(place(&crowd, B).is_none(), "three in all");
        drop((first, second, third));
        let counts = crowd.counts();
        let left = (counts.pending.len(), counts.by_address.len());
        assert_eq!((counts.all, counts.away, left), (0, 0, (0, 0)));
    }

    #[test]
    fn who_says_nothing_for_longest_makes_room() {
        let crowd = crowd(100, 8, 100);
        let mine: Vec<_> = (0..3).filter_map(|_| place(&crowd, A)).collect();
        assert_eq!(outstayed(&mine), [true, false, false], "two of one address");
        let others = (0..6).filter_map(|i| place(&crowd, IpAddr::from([10, 0, 1, i])));
        let others: Vec<_> = others.collect();
        assert_eq!(outstayed(&others), [false; 6]);
        let last = place(&crowd, B).unwrap();
        assert_eq!(outstayed(&mine), [false, true, false], "eight in all");
        last.settle();
        assert_eq!(crowd.counts().pending.len(), 7);
    }

    #[test]
    fn a_network_is_one_peer() {
        let of = |text: &str| who(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:10.0.0.1"), A);
    }

    #[test]
    fn not_everybody_is_told() {
        let crowd = crowd(0, 1, 1);
        let told: Vec<_> = (0..AWAY).map(|_| crowd.enter(A)).collect();
        assert!(told.iter().all(|a| matches!(a, Admission::Away(_))));
        assert!(matches!(crowd.enter(A), Admission::Shut));
        drop(told);
        assert!(matches!(crowd.enter(A), Admission::Away(_)));
    }
}
