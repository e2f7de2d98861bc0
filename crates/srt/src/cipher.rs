//! Payloads under AES in counter mode, and keys under a passphrase (draft-sharabayko-srt-01, 6).

use std::fmt;
use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use aes_kw::AesKw;
use bytes::{BufMut as _, Bytes, BytesMut};
use ctr::cipher::consts::U16;
use ctr::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit as _, KeyInit};
use ctr::cipher::{StreamCipher as _, StreamCipherCoreWrapper};
use ctr::{CtrCore, flavors};
use ring::pbkdf2;

use crate::error::Reject;
use crate::packet::Parity;
use crate::seq::Seq;

const SALT: usize = 16;
/// What wrapping adds to keys (RFC 3394).
const WRAP: usize = 8;
/// A message before its salt.
const FRONT: usize = 16;

/// How long keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyLength {
    /// AES-128.
    #[default]
    Aes128,
    /// AES-192.
    Aes192,
    /// AES-256.
    Aes256,
}

impl KeyLength {
    /// From libsrt's `pbkeylen`: 16, 24 or 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            16 => Some(Self::Aes128),
            24 => Some(Self::Aes192),
            32 => Some(Self::Aes256),
            _ => None,
        }
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// What both ends know: 10 to 79 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(String);

impl Passphrase {
    /// `None` where libsrt would not take it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (10..=79).contains(&text.len()).then_some(Self(text))
    }

    /// The key that wraps keys (6.1.4).
    fn wrapping_key(&self, salt: &[u8; SALT], length: KeyLength) -> Vec<u8> {
        const ROUNDS: NonZeroU32 = NonZeroU32::new(2048).unwrap();
        let mut key = vec![0; length.bytes()];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
        pbkdf2::derive(
            algorithm,
            ROUNDS,
            &salt[SALT / 2..],
            self.0.as_bytes(),
            &mut key,
        );
        key
    }
}

/// It stays out of logs.
impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Keys as one side tells them to the other (3.2.2).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Material {
    pub(crate) salt: [u8; SALT],
    pub(crate) length: KeyLength,
    pub(crate) even: Option<Vec<u8>>,
    pub(crate) odd: Option<Vec<u8>>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Material {
    /// A new key of this parity.
    pub(crate) fn random(length: KeyLength, parity: Parity) -> Self {
        let key = Some(random(length.bytes()));
        let (even, odd) = match parity {
            Parity::Even => (key, None),
            Parity::Odd => (None, key),
        };
        Self {
            salt: rand::random(),
            length,
            even,
            odd,
        }
    }

    pub(crate) fn key(&self, parity: Parity) -> Option<&[u8]> {
        match parity {
            Parity::Even => self.even.as_deref(),
            Parity::Odd => self.odd.as_deref(),
        }
    }

    /// Puts a new key beside the other one.
    pub(crate) fn renew(&mut self, parity: Parity) {
        let key = Some(random(self.length.bytes()));
        match parity {
            Parity::Even => self.even = key,
            Parity::Odd => self.odd = key,
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// One that breaks the format, has another cipher, or is under another passphrase.
    pub(crate) fn read(message: &[u8], passphrase: &Passphrase) -> Result<Self, Reject> {
        let front: &[u8; FRONT] = message.first_chunk().ok_or(Reject::Rogue)?;
        if front[..3] != [0x12, 0x20, 0x29] {
            return Err(Reject::Rogue);
        }
        let (even, odd) = (front[3] & 1 != 0, front[3] & 2 != 0);
        if front[8] != 2 || front[9] != 0 {
            return Err(Reject::Cipher);
        }
        let length = KeyLength::from_bytes(usize::from(front[15]) * 4).ok_or(Reject::Rogue)?;
        let count = usize::from(even) + usize::from(odd);
        let whole = FRONT + SALT + WRAP + count * length.bytes();
        if usize::from(front[14]) * 4 != SALT || count == 0 || message.len() != whole {
            return Err(Reject::Rogue);
        }
        let (salt, wrapped) = message[FRONT..].split_first_chunk().ok_or(Reject::Rogue)?;
        let wrapping = passphrase.wrapping_key(salt, length);
        let mut keys = vec![0; count * length.bytes()];
        unwrap(&wrapping, wrapped, &mut keys).ok_or(Reject::BadSecret)?;
        // The even one is first where there are two.
        let mut keys = keys.chunks_exact(length.bytes()).map(<[u8]>::to_vec);
        let even = if even { keys.next() } else { None };
        let odd = if odd { keys.next() } else { None };
        Ok(Self {
            salt: *salt,
            length,
            even,
            odd,
        })
    }

    pub(crate) fn write(&self, passphrase: &Passphrase) -> Bytes {
        let keys = [&self.even, &self.odd]
            .map(|k| k.as_deref().unwrap_or_default())
            .concat();
        let parities = u8::from(self.even.is_some()) | u8::from(self.odd.is_some()) << 1;
        let words = u8::try_from(self.length.bytes() / 4).unwrap_or(0);
        let mut out = BytesMut::new();
        out.put_slice(&[
            0x12, 0x20, 0x29, parities, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 4, words,
        ]);
        out.put_slice(&self.salt);
        let wrapping = passphrase.wrapping_key(&self.salt, self.length);
        let mut wrapped = vec![0; keys.len() + WRAP];
        wrap(&wrapping, &keys, &mut wrapped);
        out.put_slice(&wrapped);
        out.freeze()
    }
}

fn random(len: usize) -> Vec<u8> {
    let mut key = vec![0; len];
    rand::fill(&mut key[..]);
    key
}

fn unwrap(wrapping: &[u8], wrapped: &[u8], out: &mut [u8]) -> Option<()> {
    match wrapping.len() {
        16 => AesKw::<Aes128>::new_from_slice(wrapping)
            .ok()?
            .unwrap_key(wrapped, out)
            .ok(),
        24 => AesKw::<Aes192>::new_from_slice(wrapping)
            .ok()?
            .unwrap_key(wrapped, out)
            .ok(),
        _ => AesKw::<Aes256>::new_from_slice(wrapping)
            .ok()?
            .unwrap_key(wrapped, out)
            .ok(),
    }
    .map(|_| ())
}

/// Lengths are right by construction: nothing can fail.
fn wrap(wrapping: &[u8], keys: &[u8], out: &mut [u8]) {
    let _ = match wrapping.len() {
        16 => AesKw::<Aes128>::new_from_slice(wrapping).map(|k| k.wrap_key(keys, out).is_ok()),
        24 => AesKw::<Aes192>::new_from_slice(wrapping).map(|k| k.wrap_key(keys, out).is_ok()),
        _ => AesKw::<Aes256>::new_from_slice(wrapping).map(|k| k.wrap_key(keys, out).is_ok()),
    };
}

/// One key, ready for payloads.
#[derive(Clone)]
pub(crate) struct Cipher {
    aes: Aes,
    salt: [u8; SALT],
}

#[derive(Clone)]
enum Aes {
    K128(Box<Aes128>),
    K192(Box<Aes192>),
    K256(Box<Aes256>),
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(…)")
    }
}

impl Cipher {
    /// Of a key with a length that is known to be right.
    pub(crate) fn new(key: &[u8], salt: [u8; SALT]) -> Option<Self> {
        let aes = match key.len() {
            16 => Aes::K128(Box::new(<Aes128 as KeyInit>::new_from_slice(key).ok()?)),
            24 => Aes::K192(Box::new(<Aes192 as KeyInit>::new_from_slice(key).ok()?)),
            _ => Aes::K256(Box::new(<Aes256 as KeyInit>::new_from_slice(key).ok()?)),
        };
        Some(Self { aes, salt })
    }

    /// Encrypts or decrypts the payload of the packet with this number, in place.
    pub(crate) fn apply(&self, seq: Seq, payload: &mut [u8]) {
        // As libsrt has it; the draft's 6.2.2 shifts the salt, which nobody does.
        let mut counter = [0; 16];
        counter[10..14].copy_from_slice(&seq.raw().to_be_bytes());
        for (byte, salt) in counter.iter_mut().zip(&self.salt[..14]) {
            *byte ^= salt;
        }
        match &self.aes {
            Aes::K128(aes) => stream(&**aes, &counter, payload),
            Aes::K192(aes) => stream(&**aes, &counter, payload),
            Aes::K256(aes) => stream(&**aes, &counter, payload),
        }
    }
}

fn stream<C>(aes: &C, counter: &[u8; 16], payload: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core = CtrCore::<&C, flavors::Ctr128BE>::inner_iv_init(aes, counter.into());
    StreamCipherCoreWrapper::from_core(core).apply_keystream(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase() -> Passphrase {
        Passphrase::new("verysecret1").unwrap()
    }

    #[test]
    fn keys_come_back() {
        for length in [KeyLength::Aes128, KeyLength::Aes192, KeyLength::Aes256] {
            let mut told = Material::random(length, Parity::Even);
            let message = told.write(&passphrase());
            assert_eq!(Material::read(&message, &passphrase()), Ok(told.clone()));
            let other = Passphrase::new("another one").unwrap();
            assert_eq!(Material::read(&message, &other), Err(Reject::BadSecret));
            told.renew(Parity::Odd);
            let both = told.write(&passphrase());
            assert_eq!(both.len(), message.len() + length.bytes());
            assert_eq!(Material::read(&both, &passphrase()), Ok(told));
            for end in 0..both.len() {
                assert!(Material::read(&both[..end], &passphrase()).is_err());
            }
        }
    }

    #[test]
    fn other_ciphers_are_told_apart() {
        let message = Material::random(KeyLength::Aes128, Parity::Even).write(&passphrase());
        let with = |at: usize, byte: u8| {
            let mut changed = message.to_vec();
            changed[at] = byte;
            Material::read(&changed, &passphrase())
        };
        assert_eq!(with(8, 4), Err(Reject::Cipher));
        assert_eq!(with(0, 0), Err(Reject::Rogue));
        assert_eq!(with(3, 0), Err(Reject::Rogue));
        assert_eq!(with(15, 5), Err(Reject::Rogue));
        assert_eq!(with(40, !message[40]), Err(Reject::BadSecret));
    }

    #[test]
    fn payloads_come_back() {
        let material = Material::random(KeyLength::Aes192, Parity::Odd);
        let cipher = Cipher::new(material.key(Parity::Odd).unwrap(), material.salt).unwrap();
        let mut payload = *b"seven packets of a transport stream";
        cipher.apply(Seq::new(5), &mut payload);
        assert_ne!(&payload, b"seven packets of a transport stream");
        let mut again = payload;
        cipher.apply(Seq::new(5), &mut again);
        assert_eq!(&again, b"seven packets of a transport stream");
        cipher.apply(Seq::new(6), &mut payload);
        assert_ne!(&payload, b"seven packets of a transport stream");
    }

    #[test]
    fn a_passphrase_has_bounds_and_is_no_text() {
        assert!(Passphrase::new("too short").is_none());
        assert!(Passphrase::new("x".repeat(80)).is_none());
        assert!(!format!("{:?}", passphrase()).contains("very"));
    }
}
