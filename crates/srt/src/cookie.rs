//! Cookies: who sends one back is where it says it is, and nothing was kept for it.

use std::net::SocketAddr;

use ring::hmac;

/// Makes cookies and knows them again, for a minute or two.
pub(crate) struct Cookies(hmac::Key);

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookies")
    }
}

impl Default for Cookies {
    fn default() -> Self {
        let secret: [u8; 32] = rand::random();
        Self(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }
}

impl Cookies {
    /// For this peer in this minute.
    pub(crate) fn make(&self, peer: SocketAddr, minute: u64) -> u32 {
        let tag = hmac::sign(&self.0, format!("{peer} {minute}").as_bytes());
        let first = tag.as_ref().first_chunk().copied().unwrap_or_default();
        u32::from_be_bytes(first)
    }

    pub(crate) fn knows(&self, cookie: u32, peer: SocketAddr, minute: u64) -> bool {
        let minutes = [Some(minute), minute.checked_sub(1)];
        minutes
            .into_iter()
            .flatten()
            .any(|m| self.make(peer, m) == cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_one_peer_and_a_while() {
        let cookies = Cookies::default();
        let peer: SocketAddr = "127.0.0.1:1000".parse().unwrap();
        let other: SocketAddr = "127.0.0.1:1001".parse().unwrap();
        let cookie = cookies.make(peer, 5);
        assert!(cookies.knows(cookie, peer, 5));
        assert!(cookies.knows(cookie, peer, 6));
        assert!(!cookies.knows(cookie, peer, 7));
        assert!(!cookies.knows(cookie, other, 5));
        assert!(!Cookies::default().knows(cookie, peer, 5));
    }
}
