//! A connection as a state machine: datagrams and time in, datagrams and payloads out.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use media::{Span, Timestamp};

use crate::batch::Batch;
use crate::control::{self, Ack};
use crate::handshake::{KMREQ, KMRSP};
use crate::keys::Keys;
use crate::packet::{Control, Data, HEAD, Head, Kind, MOST, Parity};
use crate::playout::Playout;
use crate::receiver::{Receiver, Taken};
use crate::rtt::Rtt;
use crate::sender::{Sender, Sent};
use crate::seq::Seq;
use crate::stats::{Stats, count, set};

/// What came is acknowledged so often (draft-sharabayko-srt-01, 3.2.4).
const ACK: Span = Span::from_millis(10);
/// Between, a short word after so many packets.
const LIGHT: u32 = 64;
/// Who has nothing to say says so.
const KEEP_ALIVE: Span = Span::from_millis(1_000);
/// Who is not looked at for so long was not run: what came meanwhile is read yet, and the peer is not
/// the one that was silent.
const STALL: Span = Span::from_millis(2_000);
/// Acknowledgements whose answers are waited for.
const ANSWERS: usize = 64;
/// An announcement of keys that is not answered is sent again after this at least.
const ANNOUNCE: Span = Span::from_millis(100);
/// What a loss report holds.
const REPORT: usize = MOST;
/// What must go on when everything else waits: words beyond are dropped, they are said again.
const WORDS: usize = 256;
/// What is gone is told so often in answer to one report; what is still missed is asked for again.
const DROPS: usize = 16;
/// So much is made room for at once.
const ROOM: usize = 64 << 10;
/// What a peer's clock may be ahead of ours, beyond the latency.
const AHEAD: Span = Span::from_millis(1_000);
/// What may leave at once, in time at the bandwidth.
const BURST: Span = Span::from_millis(10);

/// What both ends have agreed on.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// The peer's socket.
    pub(crate) peer: u32,
    pub(crate) send_from: Seq,
    pub(crate) receive_from: Seq,
    /// Packets that the peer has room for.
    pub(crate) window: u32,
    pub(crate) receive_latency: Span,
    pub(crate) send_latency: Span,
    /// The peer's timestamp in its handshake, and when that came.
    pub(crate) shaken: (u32, Timestamp),
    pub(crate) keys: Option<Keys>,
    /// When our clock was at zero.
    pub(crate) started: Timestamp,
}

/// Bounds of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Packets that are held in either direction.
    pub(crate) packets: usize,
    /// A peer that says nothing for so long is gone.
    pub(crate) idle: Span,
    /// Bits per second that are sent at most.
    pub(crate) bandwidth: u64,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// The peer said goodbye.
    Closed,
    /// The peer said nothing for too long.
    Lost,
}

#[derive(Debug)]
pub(crate) struct Link {
    peer: u32,
    started: Timestamp,
    bounds: Bounds,
    sender: Sender,
    receiver: Receiver,
    playout: Playout,
    rtt: Rtt,
    keys: Option<Keys>,
    /// Ciphertext is made here.
    room: BytesMut,
    /// What comes is kept here: it must not hold up the port's blocks, which others share.
    kept: BytesMut,
    /// What the peer sends is of no use.
    deaf: bool,
    words: VecDeque<(Control, Bytes)>,
    acks: Acks,
    heard: Timestamp,
    /// When time was looked at last.
    ran: Timestamp,
    spoke: Timestamp,
    /// When all that was sent would have left at the bandwidth.
    paced: Timestamp,
    state: State,
    stats: Arc<Stats>,
}

/// What was acknowledged, and which of it was heard.
#[derive(Debug)]
struct Acks {
    number: u32,
    /// What was told last, and when.
    told: Seq,
    at: Timestamp,
    /// What the peer is known to know.
    known: Seq,
    waiting: VecDeque<(u32, Timestamp, Seq)>,
    /// Packets since the last word.
    packets: u32,
    bytes: u64,
    /// Of the last second.
    rate: (u32, u32),
    second: (Timestamp, u32, u64),
}

impl Link {
    pub(crate) fn new(agreed: Agreed, bounds: Bounds, stats: Arc<Stats>, now: Timestamp) -> Self {
        let millis = |span: Span| u64::try_from(span.as_millis()).unwrap_or(0);
        set(&stats.receive_latency_ms, millis(agreed.receive_latency));
        set(&stats.send_latency_ms, millis(agreed.send_latency));
        let window = usize::try_from(agreed.window).unwrap_or(usize::MAX).max(2);
        let (timestamp, came) = agreed.shaken;
        Self {
            peer: agreed.peer,
            started: agreed.started,
            bounds,
            sender: Sender::new(
                agreed.send_from,
                agreed.send_latency,
                window,
                bounds.packets,
            ),
            receiver: Receiver::new(agreed.receive_from, bounds.packets, agreed.receive_latency),
            playout: Playout::new(timestamp, came, agreed.receive_latency),
            rtt: Rtt::default(),
            keys: agreed.keys,
            room: BytesMut::new(),
            kept: BytesMut::new(),
            deaf: false,
            words: VecDeque::new(),
            acks: Acks {
                number: 0,
                told: agreed.receive_from,
                at: now,
                known: agreed.receive_from,
                waiting: VecDeque::new(),
                packets: 0,
                bytes: 0,
                rate: (0, 0),
                second: (now, 0, 0),
            },
            heard: now,
            ran: now,
            spoke: now,
            paced: now - BURST,
            state: State::Open,
            stats,
        }
    }

    /// Media that comes is not taken: it is neither kept nor acknowledged.
    pub(crate) fn take_nothing(&mut self) {
        self.deaf = true;
    }

    /// For how long nothing that was sent has been acknowledged.
    pub(crate) fn unheard(&self, now: Timestamp) -> Span {
        self.sender.unheard(now)
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Packets that the peer has no room for, or the socket none.
    pub(crate) fn waiting(&self) -> usize {
        self.sender.waiting()
    }

    pub(crate) const fn receive_latency(&self) -> Span {
        self.playout.latency()
    }

    /// A datagram of this connection.
    pub(crate) fn datagram(&mut self, packet: &[u8], now: Timestamp) {
        if self.state != State::Open {
            return;
        }
        match Head::read(packet) {
            Some(Head::Data(head)) => self.data(head, &packet[HEAD..], now),
            Some(Head::Control(head)) => self.control(head, &packet[HEAD..], now),
            None => count(&self.stats.broken, 1),
        }
    }

    fn data(&mut self, head: Data, payload: &[u8], now: Timestamp) {
        if payload.len() > MOST {
            return count(&self.stats.broken, 1);
        }
        self.heard = now;
        if self.deaf {
            return;
        }
        count(&self.stats.received, 1);
        count(&self.stats.received_bytes, payload.len() as u64);
        count(&self.stats.received_again, head.retransmitted.into());
        self.acks.packets = self.acks.packets.wrapping_add(1);
        self.acks.bytes += payload.len() as u64;
        if self.receiver.is_late(head.seq) {
            count(&self.stats.received_late, 1);
        } else {
            self.place(head, payload, now);
        }
        if self.acks.packets.is_multiple_of(LIGHT) {
            let upto = self.receiver.acknowledged();
            let cif = Ack {
                upto,
                ..Ack::default()
            }
            .write();
            self.say(Kind::Ack, 0, cif, now);
        }
    }

    /// A packet that may have a place: what has none pins no memory.
    fn place(&mut self, head: Data, payload: &[u8], now: Timestamp) {
        let mut payload = self.keep(payload);
        let opened = match (&self.keys, head.key) {
            (None, None) => true,
            (Some(keys), Some(parity)) => keys.open(parity, head.seq, &mut payload),
            _ => false,
        };
        count(&self.stats.undecrypted, (!opened).into());
        let payload = opened.then(|| payload.freeze());
        // A clock that leaps ahead has nothing held for longer.
        let latest = now + self.playout.latency() + AHEAD;
        let at = self.playout.time(head.timestamp).min(latest);
        let (held, end) = (self.receiver.held(), self.receiver.end());
        match self.receiver.push(head.seq, payload, at) {
            Taken::Placed => {
                let behind = self.receiver.held().saturating_sub(held + 1);
                let is_new = head.seq.since(end) >= 0;
                count(
                    &self.stats.received_lost,
                    if is_new { behind as u64 } else { 0 },
                );
            }
            Taken::Behind(given_up) => {
                count(&self.stats.received_lost, given_up);
                count(&self.stats.received_dropped, given_up);
            }
            Taken::Late => count(&self.stats.received_late, 1),
            Taken::Outside => count(&self.stats.broken, 1),
        }
    }

    fn keep(&mut self, payload: &[u8]) -> BytesMut {
        if self.kept.capacity() < payload.len() {
            self.kept = BytesMut::with_capacity(ROOM);
        }
        self.kept.extend_from_slice(payload);
        self.kept.split()
    }

    fn control(&mut self, head: Control, cif: &[u8], now: Timestamp) {
        self.heard = now;
        match head.kind {
            Kind::Ack => self.acknowledged(head, cif, now),
            Kind::Nak => self.missed(cif, now),
            Kind::AckAck => self.answered(head, now),
            Kind::DropRequest if self.deaf => {}
            Kind::DropRequest => {
                if let Some((first, last)) = control::dropped(cif) {
                    let missing = self.receiver.give_up(first, last);
                    count(&self.stats.received_dropped, missing);
                }
            }
            Kind::Shutdown => self.state = State::Closed,
            Kind::Extension(KMREQ) => {
                let answer = self.keys.as_mut().and_then(|k| k.told(cif, now));
                if let Some(answer) = answer {
                    self.say(Kind::Extension(KMRSP), 0, answer, now);
                }
            }
            Kind::Extension(KMRSP) => {
                if let Some(keys) = &mut self.keys {
                    keys.answered(cif);
                }
            }
            Kind::KeepAlive | Kind::CongestionWarning | Kind::PeerError | Kind::Handshake => {}
            Kind::Extension(_) | Kind::Unknown(_) => count(&self.stats.broken, 1),
        }
    }

    fn acknowledged(&mut self, head: Control, cif: &[u8], now: Timestamp) {
        let Some(ack) = Ack::read(cif).filter(|a| self.sender.acknowledge(a.upto, a.room)) else {
            return count(&self.stats.broken, 1);
        };
        if let Some((rtt, _)) = ack.rtt {
            self.measured(Span::from_nanos(i64::from(rtt) * 1_000));
            // libsrt drops control packets without a body.
            self.say(Kind::AckAck, head.info, Bytes::from_static(&[0; 4]), now);
        }
    }

    fn measured(&mut self, rtt: Span) {
        self.rtt.sample(rtt);
        set(&self.stats.rtt_us, self.rtt.micros().0.into());
    }

    fn missed(&mut self, cif: &[u8], now: Timestamp) {
        let mut before: Option<Seq> = None;
        let mut gone = 0;
        for (first, last) in control::losses(cif) {
            // In order and none twice: an absurd report costs one walk over what is held.
            if before.is_some_and(|b| first.since(b) <= 0) {
                continue;
            }
            before = Some(last);
            let held = i64::try_from(self.sender.held()).unwrap_or(0);
            let lost = (i64::from(last.since(first)) + 1).min(held);
            count(&self.stats.sent_lost, u64::try_from(lost).unwrap_or(0));
            if let Some((first, last)) = self.sender.lost(first, last)
                && gone < DROPS
            {
                gone += 1;
                let cif = control::write_dropped(first, last);
                self.say(Kind::DropRequest, 0, cif, now);
            }
        }
    }

    fn answered(&mut self, head: Control, now: Timestamp) {
        let waiting = &mut self.acks.waiting;
        let Some(at) = waiting.iter().position(|(number, ..)| *number == head.info) else {
            return;
        };
        let Some((_, sent, upto)) = waiting.drain(..=at).next_back() else {
            return;
        };
        self.acks.known = upto;
        let rtt = now - sent;
        self.measured(rtt);
        self.playout.sample(head.timestamp, now, rtt);
    }

    /// Sends a payload as soon as may be.
    pub(crate) fn send(&mut self, payload: Bytes, now: Timestamp) {
        let (payload, key) = self.seal(payload);
        let dropped = self.sender.push(payload, key, now);
        count(&self.stats.sent_dropped, dropped as u64);
    }

    fn seal(&mut self, payload: Bytes) -> (Bytes, Option<Parity>) {
        let Some(keys) = &mut self.keys else {
            return (payload, None);
        };
        if self.room.capacity() < payload.len() {
            self.room = BytesMut::with_capacity(ROOM);
        }
        self.room.extend_from_slice(&payload);
        let mut sealed = self.room.split();
        let parity = keys.seal(self.sender.next(), &mut sealed);
        (sealed.freeze(), Some(parity))
    }

    /// What time asks for.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.state != State::Open {
            return;
        }
        let away = now - std::mem::replace(&mut self.ran, now);
        if away > STALL {
            self.heard = (self.heard + away).min(now);
        }
        if now - self.heard >= self.bounds.idle {
            self.state = State::Lost;
            return;
        }
        if self.ack_at().is_some_and(|at| at <= now) {
            self.acknowledge(now);
        }
        if self.receiver.ask_at(&self.rtt).is_some_and(|at| at <= now) {
            let missing = self.receiver.missing(now, &self.rtt);
            for some in missing.chunks(REPORT / 8) {
                let cif = control::write_losses(some.iter().copied(), REPORT);
                self.say(Kind::Nak, 0, cif, now);
            }
        }
        if let Some((first, last)) = self.sender.give_up(now) {
            let dropped = u64::from(last.since(first).unsigned_abs()) + 1;
            count(&self.stats.sent_dropped, dropped);
            self.say(
                Kind::DropRequest,
                0,
                control::write_dropped(first, last),
                now,
            );
        }
        let again = self.rtt.patience().max(ANNOUNCE);
        let keys = self.keys.as_mut().and_then(|k| k.announcement(now, again));
        if let Some(message) = keys {
            self.say(Kind::Extension(KMREQ), 0, message, now);
        }
        if now - self.spoke >= KEEP_ALIVE {
            self.say(Kind::KeepAlive, 0, Bytes::from_static(&[0; 4]), now);
        }
    }

    /// When something is to be acknowledged: what is new soon, what was not heard once more.
    fn ack_at(&self) -> Option<Timestamp> {
        let upto = self.receiver.acknowledged();
        if upto != self.acks.told {
            return Some(self.acks.at + ACK);
        }
        let patience = self.rtt.patience().max(ACK);
        (upto != self.acks.known).then(|| self.acks.at + patience)
    }

    fn acknowledge(&mut self, now: Timestamp) {
        self.acks.count_rate(now);
        let upto = self.receiver.acknowledged();
        let acks = &mut self.acks;
        // An answer without a number would be none.
        acks.number = acks.number.checked_add(1).unwrap_or(1);
        (acks.told, acks.at) = (upto, now);
        acks.waiting.push_back((acks.number, now, upto));
        if acks.waiting.len() > ANSWERS {
            acks.waiting.pop_front();
        }
        let (number, rate) = (acks.number, acks.rate);
        let ack = Ack {
            upto,
            rtt: Some(self.rtt.micros()),
            room: Some(self.receiver.room().max(2)),
            rate,
        };
        self.say(Kind::Ack, number, ack.write(), now);
    }

    fn say(&mut self, kind: Kind, info: u32, cif: Bytes, now: Timestamp) {
        if self.words.len() >= WORDS {
            return;
        }
        self.spoke = now;
        let control = Control {
            kind,
            info,
            timestamp: timestamp(self.started, now),
            destination: self.peer,
        };
        self.words.push_back((control, cif));
    }

    /// Behind what is to be said already.
    pub(crate) fn say_goodbye(&mut self, now: Timestamp) {
        self.say(Kind::Shutdown, 0, Bytes::from_static(&[0; 4]), now);
    }

    /// The last packet that is to be sent.
    pub(crate) fn goodbye(&self, now: Timestamp) -> BytesMut {
        let control = Control {
            kind: Kind::Shutdown,
            info: 0,
            timestamp: timestamp(self.started, now),
            destination: self.peer,
        };
        let mut packet = BytesMut::from(&control.write()[..]);
        packet.extend_from_slice(&[0; 4]);
        packet
    }

    /// Fills what leaves together: words alone, packets of equal length at once.
    pub(crate) fn transmit(&mut self, now: Timestamp, batch: &mut Batch) {
        if let Some((control, cif)) = self.words.pop_front() {
            return batch.push(control.write(), cif);
        }
        if self.paced > now {
            return;
        }
        let (peer, started) = (self.peer, self.started);
        let head = |seq: Seq, sent: &Sent, retransmitted: bool| {
            let data = Data {
                seq,
                message: sent.message,
                key: sent.key,
                retransmitted,
                timestamp: timestamp(started, sent.origin),
                destination: peer,
            };
            data.write()
        };
        // One at a time: they are few, and of any length.
        if let Some((seq, sent)) = self.sender.next_lost(now, &self.rtt) {
            count(&self.stats.sent_again, 1);
            batch.push(head(seq, sent, true), sent.payload.clone());
            return self.left(batch, now);
        }
        while let Some(len) = self.sender.next_len().filter(|len| batch.takes(*len)) {
            let Some((seq, sent)) = self.sender.next_new(now) else {
                return;
            };
            count(&self.stats.sent, 1);
            count(&self.stats.sent_bytes, len as u64);
            batch.push(head(seq, sent, false), sent.payload.clone());
        }
        self.left(batch, now);
    }

    /// These packets leave now.
    fn left(&mut self, batch: &Batch, now: Timestamp) {
        if batch.is_empty() {
            return;
        }
        self.spoke = now;
        let bytes: usize = batch.bodies.iter().map(|b| b.len() + HEAD).sum();
        let bits = u64::try_from(bytes)
            .unwrap_or(0)
            .saturating_mul(8_000_000_000);
        let takes = bits / self.bounds.bandwidth.max(1);
        let earliest = now - BURST;
        let takes = Span::from_nanos(i64::try_from(takes).unwrap_or(i64::MAX / 4));
        self.paced = self.paced.max(earliest) + takes;
    }

    /// Appends what is to be played now.
    pub(crate) fn play(&mut self, now: Timestamp, out: &mut Vec<Bytes>) {
        let dropped = self.receiver.play(now, out);
        count(&self.stats.received_dropped, dropped);
    }

    /// Appends all that is held: nothing more will come.
    pub(crate) fn play_all(&mut self, out: &mut Vec<Bytes>) {
        self.receiver.play_all(out);
    }

    /// When time asks for something next.
    pub(crate) fn deadline(&self) -> Timestamp {
        let due = [
            self.ack_at(),
            self.receiver.due(),
            self.receiver.ask_at(&self.rtt),
            self.sender.deadline(),
            self.keys.as_ref().and_then(Keys::deadline),
            Some(self.spoke + KEEP_ALIVE),
            self.sender.is_ready().then_some(self.paced),
        ];
        let soonest = due.into_iter().flatten().min();
        let idle = self.heard + self.bounds.idle;
        soonest.map_or(idle, |at| at.min(idle))
    }
}

/// Microseconds on a clock that began then, modulo 2^32.
pub(crate) fn timestamp(started: Timestamp, at: Timestamp) -> u32 {
    let micros = (at - started).as_nanos() / 1_000;
    u32::try_from(micros & i64::from(u32::MAX)).unwrap_or(0)
}

impl Acks {
    fn count_rate(&mut self, now: Timestamp) {
        let (since, packets, bytes) = self.second;
        let passed = (now - since).as_millis();
        if passed < 1_000 {
            return;
        }
        let passed = u64::try_from(passed).unwrap_or(1).max(1);
        let per_second = |n: u64| u32::try_from(n * 1_000 / passed).unwrap_or(u32::MAX);
        let came = u64::from(self.packets.wrapping_sub(packets));
        self.rate = (per_second(came), per_second(self.bytes - bytes));
        self.second = (now, self.packets, self.bytes);
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
