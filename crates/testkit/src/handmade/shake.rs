//! Handshakes written by hand (§3.2.1). Pure.

use super::packet::{control, word, words};

/// What a handshake is for.
pub mod request {
    /// The caller's first.
    pub const INDUCTION: u32 = 1;
    /// The caller's second, with a cookie.
    pub const CONCLUSION: u32 = 0xffff_ffff;
    /// Answers from here on refuse.
    pub const REFUSED: u32 = 1_000;
}

/// Extension types (§3.2.1, table 5).
pub mod extension {
    /// What this end can do, and its latencies.
    pub const HSREQ: u16 = 1;
    /// Key material.
    pub const KMREQ: u16 = 3;
    /// Stream id.
    pub const SID: u16 = 5;
    /// Congestion controller.
    pub const CONGESTION: u16 = 6;
    /// Packet filter.
    pub const FILTER: u16 = 7;
    /// Group.
    pub const GROUP: u16 = 8;
}

/// One handshake; every field may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shake {
    /// 4 in an induction, 5 in a conclusion.
    pub version: u32,
    /// The key's bytes by 8.
    pub encryption: u16,
    /// 2 in an induction, the flags of extensions in a conclusion.
    pub extension: u16,
    /// First number of a packet.
    pub isn: u32,
    /// Largest datagram with its IP header.
    pub mtu: u32,
    /// Packets under way.
    pub window: u32,
    /// What for, or why not.
    pub request: u32,
    /// The sender's.
    pub socket: u32,
    /// From the listener's first answer.
    pub cookie: u32,
    /// Blocks behind it.
    pub blocks: Vec<Block>,
}

/// One extension; the length is what it says, in words, and may be a lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Which.
    pub kind: u16,
    /// In words of four bytes.
    pub length: u16,
    /// What really follows.
    pub body: Vec<u8>,
}

impl Block {
    /// An honest one; `body` is whole words.
    #[must_use]
    pub fn new(kind: u16, body: Vec<u8>) -> Self {
        let length = u16::try_from(body.len() / 4).unwrap_or(u16::MAX);
        Self { kind, length, body }
    }

    /// A string, each word's bytes the other way round (§3.2.1.3).
    #[must_use]
    pub fn text(kind: u16, text: &[u8]) -> Self {
        let mut body = text.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        body.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        Self::new(kind, body)
    }

    /// libsrt 1.5.1 that does everything, with so many milliseconds both ways.
    #[must_use]
    pub fn abilities(latency: u16) -> Self {
        let both = u32::from(latency) << 16 | u32::from(latency);
        Self::new(extension::HSREQ, words(&[0x01_05_01, 0xbf, both]))
    }
}

impl Shake {
    /// What a caller says first.
    #[must_use]
    pub const fn induction(socket: u32) -> Self {
        Self {
            version: 4,
            encryption: 0,
            extension: 2,
            isn: 1_000,
            mtu: 1_500,
            window: 8_192,
            request: request::INDUCTION,
            socket,
            cookie: 0,
            blocks: Vec::new(),
        }
    }

    /// What a caller says then, of a stream where there is a name.
    #[must_use]
    pub fn conclusion(socket: u32, cookie: u32, stream_id: &str) -> Self {
        let mut blocks = vec![Block::abilities(120)];
        if !stream_id.is_empty() {
            blocks.push(Block::text(extension::SID, stream_id.as_bytes()));
        }
        Self {
            version: 5,
            extension: if stream_id.is_empty() { 1 } else { 5 },
            request: request::CONCLUSION,
            cookie,
            blocks,
            ..Self::induction(socket)
        }
    }

    /// The same with another block.
    #[must_use]
    pub fn with(mut self, block: Block, flags: u16) -> Self {
        self.extension |= flags;
        self.blocks.push(block);
        self
    }

    /// The packet.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let halves = u32::from(self.encryption) << 16 | u32::from(self.extension);
        let head = [
            self.version,
            halves,
            self.isn,
            self.mtu,
            self.window,
            self.request,
            self.socket,
            self.cookie,
        ];
        let mut body = words(&head);
        body.extend([1, 0, 0, 127]);
        body.resize(48, 0);
        for block in &self.blocks {
            body.extend(words(&[
                u32::from(block.kind) << 16 | u32::from(block.length)
            ]));
            body.extend_from_slice(&block.body);
        }
        control(0, 0, 0, 0, &body)
    }

    /// What a listener said: request, its socket and cookie.
    #[must_use]
    pub fn answer(packet: &[u8]) -> Option<Answer> {
        if word(packet, 0)? != 1 << 31 {
            return None;
        }
        Some(Answer {
            request: word(packet, 9)?,
            socket: word(packet, 10)?,
            cookie: word(packet, 11)?,
            isn: word(packet, 6)?,
        })
    }
}

/// What is of interest in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What it is, or a code of refusal.
    pub request: u32,
    /// The other end's.
    pub socket: u32,
    /// To be said again.
    pub cookie: u32,
    /// First number of a packet.
    pub isn: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conclusion_is_as_libsrt_writes_it() {
        let shake = Shake::conclusion(7, 0xdead_beef, "abcde");
        let bytes = shake.bytes();
        assert_eq!(bytes.len(), 16 + 48 + 4 + 12 + 4 + 8);
        assert_eq!(word(&bytes, 5), Some(5), "no key, abilities and stream id");
        assert_eq!(word(&bytes, 16), Some(1 << 16 | 3));
        assert_eq!(word(&bytes, 20), Some(5 << 16 | 2));
        assert_eq!(&bytes[84..], b"dcba\0\0\0e");
        let answer = Shake::answer(&bytes).unwrap();
        assert_eq!((answer.request, answer.socket), (request::CONCLUSION, 7));
        assert_eq!(answer.cookie, 0xdead_beef);
        assert_eq!(Shake::answer(&bytes[..40]), None);
    }
}
