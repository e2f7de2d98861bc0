//! Key material: of a peer that has the passphrase, and of one that has not.

use media::{Span, Timestamp};

use super::{change, record};
use crate::cipher::{KeyLength, Material, Passphrase};
use crate::keys::{Keys, Refresh};
use crate::packet::Parity;
use crate::seq::Seq;

/// What is done with keys in one input: each step may work some out, which takes a millisecond.
const STEPS: usize = 8;
/// Packets under one key.
const EVERY: u32 = 8;
const BODY: [u8; 12] = *b"transported!";

/// Two ends, and what somebody else puts between them.
struct Ends {
    passphrase: Passphrase,
    length: KeyLength,
    sender: Keys,
    receiver: Keys,
    now: Timestamp,
    seq: Seq,
    /// Whether the receiver has heard all keys of the sender and none of others.
    knows: bool,
}

/// How long keys are and when they are renewed, then steps: what, time in 10 ms, length in two
/// bytes, body.
pub fn key(data: &[u8]) {
    let Some((first, mut data)) = data.split_first() else {
        return;
    };
    let mut ends = Ends::new(*first);
    for _ in 0..STEPS {
        let Some((&[step, time, ..], body)) = record::<4>(&mut data) else {
            return;
        };
        ends.now += Span::from_millis(i64::from(time) * 10);
        match step & 3 {
            0 => ends.told(body),
            1 => ends.made(body, step >> 2),
            2 => ends.packets(body.len() % 5, step & 4 > 0),
            _ => {
                ends.receiver.answered(body);
                ends.sender.answered(body);
            }
        }
    }
}

impl Ends {
    fn new(first: u8) -> Self {
        let lengths = [KeyLength::Aes128, KeyLength::Aes192, KeyLength::Aes256];
        let length = lengths[usize::from(first) % 3];
        let passphrase = Passphrase::new("not-to-be-guessed").expect("long enough");
        let refresh = Refresh {
            every: EVERY,
            announce: u32::from(first) / 3 % 16,
        };
        let material = material(length, 1, &[]);
        let keys = || {
            Keys::new(
                material.clone(),
                passphrase.clone(),
                refresh,
                Timestamp::ZERO,
            )
        };
        Self {
            sender: keys().expect("a key"),
            receiver: keys().expect("a key"),
            passphrase: passphrase.clone(),
            length,
            now: Timestamp::ZERO,
            seq: Seq::new(0x7fff_fffe),
            knows: true,
        }
    }

    /// A message of anybody.
    fn told(&mut self, message: &[u8]) {
        let read = Material::read(message, &self.passphrase);
        if let Ok(material) = &read {
            // Between them lies what nobody reads.
            let again = material.write(&self.passphrase);
            assert_eq!((again[3], &again[14..]), (message[3] & 3, &message[14..]));
        }
        let answer = self.receiver.told(message, self.now);
        let taken = answer.as_deref() == Some(message);
        let refused = answer.as_deref() == Some(&[0, 0, 0, 4]);
        assert!(answer.is_none() || taken || refused, "{answer:?}");
        assert!(!taken || read.is_ok());
        self.knows &= !taken;
    }

    /// A message under our passphrase, with bytes of it changed.
    fn made(&mut self, body: &[u8], parities: u8) {
        let (of_keys, rest) = body.split_at(body.len().min(80));
        let material = material(self.length, parities, of_keys);
        let mut message = material.write(&self.passphrase).to_vec();
        change(&mut message, rest);
        self.told(&message);
    }

    /// So many packets on their way, and announcements where they are not lost.
    fn packets(&mut self, count: usize, lost: bool) {
        for _ in 0..count {
            self.seq = self.seq.next();
            let mut payload = BODY;
            let parity = self.sender.seal(self.seq, &mut payload);
            assert_ne!(payload, BODY);
            let opened = self.receiver.open(parity, self.seq, &mut payload);
            assert!(!self.knows || opened && payload == BODY);
            if let Some(message) = self.sender.announcement(self.now, Span::from_millis(100)) {
                assert!(self.sender.deadline().is_none_or(|at| at > self.now));
                let answer = self.receiver.told(&message, self.now);
                self.knows &= answer.as_ref() == Some(&message);
                let answer = answer.filter(|_| !lost);
                self.sender.answered(&answer.unwrap_or_default());
            }
        }
    }
}

/// Keys and a salt of these bytes, or of others where they are too few.
fn material(length: KeyLength, parities: u8, bytes: &[u8]) -> Material {
    let mut bytes = bytes.iter().copied().chain(1..);
    let salt = std::array::from_fn(|_| bytes.next().unwrap_or(0));
    let mut key = |parity: Parity| {
        let has = parities & parity.bits() > 0;
        has.then(|| bytes.by_ref().take(length.bytes()).collect())
    };
    Material {
        salt,
        length,
        even: key(Parity::Even),
        odd: key(Parity::Odd),
    }
}
