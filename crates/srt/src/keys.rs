//! The keys of a connection: both directions, and how they are renewed (draft-sharabayko-srt-01,
//! 6.1.6).

use bytes::Bytes;
use media::{Span, Timestamp};

use crate::cipher::{Cipher, Material, Passphrase};
use crate::error::Reject;
use crate::packet::Parity;
use crate::seq::Seq;

/// When keys are renewed, in packets that were sent under one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// A key serves for so many packets.
    pub every: u32,
    /// The next one is told so many packets before.
    pub announce: u32,
}

impl Default for Refresh {
    /// As libsrt: 2^24 packets, 2^12 before.
    fn default() -> Self {
        Self {
            every: 1 << 24,
            announce: 1 << 12,
        }
    }
}

/// New keys are worked out this often, and a few times at once: it takes a millisecond.
const PAUSE: Span = Span::from_millis(500);
const AT_ONCE: u32 = 4;
/// An announcement that is not answered is sent again, so many times.
const TRIES: u32 = 20;
/// libsrt's word for a passphrase that does not fit.
const BAD_SECRET: u32 = 4;

/// Keys of both directions.
#[derive(Debug)]
pub(crate) struct Keys {
    passphrase: Passphrase,
    refresh: Refresh,
    receive: [Option<Cipher>; 2],
    /// What was told last, and is taken again without work.
    heard: Bytes,
    /// How many times more, and since when.
    budget: (u32, Timestamp),
    send: Material,
    parity: Parity,
    cipher: Cipher,
    /// Packets under the present key.
    count: u32,
    next: Option<Announced>,
}

#[derive(Debug)]
struct Announced {
    cipher: Cipher,
    message: Bytes,
    left: u32,
    at: Timestamp,
    answered: bool,
}

const fn slot(parity: Parity) -> usize {
    match parity {
        Parity::Even => 0,
        Parity::Odd => 1,
    }
}

/// What opens payloads, the even one first.
fn receivers(material: &Material) -> [Option<Cipher>; 2] {
    [Parity::Even, Parity::Odd].map(|parity| Cipher::new(material.key(parity)?, material.salt))
}

impl Keys {
    /// Of what was agreed on: both directions have the same keys at first.
    pub(crate) fn new(
        material: Material,
        passphrase: Passphrase,
        refresh: Refresh,
        now: Timestamp,
    ) -> Option<Self> {
        let parity = if material.even.is_some() {
            Parity::Even
        } else {
            Parity::Odd
        };
        let cipher = Cipher::new(material.key(parity)?, material.salt)?;
        Some(Self {
            passphrase,
            refresh,
            receive: receivers(&material),
            heard: Bytes::new(),
            budget: (AT_ONCE, now),
            send: material,
            parity,
            cipher,
            count: 0,
            next: None,
        })
    }

    /// Decrypts in place. Whether the key was there.
    pub(crate) fn open(&self, parity: Parity, seq: Seq, payload: &mut [u8]) -> bool {
        let cipher = self.receive[slot(parity)].as_ref();
        cipher.inspect(|c| c.apply(seq, payload)).is_some()
    }

    /// Encrypts in place; which key it was.
    pub(crate) fn seal(&mut self, seq: Seq, payload: &mut [u8]) -> Parity {
        self.count += 1;
        if self.count > self.refresh.every
            && let Some(next) = self.next.take()
        {
            self.parity = self.parity.other();
            self.cipher = next.cipher;
            self.count = 1;
        }
        self.cipher.apply(seq, payload);
        self.parity
    }

    /// An announcement that is due; the next one is `again` later.
    pub(crate) fn announcement(&mut self, now: Timestamp, again: Span) -> Option<Bytes> {
        let due = self.refresh.every.saturating_sub(self.refresh.announce);
        if self.next.is_none() && self.count > due {
            self.announce(now);
        }
        let next = self.next.as_mut()?;
        if next.answered || next.left == 0 || now < next.at {
            return None;
        }
        next.left -= 1;
        next.at = now + again;
        Some(next.message.clone())
    }

    /// When the announcement is to be repeated.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let waiting = self.next.as_ref().filter(|n| !n.answered && n.left > 0);
        waiting.map(|n| n.at)
    }

    fn announce(&mut self, now: Timestamp) {
        let parity = self.parity.other();
        self.send.renew(parity);
        let key = self.send.key(parity);
        let Some(cipher) = key.and_then(|k| Cipher::new(k, self.send.salt)) else {
            return;
        };
        self.next = Some(Announced {
            cipher,
            message: self.send.write(&self.passphrase),
            left: TRIES,
            at: now,
            answered: false,
        });
    }

    /// The peer has taken what was announced.
    pub(crate) fn answered(&mut self, message: &[u8]) {
        if let Some(next) = self.next.as_mut().filter(|n| n.message == message) {
            next.answered = true;
        }
    }

    /// The peer announces keys; what it is answered. `None` where it asks too often.
    pub(crate) fn told(&mut self, message: &[u8], now: Timestamp) -> Option<Bytes> {
        if !self.heard.is_empty() && self.heard == message {
            return Some(self.heard.clone());
        }
        if !self.may_work(now) {
            return None;
        }
        match Material::read(message, &self.passphrase) {
            Ok(material) => {
                for (held, told) in self.receive.iter_mut().zip(receivers(&material)) {
                    *held = told.or_else(|| held.take());
                }
                self.heard = Bytes::copy_from_slice(message);
                Some(self.heard.clone())
            }
            Err(Reject::BadSecret) => Some(Bytes::copy_from_slice(&BAD_SECRET.to_be_bytes())),
            Err(_) => None,
        }
    }

    fn may_work(&mut self, now: Timestamp) -> bool {
        let (left, since) = &mut self.budget;
        if now - *since >= PAUSE {
            (*left, *since) = ((*left + 1).min(AT_ONCE), now);
        }
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::KeyLength;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn pair(refresh: Refresh) -> (Keys, Keys) {
        let passphrase = Passphrase::new("0123456789").unwrap();
        let material = Material::random(KeyLength::Aes256, Parity::Even);
        let keys = || Keys::new(material.clone(), passphrase.clone(), refresh, at(0)).unwrap();
        (keys(), keys())
    }

    #[test]
    fn keys_change_without_a_packet_lost() {
        let refresh = Refresh {
            every: 100,
            announce: 20,
        };
        let (mut sender, mut receiver) = pair(refresh);
        let mut changes = 0;
        let mut last = Parity::Even;
        for n in 0..1_000_u32 {
            let now = at(i64::from(n) * 10);
            let seq = Seq::new(n);
            let mut payload = n.to_be_bytes();
            let parity = sender.seal(seq, &mut payload);
            assert!(receiver.open(parity, seq, &mut payload), "{n}");
            assert_eq!(payload, n.to_be_bytes());
            changes += u32::from(parity != last);
            last = parity;
            // Every other announcement is lost.
            if let Some(message) = sender.announcement(now, Span::from_millis(30))
                && n % 2 == 0
                && let Some(answer) = receiver.told(&message, now)
            {
                sender.answered(&answer);
            }
        }
        assert_eq!(changes, 9);
    }

    #[test]
    fn garbage_changes_nothing_and_costs_little() {
        let (mut sender, mut receiver) = pair(Refresh::default());
        let mut strange = Material::random(KeyLength::Aes128, Parity::Even)
            .write(&Passphrase::new("another one").unwrap())
            .to_vec();
        assert_eq!(
            receiver.told(&strange, at(1_000)).as_deref(),
            Some(&[0, 0, 0, 4][..])
        );
        let answers = (0..100_u8).filter(|n| {
            strange[17] = *n;
            receiver.told(&strange, at(1_001)).is_some()
        });
        assert_eq!(answers.count(), 3);
        assert_eq!(receiver.told(&[], at(2_000)), None);
        sender.answered(&[]);
        let mut payload = [1, 2, 3];
        let parity = sender.seal(Seq::new(1), &mut payload);
        assert!(receiver.open(parity, Seq::new(1), &mut payload));
        assert_eq!(payload, [1, 2, 3]);
    }
}
