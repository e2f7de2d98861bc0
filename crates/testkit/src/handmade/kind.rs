//! What a datagram of SRT is, by its header alone. Pure.

/// draft-sharabayko-srt-01 §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Payload in the clear, for the first time.
    Plain,
    /// Payload under the even key, for the first time.
    Even,
    /// Payload under the odd key, for the first time.
    Odd,
    /// Payload again, under any key.
    Retransmitted,
    /// Handshake.
    Handshake,
    /// Keep-alive.
    KeepAlive,
    /// Full acknowledgement, which is answered.
    Ack,
    /// Acknowledgement of a number alone.
    LightAck,
    /// Loss report.
    Nak,
    /// Shutdown.
    Shutdown,
    /// Acknowledgement of an acknowledgement.
    AckAck,
    /// Request to drop messages.
    Drop,
    /// Key material, in either direction.
    Key,
    /// Another control packet.
    Other,
    /// Too short for any.
    Stray,
}

impl Kind {
    /// Of a datagram.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Self {
        let word = |n: usize| {
            let bytes = datagram.get(n * 4..n * 4 + 4)?;
            bytes.try_into().ok().map(u32::from_be_bytes)
        };
        let (Some(first), Some(second), Some(_)) = (word(0), word(1), word(3)) else {
            return Self::Stray;
        };
        if first >> 31 == 0 {
            return Self::of_data(second);
        }
        match (first >> 16 & 0x7fff, first & 0xffff) {
            (0, _) => Self::Handshake,
            (1, _) => Self::KeepAlive,
            (2, _) if datagram.len() <= 20 => Self::LightAck,
            (2, _) => Self::Ack,
            (3, _) => Self::Nak,
            (5, _) => Self::Shutdown,
            (6, _) => Self::AckAck,
            (7, _) => Self::Drop,
            (0x7fff, 3 | 4) => Self::Key,
            _ => Self::Other,
        }
    }

    /// §3.1: which key, and whether it was sent before.
    fn of_data(second: u32) -> Self {
        if second >> 26 & 1 == 1 {
            return Self::Retransmitted;
        }
        match second >> 27 & 3 {
            0 => Self::Plain,
            1 => Self::Even,
            _ => Self::Odd,
        }
    }

    /// The same as a number, for [`crate::link::Datagrams`].
    #[must_use]
    pub fn number(datagram: &[u8]) -> usize {
        Self::of(datagram) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u32, second: u32, more: usize) -> Vec<u8> {
        let words = [first, second, 0, 7].map(u32::to_be_bytes);
        let mut bytes = words.as_flattened().to_vec();
        bytes.resize(16 + more, 0);
        bytes
    }

    #[test]
    fn a_header_says_what_it_is() {
        let data = |flags: u32| Kind::of(&packet(5, 0b11 << 30 | flags << 26 | 9, 100));
        assert_eq!(data(0b000), Kind::Plain);
        assert_eq!(data(0b010), Kind::Even);
        assert_eq!(data(0b100), Kind::Odd);
        assert_eq!(data(0b101), Kind::Retransmitted);
        let control =
            |kind: u32, sub: u32, more| Kind::of(&packet(1 << 31 | kind << 16 | sub, 0, more));
        assert_eq!(control(0, 0, 48), Kind::Handshake);
        assert_eq!(control(2, 0, 4), Kind::LightAck);
        assert_eq!(control(2, 0, 28), Kind::Ack);
        assert_eq!(control(0x7fff, 3, 40), Kind::Key);
        assert_eq!(control(0x7fff, 9, 40), Kind::Other);
        assert_eq!(Kind::of(&[0x80; 15]), Kind::Stray);
    }
}
