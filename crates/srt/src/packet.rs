//! Headers of packets (draft-sharabayko-srt-01, 3).

use crate::seq::Seq;

/// Every packet begins with so many bytes.
pub(crate) const HEAD: usize = 16;
/// What one datagram carries of media: seven packets of a transport stream, as everybody sends them.
pub(crate) const PAYLOAD: usize = 1316;
/// The most that a peer may put into one datagram behind the header.
pub(crate) const MOST: usize = 1456;

/// Where a message begins and ends: in live mode each packet is one.
const SOLO: u32 = 0b11 << 30;
const KEY: u32 = 0b11 << 27;
const RETRANSMITTED: u32 = 1 << 26;
const MESSAGE: u32 = (1 << 26) - 1;

/// Which of the two keys a payload is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parity {
    Even,
    Odd,
}

impl Parity {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::Even => 1,
            Self::Odd => 2,
        }
    }
}

/// What a datagram begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    Data(Data),
    Control(Control),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) seq: Seq,
    pub(crate) message: u32,
    pub(crate) key: Option<Parity>,
    pub(crate) retransmitted: bool,
    /// Microseconds since the sender's socket began, modulo 2^32.
    pub(crate) timestamp: u32,
    pub(crate) destination: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) kind: Kind,
    /// Of type: an ACK's number, the message of a drop request.
    pub(crate) info: u32,
    pub(crate) timestamp: u32,
    pub(crate) destination: u32,
}

/// Types of control packets; the value is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Handshake,
    KeepAlive,
    Ack,
    Nak,
    CongestionWarning,
    Shutdown,
    AckAck,
    DropRequest,
    PeerError,
    /// Of SRT beside UDT's, by subtype: key material comes here.
    Extension(u16),
    Unknown(u16),
}

impl Kind {
    const fn read(kind: u16, subtype: u16) -> Self {
        match kind {
            0 => Self::Handshake,
            1 => Self::KeepAlive,
            2 => Self::Ack,
            3 => Self::Nak,
            4 => Self::CongestionWarning,
            5 => Self::Shutdown,
            6 => Self::AckAck,
            7 => Self::DropRequest,
            8 => Self::PeerError,
            0x7fff => Self::Extension(subtype),
            other => Self::Unknown(other),
        }
    }

    const fn bits(self) -> (u16, u16) {
        match self {
            Self::Handshake => (0, 0),
            Self::KeepAlive => (1, 0),
            Self::Ack => (2, 0),
            Self::Nak => (3, 0),
            Self::CongestionWarning => (4, 0),
            Self::Shutdown => (5, 0),
            Self::AckAck => (6, 0),
            Self::DropRequest => (7, 0),
            Self::PeerError => (8, 0),
            Self::Extension(subtype) => (0x7fff, subtype),
            Self::Unknown(kind) => (kind, 0),
        }
    }
}

/// The big-endian word at this place of what is known to be long enough, or zero.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |w| u32::from_be_bytes(*w))
}

impl Head {
    /// `None` for what is too short to be a packet.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        let [first, second, timestamp, destination] = [0, 4, 8, 12].map(|at| word(head, at));
        if first >> 31 == 1 {
            let [high, low] = [first >> 16 & 0x7fff, first & 0xffff];
            let [kind, subtype] = [high, low].map(|v| u16::try_from(v).unwrap_or(0));
            return Some(Self::Control(Control {
                kind: Kind::read(kind, subtype),
                info: second,
                timestamp,
                destination,
            }));
        }
        let key = match second >> 27 & 3 {
            0 => None,
            1 => Some(Parity::Even),
            2 => Some(Parity::Odd),
            // Both at once is no key of a payload (3.1).
            _ => return None,
        };
        Some(Self::Data(Data {
            seq: Seq::new(first),
            message: second & MESSAGE,
            key,
            retransmitted: second & RETRANSMITTED != 0,
            timestamp,
            destination,
        }))
    }

    pub(crate) const fn destination(&self) -> u32 {
        match self {
            Self::Data(d) => d.destination,
            Self::Control(c) => c.destination,
        }
    }
}

impl Data {
    pub(crate) fn write(&self) -> [u8; HEAD] {
        let key = self.key.map_or(0, |k| u32::from(k.bits()));
        let resent = if self.retransmitted { RETRANSMITTED } else { 0 };
        // In order: a message is delivered behind those before it.
        let second = SOLO | 1 << 29 | (key << 27 & KEY) | resent | (self.message & MESSAGE);
        head([self.seq.raw(), second, self.timestamp, self.destination])
    }
}

impl Control {
    pub(crate) fn write(&self) -> [u8; HEAD] {
        let (kind, subtype) = self.kind.bits();
        let first = 1 << 31 | u32::from(kind) << 16 | u32::from(subtype);
        head([first, self.info, self.timestamp, self.destination])
    }
}

fn head(words: [u32; 4]) -> [u8; HEAD] {
    let mut out = [0; HEAD];
    for (to, word) in out.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    out
}

/// The number behind a message's: 0 is none of a message.
pub(crate) const fn next_message(number: u32) -> u32 {
    if number >= MESSAGE { 1 } else { number + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back() {
        let data = Data {
            seq: Seq::new(0x7fff_fffe),
            message: MESSAGE,
            key: Some(Parity::Odd),
            retransmitted: true,
            timestamp: 7,
            destination: 0x1234,
        };
        assert_eq!(Head::read(&data.write()), Some(Head::Data(data)));
        let control = Control {
            kind: Kind::Extension(3),
            info: 9,
            timestamp: u32::MAX,
            destination: 1,
        };
        assert_eq!(Head::read(&control.write()), Some(Head::Control(control)));
        assert_eq!(Head::read(&[0; 15]), None);
        assert_eq!(next_message(MESSAGE), 1);
    }
}
