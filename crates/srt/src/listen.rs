//! A port that many call: who they are and what they want, before any media flows.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use media::Timestamp;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cipher::{Material, Passphrase};
use crate::config::{Config, millis};
use crate::cookie::Cookies;
use crate::error::Reject;
use crate::handshake::{Delays, Extensions, Handshake, MAGIC, MTU, Request as Wish};
use crate::keys::Keys;
use crate::link::{Agreed, timestamp};
use crate::packet::{Head, Kind};
use crate::session::{Inbound, Parts, Session, since};
use crate::stats::Stats;
use crate::target::Target;
use crate::udp::Wire;

/// Datagrams that wait for their session; what comes beyond is lost, and asked for again.
const QUEUE: usize = 1024;
/// Datagrams that the listener takes before others have their turn.
const TURN: usize = 256;

/// Takes callers on one port.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    block: BytesMut,
}

/// Wrong passphrases of one address in a minute: each costs a millisecond of work. Many may share an
/// address, so it takes a flood.
const GUESSES: u32 = 3_000;
/// Addresses that they are counted of; with more of them all begin anew.
const GUESSERS: usize = 4096;

/// What came to a port and led nowhere.
#[derive(Debug, Default)]
pub struct PortStats {
    /// Datagrams for no session, or that are none of SRT.
    pub strays: AtomicU64,
    /// Datagrams whose session had not taken those before.
    pub overflows: AtomicU64,
    /// Handshakes without a cookie of ours.
    pub cookies: AtomicU64,
    /// Handshakes that were refused before anybody was asked, by [`Reject::name`].
    pub refused: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug)]
struct Shared {
    wire: Arc<Wire>,
    config: Config,
    cookies: Cookies,
    origin: Instant,
    table: Mutex<Table>,
    guesses: Mutex<Guesses>,
    stats: Arc<PortStats>,
}

/// Passphrases that were wrong in this minute, by address.
#[derive(Debug, Default)]
struct Guesses {
    minute: u64,
    wrong: HashMap<IpAddr, u32>,
}

/// Where a session takes what comes for it.
#[derive(Debug)]
struct Desk {
    peer: SocketAddr,
    queue: mpsc::Sender<BytesMut>,
    stats: Arc<Stats>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<u32, Desk>,
    /// By address and socket of the caller: its session, once it has one.
    callers: HashMap<(SocketAddr, u32), Option<u32>>,
    pending: HashMap<IpAddr, usize>,
    all_pending: usize,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Listens on a bound socket.
    #[must_use]
    pub fn new(socket: UdpSocket, config: Config) -> Self {
        let shared = Shared {
            wire: Arc::new(Wire::new(socket)),
            config,
            cookies: Cookies::default(),
            origin: Instant::now(),
            table: Mutex::default(),
            guesses: Mutex::default(),
            stats: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
            block: BytesMut::new(),
        }
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// As the socket says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.wire.local_addr()
    }

    /// What led nowhere.
    #[must_use]
    pub fn stats(&self) -> &Arc<PortStats> {
        &self.shared.stats
    }

    /// The next caller that has shown its address and said what it wants. All sessions of the port
    /// get their datagrams while this is awaited, and only then. Cancelling it loses nothing.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn accept(&mut self) -> io::Result<Request> {
        let mut turn = 0;
        loop {
            let shared = &self.shared;
            let block = &mut self.block;
            let (packet, peer) = poll_fn(|cx| shared.wire.poll_recv(cx, block)).await?;
            if let Some(request) = Shared::datagram(shared, packet, peer) {
                return Ok(request);
            }
            turn += 1;
            if turn % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Shared {
    fn datagram(shared: &Arc<Self>, packet: BytesMut, peer: SocketAddr) -> Option<Request> {
        let stray = || shared.stats.strays.fetch_add(1, Relaxed);
        let Some(head) = Head::read(&packet) else {
            stray();
            return None;
        };
        if head.destination() != 0 {
            shared.pass(head.destination(), packet, peer);
            return None;
        }
        if !matches!(head, Head::Control(c) if c.kind == Kind::Handshake) {
            stray();
            return None;
        }
        Self::handshake(shared, packet, peer)
    }

    fn pass(&self, session: u32, packet: BytesMut, peer: SocketAddr) {
        let table = self.table();
        let found = table.sessions.get(&session);
        let Some(desk) = found.filter(|desk| desk.peer == peer) else {
            self.stats.strays.fetch_add(1, Relaxed);
            return;
        };
        if desk.queue.try_send(packet).is_err() {
            self.stats.overflows.fetch_add(1, Relaxed);
            desk.stats.overflowed.fetch_add(1, Relaxed);
        }
    }

    /// Looks at a passphrase, unless its address had too many wrong ones.
    fn guess<T>(
        &self,
        peer: SocketAddr,
        look: impl FnOnce() -> Result<T, Reject>,
    ) -> Result<T, Reject> {
        let address = peer.ip().to_canonical();
        let guesses = || self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut known, minute) = (guesses(), self.minute());
        if known.minute != minute || known.wrong.len() >= GUESSERS {
            known.minute = minute;
            known.wrong.clear();
        }
        if known.wrong.get(&address).is_some_and(|n| *n >= GUESSES) {
            return Err(Reject::Overload);
        }
        drop(known);
        look().inspect_err(|_| *guesses().wrong.entry(address).or_default() += 1)
    }

    fn minute(&self) -> u64 {
        self.origin.elapsed().as_secs() / 60
    }

    fn handshake(shared: &Arc<Self>, packet: BytesMut, peer: SocketAddr) -> Option<Request> {
        let came = Instant::now();
        let shake = match Handshake::read(&packet) {
            Ok(shake) => shake,
            Err(why) => {
                shared.refuse_unread(&packet, peer, why);
                return None;
            }
        };
        match shake.request {
            Wish::Induction => shared.induct(&shake, peer),
            Wish::Conclusion if shared.cookies.knows(shake.cookie, peer, shared.minute()) => {
                return Self::conclude(shared, shake, packet, peer, came);
            }
            // Nobody answers one that may not be where it says it is.
            Wish::Conclusion => {
                shared.stats.cookies.fetch_add(1, Relaxed);
            }
            _ => {
                shared.stats.strays.fetch_add(1, Relaxed);
            }
        }
        None
    }

    /// A conclusion that cannot be read: its cookie decides whether it is answered.
    fn refuse_unread(&self, packet: &[u8], peer: SocketAddr, why: Reject) {
        let cookie = crate::packet::word(packet, 44);
        let socket = crate::packet::word(packet, 40);
        if packet.len() >= 64 && self.cookies.knows(cookie, peer, self.minute()) {
            self.turn_away(socket, peer, why);
        } else {
            self.stats.strays.fetch_add(1, Relaxed);
        }
    }

    /// The answer is as long as the question, and nothing is kept of it.
    fn induct(&self, shake: &Handshake, peer: SocketAddr) {
        let answer = Handshake {
            extension: MAGIC,
            isn: shake.isn,
            socket: shake.socket,
            cookie: self.cookies.make(peer, self.minute()),
            ..Handshake::to(shake.socket, self.config.packets)
        };
        self.wire.try_send(&answer.write(peer.ip()), peer);
    }

    /// Nobody else hears of it.
    fn turn_away(&self, socket: u32, peer: SocketAddr, why: Reject) {
        let mut refused = self
            .stats
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *refused.entry(why.name()).or_default() += 1;
        drop(refused);
        self.refuse(socket, peer, why);
    }

    fn refuse(&self, socket: u32, peer: SocketAddr, why: Reject) {
        let answer = Handshake {
            request: Wish::Refused(1000 + why.code()),
            ..Handshake::to(socket, self.config.packets)
        };
        self.wire.try_send(&answer.write(peer.ip()), peer);
    }

    fn conclude(
        shared: &Arc<Self>,
        shake: Handshake,
        packet: BytesMut,
        peer: SocketAddr,
        came: Instant,
    ) -> Option<Request> {
        let caller = (peer, shake.socket);
        let known = shared.table().callers.get(&caller).copied();
        match known {
            // It did not hear the answer: the session says it again.
            Some(Some(session)) => {
                shared.pass(session, packet, peer);
                return None;
            }
            // Whoever decides has not yet.
            Some(None) => return None,
            None => {}
        }
        if shake.version != 5 || shake.extensions.delays.is_none() {
            shared.turn_away(shake.socket, peer, Reject::Version);
            return None;
        }
        if !shared.table().admit(caller, &shared.config) {
            shared.turn_away(shake.socket, peer, Reject::Overload);
            return None;
        }
        Some(Request {
            target: Target::parse(shake.extensions.stream_id.as_deref().unwrap_or_default()),
            shake,
            came,
            unlocked: None,
            pending: Pending {
                shared: Arc::clone(shared),
                caller,
            },
        })
    }
}

impl Table {
    fn admit(&mut self, caller: (SocketAddr, u32), config: &Config) -> bool {
        let address = caller.0.ip().to_canonical();
        let of_address = self.pending.get(&address).copied().unwrap_or(0);
        if self.all_pending >= config.max_pending || of_address >= config.max_pending_per_address {
            return false;
        }
        self.all_pending += 1;
        *self.pending.entry(address).or_default() += 1;
        self.callers.insert(caller, None);
        true
    }

    /// It waits no more.
    fn settle(&mut self, caller: (SocketAddr, u32)) {
        let address = caller.0.ip().to_canonical();
        self.all_pending = self.all_pending.saturating_sub(1);
        if let Some(of_address) = self.pending.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                self.pending.remove(&address);
            }
        }
        if self.callers.get(&caller) == Some(&None) {
            self.callers.remove(&caller);
        }
    }

    fn free_id(&self) -> u32 {
        loop {
            // libsrt marks groups by the bit above.
            let id = rand::random_range(1..1 << 30);
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

/// A caller that nobody has decided on.
#[derive(Debug)]
struct Pending {
    shared: Arc<Shared>,
    caller: (SocketAddr, u32),
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared.table().settle(self.caller);
    }
}

/// A session's place in the table of its port.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    caller: (SocketAddr, u32),
    id: u32,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        table.sessions.remove(&self.id);
        table.callers.remove(&self.caller);
    }
}

/// What a caller is let in with.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The least latency, where it is another than the port's.
    pub latency: Option<Duration>,
    /// Where the session counts; several may count together.
    pub stats: Arc<Stats>,
}

/// A caller, and what it wants. Dropping it tells the caller nothing.
pub struct Request {
    target: Target,
    shake: Handshake,
    came: Instant,
    /// Its key, once it was looked at; none where it encrypts nothing.
    unlocked: Option<Option<(Material, Passphrase)>>,
    pending: Pending,
}

/// What it knows stays out of logs.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("peer", &self.peer())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.pending.caller.0
    }

    /// What its stream id says.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it encrypts.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.shake.extensions.key.is_some()
    }

    /// Tells the caller why not.
    pub fn reject(self, why: Reject) {
        self.pending
            .shared
            .refuse(self.shake.socket, self.peer(), why);
    }

    /// Looks whether the caller knows what it must: the passphrase, or none where there is none. May
    /// be asked again, about another one.
    ///
    /// # Errors
    /// It does not know the passphrase, or encrypts where it is not to; or too many of its address
    /// did not know one. It was not told so yet.
    pub fn unlock(&mut self, passphrase: Option<Passphrase>) -> Result<(), Reject> {
        self.unlocked = None;
        self.unlocked = Some(match (passphrase, &self.shake.extensions.key) {
            (None, None) => None,
            (Some(passphrase), Some(message)) => {
                let look = || Material::read(message, &passphrase);
                let material = self.pending.shared.guess(self.peer(), look)?;
                Some((material, passphrase))
            }
            _ => return Err(Reject::Unsecure),
        });
        Ok(())
    }

    /// Lets the caller in; one that was not unlocked must not encrypt.
    ///
    /// # Errors
    /// It encrypts, or with keys that cannot be; it was told so.
    pub fn accept(mut self, terms: Terms) -> Result<Session, Reject> {
        match self.keys() {
            Ok(keys) => Ok(self.admit(keys, terms)),
            Err(why) => {
                self.reject(why);
                Err(why)
            }
        }
    }

    fn keys(&mut self) -> Result<Option<Keys>, Reject> {
        if self.unlocked.is_none() {
            self.unlock(None)?;
        }
        let Some((material, passphrase)) = self.unlocked.take().flatten() else {
            return Ok(None);
        };
        let refresh = self.pending.shared.config.refresh;
        let keys = Keys::new(material, passphrase, refresh, since(self.came));
        keys.map(Some).ok_or(Reject::Rogue)
    }

    fn admit(self, keys: Option<Keys>, terms: Terms) -> Session {
        let shared = Arc::clone(&self.pending.shared);
        let caller = self.pending.caller;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let id = {
            let mut table = shared.table();
            let id = table.free_id();
            let desk = Desk {
                peer: caller.0,
                queue: sender,
                stats: Arc::clone(&terms.stats),
            };
            table.sessions.insert(id, desk);
            table.callers.insert(caller, Some(id));
            id
        };
        let mut config = shared.config;
        config.latency = terms.latency.unwrap_or(config.latency);
        let asked = self.shake.extensions.delays.unwrap_or_default();
        let delays = Delays {
            receiver: config.agree(asked.sender),
            sender: config.agree(asked.receiver),
        };
        let answer = self.answer(id, delays, shared.config.packets);
        shared.wire.try_send(&answer, caller.0);
        let agreed = Agreed {
            peer: self.shake.socket,
            // The caller's number goes for both directions.
            send_from: self.shake.isn,
            receive_from: self.shake.isn,
            window: self.shake.window,
            receive_latency: millis(delays.receiver),
            send_latency: millis(delays.sender),
            shaken: (self.shake.timestamp, Timestamp::ZERO),
            keys,
            started: Timestamp::ZERO,
        };
        let wire = Arc::clone(&shared.wire);
        let parts = Parts {
            wire,
            inbound: Inbound::Shared {
                packets: receiver,
                _seat: Seat { shared, caller, id },
            },
            peer: caller.0,
            answer: Some(answer),
            stats: terms.stats,
            origin: self.came,
        };
        Session::new(parts, agreed, &config)
    }

    fn answer(&self, id: u32, delays: Delays, window: usize) -> BytesMut {
        let extensions = Extensions {
            delays: Some(delays),
            stream_id: None,
            key: self.shake.extensions.key.clone(),
            answers: true,
        };
        let answer = Handshake {
            // Media is stamped by the same clock, however long the decision took.
            timestamp: timestamp(Timestamp::ZERO, since(self.came)),
            encryption: self.shake.encryption,
            extension: extensions.flags(),
            isn: self.shake.isn,
            mtu: MTU.min(self.shake.mtu),
            request: Wish::Conclusion,
            socket: id,
            cookie: self.shake.cookie,
            extensions,
            ..Handshake::to(self.shake.socket, window)
        };
        answer.write(self.peer().ip())
    }
}
