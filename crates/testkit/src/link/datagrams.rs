//! A way for datagrams to one UDP server: clients send to its near end, and the server sees each as an
//! address of its own, as behind a NAT. One thread carries; it says how late it was.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::spawn;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use super::queue::{Counts, Queue, Weather};

/// How many kinds of datagrams a [`Datagrams`] tells apart.
pub const KINDS: usize = 16;

const LARGEST: usize = 2_048;
/// Each is a socket; the datagrams of more clients are dropped.
const CLIENTS: usize = 4_096;
/// What comes from one socket before others have their turn, and what is due goes out.
const TURN: usize = 64;
/// It is dropped: the thread sees that after this.
const LOOK: Duration = Duration::from_millis(50);
const BUFFER: usize = 4 << 20;

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Datagrams {
    /// Where clients send to.
    pub near: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// What was counted, to the server and back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wire {
    /// Datagrams and their bytes, those that were lost too.
    pub counts: [Counts; 2],
    /// Of each kind.
    pub kinds: [[u64; KINDS]; 2],
}

impl Wire {
    /// What was counted since.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut kinds = self.kinds;
        for (now, then) in kinds
            .as_flattened_mut()
            .iter_mut()
            .zip(before.kinds.as_flattened())
        {
            *now -= then;
        }
        let [there, back] = self.counts;
        Self {
            counts: [there - before.counts[0], back - before.counts[1]],
            kinds,
        }
    }
}

/// How late datagrams went out that were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lateness {
    /// At most so late were 99 of 100, to a factor of two.
    pub p99: Duration,
    /// The latest one.
    pub most: Duration,
}

impl Datagrams {
    /// Lays a way to `server`; `kind` tells what a datagram is, from 0 to [`KINDS`] - 1. What is left to
    /// chance follows from `seed`.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn lay(server: SocketAddr, seed: u64, kind: fn(&[u8]) -> usize) -> io::Result<Self> {
        let near = socket(server)?;
        let shared = Arc::new(Mutex::new(Shared {
            ways: [Queue::new(seed), Queue::new(seed ^ 0x5eed)],
            wire: Wire::default(),
            late: [0; 32],
            latest: Duration::ZERO,
        }));
        let address = near.local_addr()?;
        let mut carrier = Carrier {
            server,
            begin: Instant::now(),
            near,
            clients: Vec::new(),
            known: HashMap::new(),
            kind,
            shared: Arc::clone(&shared),
        };
        spawn(move || {
            prefer();
            while Arc::strong_count(&carrier.shared) > 1 {
                carrier.turn();
            }
        });
        Ok(Self {
            near: address,
            shared,
        })
    }

    /// How datagrams fare from now on, to the server and back.
    pub fn set(&self, there: Weather, back: Weather) {
        let mut shared = lock(&self.shared);
        shared.ways[0].set(there);
        shared.ways[1].set(back);
    }

    /// What was counted until now.
    #[must_use]
    pub fn wire(&self) -> Wire {
        let shared = lock(&self.shared);
        Wire {
            counts: shared.ways.each_ref().map(Queue::counts),
            ..shared.wire
        }
    }

    /// How late it was since this was asked last.
    #[must_use]
    pub fn lateness(&self) -> Lateness {
        let mut shared = lock(&self.shared);
        let late = std::mem::take(&mut shared.late);
        let most = std::mem::take(&mut shared.latest);
        let all: u64 = late.iter().sum();
        let mut seen = 0;
        let p99 = late.iter().position(|n| {
            seen += n;
            seen * 100 >= all * 99
        });
        let p99 = Duration::from_micros(1 << p99.unwrap_or_default()).min(most);
        Lateness { p99, most }
    }
}

/// Asks for the processor before others do; without the privilege it is one of them.
pub(crate) fn prefer() {
    let _ = rustix::process::setpriority_process(None, -20);
}

/// A socket on the same kind of address as `peer`, which loses nothing for want of a buffer.
pub(crate) fn socket(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(v4) if v4.ip().is_loopback() => (Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    widen(&socket);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The kernel grants what it may.
pub(crate) fn widen(socket: &UdpSocket) {
    let _ = SockRef::from(socket).set_recv_buffer_size(BUFFER);
    let _ = SockRef::from(socket).set_send_buffer_size(BUFFER);
}

#[derive(Debug)]
struct Shared {
    ways: [Queue<Parcel>; 2],
    wire: Wire,
    /// How many were so late: by the logarithm of microseconds.
    late: [u64; 32],
    latest: Duration,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A datagram, and whose it is.
#[derive(Debug, Clone)]
struct Parcel {
    client: usize,
    bytes: Bytes,
}

struct Carrier {
    server: SocketAddr,
    begin: Instant,
    near: UdpSocket,
    /// Where each is, and what the server sees it as.
    clients: Vec<(SocketAddr, UdpSocket)>,
    known: HashMap<SocketAddr, usize>,
    kind: fn(&[u8]) -> usize,
    shared: Arc<Mutex<Shared>>,
}

impl Carrier {
    /// Waits until something comes or is due, and carries it.
    fn turn(&mut self) {
        let now = self.begin.elapsed();
        let due = lock(&self.shared).ways.iter().filter_map(Queue::due).min();
        let wait = due.map_or(LOOK, |due| due.saturating_sub(now).min(LOOK));
        let ready = self.ready(wait);
        if ready.first() == Some(&true) {
            self.take_near();
        }
        for client in ready
            .iter()
            .skip(1)
            .enumerate()
            .filter_map(|(i, r)| r.then_some(i))
        {
            self.take_far(client);
        }
        self.deliver();
    }

    /// Which sockets have something, the near one first.
    fn ready(&self, wait: Duration) -> Vec<bool> {
        let sockets = std::iter::once(&self.near).chain(self.clients.iter().map(|(_, s)| s));
        let mut all: Vec<_> = sockets.map(|s| PollFd::new(s, PollFlags::IN)).collect();
        let wait = Timespec::try_from(wait).unwrap_or_default();
        let _ = poll(&mut all, Some(&wait));
        all.iter().map(|fd| !fd.revents().is_empty()).collect()
    }

    fn take_near(&mut self) {
        let mut buffer = [0; LARGEST];
        for _ in 0..TURN {
            let Ok((n, from)) = self.near.recv_from(&mut buffer) else {
                return;
            };
            if let Some(client) = self.client(from) {
                self.put(0, client, &buffer[..n]);
            }
        }
    }

    fn take_far(&self, client: usize) {
        let mut buffer = [0; LARGEST];
        for _ in 0..TURN {
            let Ok(n) = self.clients[client].1.recv(&mut buffer) else {
                return;
            };
            self.put(1, client, &buffer[..n]);
        }
    }

    fn put(&self, way: usize, client: usize, bytes: &[u8]) {
        let kind = (self.kind)(bytes).min(KINDS - 1);
        let parcel = Parcel {
            client,
            bytes: Bytes::copy_from_slice(bytes),
        };
        let now = self.begin.elapsed();
        let mut shared = lock(&self.shared);
        shared.wire.kinds[way][kind] += 1;
        shared.ways[way].put(parcel, bytes.len(), now);
    }

    /// Who sent from there; a new one gets a socket of its own.
    fn client(&mut self, from: SocketAddr) -> Option<usize> {
        if let Some(known) = self.known.get(&from) {
            return Some(*known);
        }
        if self.clients.len() >= CLIENTS {
            return None;
        }
        let socket = socket(self.server).ok()?;
        socket.connect(self.server).ok()?;
        self.clients.push((from, socket));
        self.known.insert(from, self.clients.len() - 1);
        Some(self.clients.len() - 1)
    }

    fn deliver(&self) {
        for way in 0..2 {
            loop {
                let now = self.begin.elapsed();
                let Some(parcel) = lock(&self.shared).due(way, now) else {
                    break;
                };
                let (address, socket) = &self.clients[parcel.client];
                // A socket that is full, or a peer that is gone, loses it, as a router does.
                let _ = match way {
                    0 => socket.send(&parcel.bytes),
                    _ => self.near.send_to(&parcel.bytes, address),
                };
            }
        }
    }
}

impl Shared {
    fn due(&mut self, way: usize, now: Duration) -> Option<Parcel> {
        let (parcel, due) = self.ways[way].take(now)?;
        let late = now.saturating_sub(due);
        let bucket = (u128::BITS - late.as_micros().leading_zeros()) as usize;
        self.late[bucket.min(31)] += 1;
        self.latest = self.latest.max(late);
        Some(parcel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
    }

    fn first(bytes: &[u8]) -> usize {
        usize::from(bytes[0])
    }

    #[test]
    fn each_client_is_an_address_of_its_own_and_gets_its_own_answers() {
        let server = bound();
        let link = Datagrams::lay(server.local_addr().unwrap(), 1, first).unwrap();
        let delay = Duration::from_millis(20);
        let weather = Weather {
            delay,
            ..Weather::default()
        };
        link.set(weather, weather);
        let clients = [bound(), bound()];
        let mut seen = Vec::new();
        for (n, client) in (1_u8..).zip(&clients) {
            let sent = Instant::now();
            client.send_to(&[n; 100], link.near).unwrap();
            let mut buffer = [0; 200];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], &[n; 100]);
            assert!(sent.elapsed() >= delay);
            server.send_to(&[n + 10], from).unwrap();
            assert_eq!(client.recv(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], n + 10);
            assert!(sent.elapsed() >= delay * 2);
            seen.push(from);
        }
        assert_ne!(seen[0], seen[1]);
        let wire = link.wire();
        assert_eq!(wire.counts.map(|c| (c.taken, c.bytes)), [(2, 200), (2, 2)]);
        assert_eq!(wire.kinds[0][..3], [0, 1, 1]);
        assert_eq!(wire.kinds[1][11..13], [1, 1]);
        assert_eq!(wire.since(&wire), Wire::default());
    }

    #[test]
    fn what_is_closed_lets_nothing_through_until_it_is_open() {
        let server = bound();
        let link = Datagrams::lay(server.local_addr().unwrap(), 1, first).unwrap();
        let closed = Weather {
            closed: true,
            ..Weather::default()
        };
        link.set(closed, Weather::default());
        let client = bound();
        client.send_to(b"1", link.near).unwrap();
        while link.wire().counts[0].lost == 0 {
            std::thread::yield_now();
        }
        link.set(Weather::default(), Weather::default());
        client.send_to(b"2", link.near).unwrap();
        let mut buffer = [0; 10];
        assert_eq!(server.recv(&mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], b'2');
    }
}
