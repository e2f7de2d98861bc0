//! Ways through which packets come late, seldom or not at all, laid in user space. [`Link`] joins this
//! network namespace and another by two TUN devices and a task that carries packets between them; it
//! needs root, and devices and namespace end with the process, however that ends. [`Datagrams`] leads
//! to one UDP server, takes no privilege, and is exact.

mod datagrams;
mod namespace;
mod queue;

pub use self::datagrams::{Datagrams, KINDS, Lateness, Wire};
pub(crate) use self::datagrams::{prefer, socket, widen};
pub use self::namespace::Namespace;
pub use self::queue::{Counts, Outages, Weather};

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_tun::Tun;

use self::queue::Queue;

const MTU: usize = 1500;
const NOTHING_DUE: Duration = Duration::from_secs(3_600);

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    /// The end in this namespace, as the other one sees it.
    pub near: Ipv4Addr,
    ways: Ways,
    carrying: JoinHandle<()>,
}

/// To the far end, and back.
type Ways = Arc<Mutex<[Queue<Vec<u8>>; 2]>>;

impl Link {
    /// Lays a link to that namespace, on the network 10.231.(of this process).(4 × `number`)/30.
    /// What is left to chance follows from `seed`.
    ///
    /// # Errors
    /// Without root.
    pub async fn lay(namespace: &Namespace, number: u8, seed: u64) -> anyhow::Result<Self> {
        let [_, _, _, process] = std::process::id().to_be_bytes();
        let end = |n| Ipv4Addr::new(10, 231, process, number * 4 + n);
        let mask = Ipv4Addr::new(255, 255, 255, 252);
        let near = Tun::builder().address(end(1)).netmask(mask).up().build();
        let near = near.context("a TUN device; are we root?")?.remove(0);
        let far = Tun::builder().build()?.remove(0);
        namespace.take(far.name(), end(2)).await?;
        let ways: Ways = Arc::new(Mutex::new([Queue::new(seed), Queue::new(seed + 1)]));
        let carrying = tokio::spawn(carry(near, far, Arc::clone(&ways)));
        Ok(Self {
            near: end(1),
            ways,
            carrying,
        })
    }

    /// How packets fare from now on, both ways.
    pub fn set(&self, weather: Weather) {
        for way in lock(&self.ways).iter_mut() {
            way.set(weather);
        }
    }

    /// How packets fared until now, both ways.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let [there, back] = lock(&self.ways).each_ref().map(Queue::counts);
        there + back
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

fn lock(ways: &Mutex<[Queue<Vec<u8>>; 2]>) -> MutexGuard<'_, [Queue<Vec<u8>>; 2]> {
    ways.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(near: Tun, far: Tun, ways: Ways) {
    let begin = Instant::now();
    let (mut there, mut back) = ([0; MTU], [0; MTU]);
    loop {
        let due = lock(&ways).iter().filter_map(Queue::due).min();
        let due = due.unwrap_or_else(|| begin.elapsed() + NOTHING_DUE);
        tokio::select! {
            Ok(n) = near.recv(&mut there) => lock(&ways)[0].put(there[..n].to_vec(), n, begin.elapsed()),
            Ok(n) = far.recv(&mut back) => lock(&ways)[1].put(back[..n].to_vec(), n, begin.elapsed()),
            () = sleep_until(begin + due) => {}
        }
        deliver(&ways, [&far, &near], begin.elapsed());
    }
}

fn deliver(ways: &Ways, ends: [&Tun; 2], now: Duration) {
    for (way, end) in lock(ways).iter_mut().zip(ends) {
        while let Some((packet, _)) = way.take(now) {
            // A device that is full loses it, as a router does.
            let _ = end.try_send(&packet);
        }
    }
}
