//! A connection whose peer may send anything at any time.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use media::{Span, Timestamp};

use super::{ANSWERS, Agreed, BURST, Bounds, DROPS, Link, State, WORDS, timestamp};
use crate::batch::{Batch, MOST as BATCH};
use crate::cipher::{KeyLength, Material, Passphrase};
use crate::fuzz::record;
use crate::keys::{Keys, Refresh};
use crate::packet::{Control, Data, HEAD, Head, Kind, MOST, PAYLOAD, Parity};
use crate::seq::Seq;

const BOUNDS: Bounds = Bounds {
    packets: 512,
    idle: Span::from_secs(5),
    bandwidth: 20_000_000,
};
const START: Timestamp = Timestamp::from_millis(1_000);
/// Payloads that we send in one input.
const SENT: usize = 400;
/// How often time asks for something in one input before it leaps.
const TURNS: usize = 3_000;
/// What time alone asks for at once: to acknowledge, to ask (in several reports), to give up, keys,
/// a sign of life.
const AT_ONCE: usize = 7;

struct Peer {
    link: Link,
    now: Timestamp,
    first: Seq,
    turns: usize,
    /// Datagrams that came, and those that left without media.
    came: usize,
    words: usize,
    /// Bytes of those that left with media.
    bytes: i64,
    given: usize,
    is_deaf: bool,
    /// What acknowledgements said last.
    acked: u32,
    played: usize,
}

/// What both ends agree on, in twelve bytes, then steps: what, time, length in two bytes, body.
pub fn link(mut data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<12>() else {
        return;
    };
    data = rest;
    let mut peer = Peer::new(head);
    while let Some((&[step, time, ..], body)) = record::<4>(&mut data) {
        match step & 7 {
            0 => peer.datagram(body),
            1 => peer.media(step >> 3, body),
            2 | 3 => peer.report(step >> 3, body),
            4 => peer.give(body),
            5 => peer.answer(),
            6 if step == 0xfe => {
                peer.link.goodbye(peer.now);
                return;
            }
            _ => {}
        }
        // From nothing to six seconds and a half.
        let time = i64::from(time);
        peer.run(peer.now + Span::from_nanos(time * time * 100_000));
        if peer.link.state() != State::Open {
            return;
        }
    }
}

fn keys(refresh: u32) -> Option<Keys> {
    let (salt, even) = ([5; 16], Some(vec![7; 16]));
    let material = Material {
        salt,
        length: KeyLength::Aes128,
        even,
        odd: None,
    };
    let refresh = Refresh {
        every: refresh,
        announce: refresh / 4,
    };
    let passphrase = Passphrase::new("not-to-be-guessed")?;
    Keys::new(material, passphrase, refresh, Timestamp::ZERO)
}

impl Peer {
    fn new(head: &[u8; 12]) -> Self {
        let word = |at| crate::packet::word(head, at);
        let now = START;
        let first = Seq::new(word(4));
        let agreed = Agreed {
            peer: 1,
            send_from: first,
            receive_from: first,
            window: word(0) & 0xffff,
            receive_latency: Span::from_millis(i64::from(head[1]) * 40),
            send_latency: Span::from_millis(i64::from(head[1] >> 4) * 40),
            shaken: (word(8), now),
            keys: (head[0] & 1 > 0).then(|| keys(64)).flatten(),
            started: Timestamp::ZERO,
        };
        let mut link = Link::new(agreed, BOUNDS, Arc::default(), now);
        let is_deaf = head[0] & 2 > 0;
        if is_deaf {
            link.take_nothing();
        }
        Self {
            link,
            now,
            first,
            turns: 0,
            came: 0,
            words: 0,
            bytes: 0,
            given: 0,
            is_deaf,
            acked: 0,
            played: 0,
        }
    }

    fn datagram(&mut self, packet: &[u8]) {
        self.came += 1;
        self.link.datagram(packet, self.now);
    }

    /// Media near to what is expected: how far from it and how late, in two bytes each.
    fn media(&mut self, how: u8, body: &[u8]) {
        let (&[a, b, c, d], payload) = body.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let off = i16::from_be_bytes([a, b]);
        let late = u32::from(u16::from_be_bytes([c, d])) * 100;
        let head = Data {
            seq: self
                .link
                .receiver
                .end()
                .plus(i32::from(off).cast_unsigned()),
            message: 1,
            key: [None, Some(Parity::Even), Some(Parity::Odd)][usize::from(how) % 3],
            retransmitted: how & 4 > 0,
            timestamp: timestamp(Timestamp::ZERO, self.now).wrapping_sub(late),
            destination: 1,
        };
        let mut packet = BytesMut::from(&head.write()[..]);
        packet.put_slice(payload);
        let is_free = self.link.receiver.due().is_none();
        self.datagram(&packet);
        // Nobody is shut out for good, whatever was said to be gone.
        let taken = self.link.receiver.due().is_some();
        let fits = !self.is_deaf && off >= 0 && payload.len() <= MOST;
        assert!(taken || !is_free || !fits, "{:?} is not taken", head.seq);
    }

    /// What is said of packets: numbers of two bytes, from the first one that is held on.
    fn report(&mut self, how: u8, body: &[u8]) {
        const KINDS: [Kind; 6] = [
            Kind::Ack,
            Kind::Nak,
            Kind::DropRequest,
            Kind::AckAck,
            Kind::Extension(3),
            Kind::Extension(4),
        ];
        let base = match how & 16 {
            0 => self.link.sender.next(),
            _ => self.link.receiver.end(),
        };
        let head = Control {
            kind: KINDS[usize::from(how & 15) % KINDS.len()],
            info: u32::from(how),
            timestamp: timestamp(Timestamp::ZERO, self.now),
            destination: 1,
        };
        let mut packet = BytesMut::from(&head.write()[..]);
        for number in body.chunks_exact(2) {
            let off = i16::from_be_bytes([number[0], number[1]]);
            let range = u32::from(number[0] >> 6 == 1) << 31;
            let seq = base.plus(i32::from(off / 2).cast_unsigned());
            packet.put_u32(seq.raw() | range);
        }
        self.datagram(&packet);
    }

    /// So many payloads of such a length.
    fn give(&mut self, body: &[u8]) {
        let &[count, a, b] = body.first_chunk().unwrap_or(&[1, 5, 36]);
        let len = usize::from(u16::from_be_bytes([a, b])) % (PAYLOAD + 1);
        let payload = Bytes::from_static(&[0x47; PAYLOAD]).slice(..len);
        for _ in 0..usize::from(count).min(SENT - self.given) {
            self.given += 1;
            self.link.send(payload.clone(), self.now);
        }
    }

    /// The last acknowledgement is answered.
    fn answer(&mut self) {
        let head = Control {
            kind: Kind::AckAck,
            info: self.acked,
            timestamp: timestamp(Timestamp::ZERO, self.now),
            destination: 1,
        };
        self.datagram(&head.write());
    }

    /// Goes on until then, through whatever is due before.
    fn run(&mut self, until: Timestamp) {
        self.turn();
        while self.link.state() == State::Open && self.turns < TURNS {
            let due = self.link.deadline();
            if due > until {
                break;
            }
            self.now = due;
            self.turn();
        }
        self.now = until;
        self.turn();
    }

    /// All that is due now. It ends, and time goes on behind it.
    fn turn(&mut self) {
        for _ in 0..4 {
            self.turns += 1;
            self.link.advance(self.now);
            self.transmit();
            let mut out = Vec::new();
            self.link.play(self.now, &mut out);
            self.played += out.len();
            self.holds();
            if self.link.state() != State::Open || self.link.deadline() > self.now {
                return;
            }
        }
        panic!("due at {:?}, it is {:?}", self.link.deadline(), self.now);
    }

    fn transmit(&mut self) {
        loop {
            let mut batch = Batch::default();
            self.link.transmit(self.now, &mut batch);
            let Some(first) = batch.bodies.first().map(Bytes::len) else {
                return;
            };
            assert_eq!(batch.heads.len(), batch.bodies.len());
            let (last, others) = batch.bodies.split_last().expect("one at least");
            assert!(batch.bodies.len() <= BATCH && last.len() <= first);
            assert!(others.iter().all(|b| b.len() == first));
            for (head, body) in batch.heads.iter().zip(&batch.bodies) {
                self.leaves(head, body.len());
            }
        }
    }

    fn leaves(&mut self, head: &[u8; HEAD], body: usize) {
        match Head::read(head) {
            Some(Head::Control(control)) => {
                self.words += 1;
                if control.kind == Kind::Ack && control.info > 0 {
                    self.acked = control.info;
                }
            }
            Some(Head::Data(data)) => {
                assert!(data.seq.since(self.first) >= 0 && self.given > 0);
                self.bytes += (body + HEAD) as i64;
            }
            None => panic!("not a packet"),
        }
    }

    fn holds(&self) {
        let (link, most) = (&self.link, BOUNDS.packets);
        assert!(link.receiver.held() <= most && link.sender.held() <= most);
        assert!(link.words.len() <= WORDS && link.acks.waiting.len() <= ANSWERS);
        assert!(self.played <= self.came);
        // An answer, or as many as one report may ask for.
        let words = self.came * DROPS.max(2) + self.turns * AT_ONCE + 1;
        assert!(self.words <= words, "{} words", self.words);
        // The bandwidth, ahead by a little, and what one write holds.
        let passed = (self.now - START + BURST).as_nanos();
        let bytes = passed / 400 + (BATCH * (PAYLOAD + HEAD)) as i64;
        assert!(self.bytes <= bytes, "{} bytes", self.bytes);
    }
}
