//! Keys and tokens: made, compared without telling how close a guess was, never shown.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn random() -> String {
    let bytes: [u8; 16] = rand::random();
    hexadecimal(&bytes)
}

/// What is kept of a token: 64 hexadecimal digits. A random token needs no salt and no slow hash.
pub(crate) fn digest(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether both are the same, in a time that tells neither content nor length.
pub(crate) fn matches(given: &str, expected: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(given).ct_eq(&digest(expected)).into()
}
