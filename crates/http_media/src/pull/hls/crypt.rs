//! AES-128 of whole segments (RFC 8216 5.2).

use aes::Aes128;
use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _, block_padding::Pkcs7};
use bytes::Bytes;

/// The plain bytes; `None` where the length or the padding is wrong, as under a wrong key.
pub(super) fn decrypt(key: [u8; 16], iv: [u8; 16], bytes: &[u8]) -> Option<Bytes> {
    let cipher = cbc::Decryptor::<Aes128>::new(&key.into(), &iv.into());
    cipher
        .decrypt_padded_vec::<Pkcs7>(bytes)
        .ok()
        .map(Bytes::from)
}

/// The initialization vector of a segment that names none: its number.
pub(super) fn numbered(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl enc -aes-128-cbc -K 000102…0f -iv 0…07`.
    #[test]
    fn as_openssl_does() {
        let key = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let coded = [
            0x8d, 0xbb, 0x5b, 0x34, 0x61, 0x0f, 0xd2, 0xfe, 0xaa, 0x9d, 0x75, 0x00, 0xfd, 0x83,
            0x8f, 0xc9,
        ];
        assert_eq!(
            decrypt(key, numbered(7), &coded).as_deref(),
            Some(&b"segment"[..])
        );
        assert_eq!(decrypt(key, numbered(7), &coded[1..]), None);
        assert_eq!(decrypt(key, numbered(7), &[]), None);
    }
}
