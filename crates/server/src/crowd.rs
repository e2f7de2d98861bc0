//! How many connections there are, of whom, and how many of them have not said what they want.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who comes when all places are taken is told so, up to this many at a time.
const AWAY: usize = 64;
/// One address may hold this part of the places for those who have said nothing.
const SHARE: usize = 16;

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
    pending: usize,
    away: usize,
    by_address: HashMap<IpAddr, Mine>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Mine {
    all: usize,
    pending: usize,
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
    pending: bool,
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
        let address = address.to_canonical();
        let mut counts = self.counts();
        let mine = counts.by_address.get(&address).copied().unwrap_or_default();
        let bounds = &self.bounds;
        let room = counts.all < bounds.all
            && counts.pending < bounds.pending
            && mine.all < bounds.per_address
            && mine.pending < (bounds.pending / SHARE).max(1);
        if !room {
            return self.turn_away(&mut counts);
        }
        counts.all += 1;
        counts.pending += 1;
        let mine = Mine {
            all: mine.all + 1,
            pending: mine.pending + 1,
        };
        counts.by_address.insert(address, mine);
        Admission::In(Place {
            crowd: Arc::clone(self),
            address,
            pending: true,
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

impl Place {
    /// It said what it wants.
    pub(crate) fn settle(&mut self) {
        self.give_back(0);
    }

    fn give_back(&mut self, places: usize) {
        let pending = usize::from(std::mem::take(&mut self.pending));
        if places + pending == 0 {
            return;
        }
        let mut counts = self.crowd.counts();
        counts.all -= places;
        counts.pending -= pending;
        if let Some(mine) = counts.by_address.get_mut(&self.address) {
            mine.all -= places;
            mine.pending -= pending;
            if mine.all == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_back(1);
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        self.0.counts().away -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(crowd: &Arc<Crowd>, address: IpAddr) -> Option<Place> {
        match crowd.enter(address) {
            Admission::In(place) => Some(place),
            _ => None,
        }
    }

    #[test]
    fn a_crowd_has_bounds_and_places_come_back() {
        let crowd = Crowd::new(Bounds {
            all: 3,
            pending: 32,
            per_address: 2,
        });
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut first = place(&crowd, a).unwrap();
        let mut second = place(&crowd, a).unwrap();
        first.settle();
        assert!(place(&crowd, a).is_none(), "two of one address");
        let third = place(&crowd, b).unwrap();
        second.settle();
        assert!(place(&crowd, b).is_none(), "three in all");
        drop((first, second, third));
        let counts = crowd.counts();
        let left = (counts.all, counts.pending, counts.by_address.len());
        assert_eq!((left, counts.away), ((0, 0, 0), 0));
    }

    #[test]
    fn nobody_holds_all_places_for_those_who_say_nothing() {
        let crowd = Crowd::new(Bounds {
            all: 100,
            pending: 32,
            per_address: 100,
        });
        let silent = IpAddr::from([10, 0, 0, 1]);
        let held: Vec<_> = (0..32).filter_map(|_| place(&crowd, silent)).collect();
        assert_eq!(held.len(), 2);
        assert!(place(&crowd, IpAddr::from([10, 0, 0, 2])).is_some());
    }

    #[test]
    fn not_everybody_is_told() {
        let crowd = Crowd::new(Bounds {
            all: 0,
            pending: 1,
            per_address: 1,
        });
        let address = IpAddr::from([10, 0, 0, 1]);
        let told: Vec<_> = (0..AWAY).map(|_| crowd.enter(address)).collect();
        assert!(told.iter().all(|a| matches!(a, Admission::Away(_))));
        assert!(matches!(crowd.enter(address), Admission::Shut));
        drop(told);
        assert!(matches!(crowd.enter(address), Admission::Away(_)));
    }
}
