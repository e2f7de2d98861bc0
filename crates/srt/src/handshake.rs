//! Handshake packets and their extensions (draft-sharabayko-srt-01, 3.2.1).

use std::net::IpAddr;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::error::Reject;
use crate::packet::{Control, HEAD, Head, Kind, word};
use crate::seq::Seq;

/// Of a handshake before its extensions.
const CIF: usize = 48;
/// What says in an induction's answer that this is SRT.
pub(crate) const MAGIC: u16 = 0x4a17;
/// The longest stream id (3.2.1.3).
pub(crate) const STREAM_ID: usize = 512;
/// Blocks of extensions that one handshake may have: there are eight kinds.
const BLOCKS: usize = 16;

/// The version that we say, 1.5.0, and the oldest with this handshake.
const VERSION: u32 = 0x01_05_00;
const OLDEST: u32 = 0x01_03_00;

/// What a peer can do (3.2.1.1.1): both directions in time, encryption, drops what is late,
/// periodic loss reports, the flag of retransmitted packets.
const FLAGS: u32 = 0x3f;
const STREAM_MODE: u32 = 0x40;
const TSBPD_SENDER: u32 = 1;
const TSBPD_RECEIVER: u32 = 2;

/// Extension types (table 5).
const HSREQ: u16 = 1;
const HSRSP: u16 = 2;
pub(crate) const KMREQ: u16 = 3;
pub(crate) const KMRSP: u16 = 4;
const SID: u16 = 5;
const CONGESTION: u16 = 6;
const FILTER: u16 = 7;
const GROUP: u16 = 8;

/// What a handshake is for (table 4), or the code by which it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Induction,
    Conclusion,
    Refused(u32),
    Other(u32),
}

impl Request {
    const fn read(word: u32) -> Self {
        match word {
            1 => Self::Induction,
            0xffff_ffff => Self::Conclusion,
            1_000..=0x7fff_ffff => Self::Refused(word),
            other => Self::Other(other),
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::Induction => 1,
            Self::Conclusion => 0xffff_ffff,
            Self::Refused(word) | Self::Other(word) => word,
        }
    }
}

/// Latencies in milliseconds, as either side asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Delays {
    /// Of what this side receives.
    pub(crate) receiver: u16,
    /// Of what this side sends.
    pub(crate) sender: u16,
}

/// A handshake packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// Of the packet: when the peer sent it.
    pub(crate) timestamp: u32,
    pub(crate) destination: u32,
    pub(crate) version: u32,
    /// The key's length by 8, or 0.
    pub(crate) encryption: u16,
    /// The magic number of an induction's answer, or which extensions follow.
    pub(crate) extension: u16,
    pub(crate) isn: Seq,
    pub(crate) mtu: u32,
    /// Packets that may be on the way.
    pub(crate) window: u32,
    pub(crate) request: Request,
    /// The sender's socket.
    pub(crate) socket: u32,
    pub(crate) cookie: u32,
    pub(crate) extensions: Extensions,
}

/// What follows a conclusion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extensions {
    /// `HSREQ`, or `HSRSP` in an answer.
    pub(crate) delays: Option<Delays>,
    pub(crate) stream_id: Option<String>,
    /// A key material message, as it came, or 4 bytes of why not.
    pub(crate) key: Option<Bytes>,
    /// Whether it is an answer's.
    pub(crate) answers: bool,
}

/// The longest datagram with its headers, as both sides tell it.
pub(crate) const MTU: u32 = 1500;

impl Handshake {
    /// One that says nothing yet, to this socket.
    pub(crate) fn to(destination: u32, window: usize) -> Self {
        Self {
            timestamp: 0,
            destination,
            version: 5,
            encryption: 0,
            extension: 0,
            isn: Seq::new(0),
            mtu: MTU,
            window: u32::try_from(window).unwrap_or(u32::MAX),
            request: Request::Induction,
            socket: 0,
            cookie: 0,
            extensions: Extensions::default(),
        }
    }

    /// Reads a packet of this kind.
    ///
    /// # Errors
    /// What is wrong with it, in the words of a refusal.
    pub(crate) fn read(packet: &[u8]) -> Result<Self, Reject> {
        let Some(Head::Control(head)) = Head::read(packet) else {
            return Err(Reject::Rogue);
        };
        let cif = &packet[HEAD..];
        if head.kind != Kind::Handshake || cif.len() < CIF {
            return Err(Reject::Rogue);
        }
        let halves = word(cif, 4);
        let [encryption, extension] =
            [halves >> 16, halves & 0xffff].map(|v| u16::try_from(v).unwrap_or(0));
        let mut shake = Self {
            timestamp: head.timestamp,
            destination: head.destination,
            version: word(cif, 0),
            encryption,
            extension,
            isn: Seq::new(word(cif, 8)),
            mtu: word(cif, 12),
            window: word(cif, 16),
            request: Request::read(word(cif, 20)),
            socket: word(cif, 24),
            cookie: word(cif, 28),
            extensions: Extensions::default(),
        };
        if shake.request == Request::Conclusion && shake.version == 5 {
            shake.extensions = Extensions::read(&cif[CIF..])?;
        }
        Ok(shake)
    }

    /// The whole packet; `peer` is told its own address.
    pub(crate) fn write(&self, peer: IpAddr) -> BytesMut {
        let head = Control {
            kind: Kind::Handshake,
            info: 0,
            timestamp: self.timestamp,
            destination: self.destination,
        };
        let mut out = BytesMut::from(&head.write()[..]);
        out.put_u32(self.version);
        out.put_u16(self.encryption);
        out.put_u16(self.extension);
        for word in [
            self.isn.raw(),
            self.mtu,
            self.window,
            self.request.bits(),
            self.socket,
            self.cookie,
        ] {
            out.put_u32(word);
        }
        out.put_slice(&address(peer));
        self.extensions.write(&mut out);
        out
    }
}

/// Words in little-endian order, as the first implementation left them.
fn address(ip: IpAddr) -> [u8; 16] {
    let mut out = [0; 16];
    match ip.to_canonical() {
        IpAddr::V4(ip) => out[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.copy_from_slice(&ip.octets()),
    }
    swap(&mut out);
    out
}

/// Each word's bytes the other way round.
fn swap(bytes: &mut [u8]) {
    bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
}

impl Extensions {
    /// Which of them there are, as the extension field says.
    pub(crate) const fn flags(&self) -> u16 {
        let basic = self.delays.is_some() as u16;
        let key = (self.key.is_some() as u16) << 1;
        basic | key | (self.stream_id.is_some() as u16) << 2
    }

    fn read(mut bytes: &[u8]) -> Result<Self, Reject> {
        let mut found = Self::default();
        for _ in 0..BLOCKS {
            let Some(head) = bytes.first_chunk::<4>() else {
                return if bytes.is_empty() {
                    Ok(found)
                } else {
                    Err(Reject::Rogue)
                };
            };
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            let body = bytes.get(4..4 + len).ok_or(Reject::Rogue)?;
            bytes = &bytes[4 + len..];
            found.block(kind, body)?;
        }
        Err(Reject::Rogue)
    }

    fn block(&mut self, kind: u16, body: &[u8]) -> Result<(), Reject> {
        match kind {
            HSREQ | HSRSP => {
                self.delays = Some(delays(body)?);
                self.answers = kind == HSRSP;
            }
            KMREQ | KMRSP => self.key = Some(Bytes::copy_from_slice(body)),
            SID if body.len() > STREAM_ID => return Err(Reject::Rogue),
            SID => self.stream_id = Some(string(body).ok_or(Reject::Rogue)?),
            CONGESTION if string(body).as_deref() != Some("live") => {
                return Err(Reject::Congestion);
            }
            FILTER if !body.is_empty() => return Err(Reject::Filter),
            GROUP => return Err(Reject::Group),
            // What is not known is not needed.
            _ => {}
        }
        Ok(())
    }

    fn write(&self, out: &mut BytesMut) {
        let kind = |request, answer| if self.answers { answer } else { request };
        if let Some(delays) = self.delays {
            put_block(out, kind(HSREQ, HSRSP), 12);
            out.put_u32(VERSION);
            out.put_u32(FLAGS);
            out.put_u16(delays.receiver);
            out.put_u16(delays.sender);
        }
        if let Some(key) = &self.key {
            put_block(out, kind(KMREQ, KMRSP), key.len());
            out.put_slice(key);
        }
        if let Some(id) = &self.stream_id {
            let mut padded = id.as_bytes().to_vec();
            padded.resize(padded.len().next_multiple_of(4), 0);
            swap(&mut padded);
            put_block(out, SID, padded.len());
            out.put_slice(&padded);
        }
    }
}

fn put_block(out: &mut BytesMut, kind: u16, len: usize) {
    out.put_u16(kind);
    out.put_u16(u16::try_from(len / 4).unwrap_or(0));
}

fn delays(body: &[u8]) -> Result<Delays, Reject> {
    if body.len() < 12 {
        return Err(Reject::Rogue);
    }
    if word(body, 0) < OLDEST {
        return Err(Reject::Version);
    }
    let flags = word(body, 4);
    // A stream of bytes has no messages that could be given up.
    if flags & STREAM_MODE != 0 {
        return Err(Reject::MessageApi);
    }
    let half = |at: usize, flag: u32| {
        let value = u16::from_be_bytes([body[at], body[at + 1]]);
        if flags & flag == 0 { 0 } else { value }
    };
    Ok(Delays {
        receiver: half(8, TSBPD_RECEIVER),
        sender: half(10, TSBPD_SENDER),
    })
}

fn string(body: &[u8]) -> Option<String> {
    let mut bytes = body.to_vec();
    swap(&mut bytes);
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclusion() -> Handshake {
        let extensions = Extensions {
            delays: Some(Delays {
                receiver: 120,
                sender: 200,
            }),
            stream_id: Some("#!::r=news,m=publish".to_owned()),
            key: Some(Bytes::from_static(&[7; 56])),
            answers: false,
        };
        Handshake {
            timestamp: 17,
            destination: 3,
            version: 5,
            encryption: 2,
            extension: extensions.flags(),
            isn: Seq::new(0x7abc_def0),
            mtu: 1500,
            window: 8192,
            request: Request::Conclusion,
            socket: 0x1234,
            cookie: 0xdead_beef,
            extensions,
        }
    }

    fn local() -> IpAddr {
        [127, 0, 0, 1].into()
    }

    #[test]
    fn a_conclusion_comes_back() {
        let told = conclusion();
        assert_eq!(told.extension, 7);
        let bytes = told.write(local());
        assert_eq!(Handshake::read(&bytes), Ok(told));
        assert_eq!(bytes[HEAD + 32..HEAD + 36], [1, 0, 0, 127]);
        for end in 0..bytes.len() {
            // Whatever is cut off: no panic.
            let _ = Handshake::read(&bytes[..end]);
        }
    }

    /// A block of this kind behind a conclusion.
    fn with_block(kind: u16, len: u16, body: &[u8]) -> Result<Handshake, Reject> {
        let mut bytes = conclusion().write(local());
        bytes.put_u16(kind);
        bytes.put_u16(len);
        bytes.put_slice(body);
        Handshake::read(&bytes)
    }

    #[test]
    fn what_is_not_done_is_refused_by_name() {
        assert_eq!(with_block(CONGESTION, 1, b"elif"), Err(Reject::Congestion));
        assert!(with_block(CONGESTION, 1, b"evil").is_ok());
        assert_eq!(with_block(FILTER, 1, b",cef"), Err(Reject::Filter));
        assert_eq!(with_block(GROUP, 2, &[0; 8]), Err(Reject::Group));
        assert_eq!(with_block(SID, 129, &[65; 516]), Err(Reject::Rogue));
        assert_eq!(with_block(SID, 1, &[0xff; 4]), Err(Reject::Rogue));
        assert_eq!(with_block(99, 500, &[0; 8]), Err(Reject::Rogue));
        assert_eq!(with_block(HSREQ, 1, &[0; 4]), Err(Reject::Rogue));
        assert_eq!(with_block(HSREQ, 3, &[0; 12]), Err(Reject::Version));
        let stream = [0, 1, 5, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0];
        assert_eq!(with_block(HSREQ, 3, &stream), Err(Reject::MessageApi));
        assert!(with_block(99, 2, &[0; 8]).is_ok());
    }
}
