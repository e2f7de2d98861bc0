//! What both ends of a connection do alike: shake hands, read chunks, acknowledge, answer pings.

use bytes::{Bytes, BytesMut};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};

use crate::chunk::{Limits, Message, Reader};
use crate::error::ErrorKind;
use crate::wire::{WINDOW, Wire};

/// One end of a connection, below what is said over it.
pub(crate) struct Link {
    /// Apart, for it is needed once and large.
    handshake: Option<Box<Handshake>>,
    reader: Reader,
    pub(crate) out: Wire,
    pub(crate) input: BytesMut,
    received: u64,
    acknowledged: u64,
    window: u64,
}

impl Link {
    pub(crate) fn server(limits: Limits) -> Self {
        Self::new(Handshake::new(PeerType::Server), limits)
    }

    /// The client speaks first.
    pub(crate) fn client(limits: Limits) -> Self {
        let mut handshake = Handshake::new(PeerType::Client);
        let first = handshake.generate_outbound_p0_and_p1();
        let mut link = Self::new(handshake, limits);
        link.out.raw(&first.unwrap_or_default());
        link
    }

    fn new(handshake: Handshake, limits: Limits) -> Self {
        Self {
            handshake: Some(Box::new(handshake)),
            reader: Reader::new(limits),
            out: Wire::default(),
            input: BytesMut::new(),
            received: 0,
            acknowledged: 0,
            window: u64::from(WINDOW),
        }
    }

    pub(crate) const fn set_limits(&mut self, limits: Limits) {
        self.reader.set_limits(limits);
    }

    /// All bytes read so far.
    pub(crate) const fn position(&self) -> u64 {
        self.received
    }

    /// `len` bytes were appended to the input.
    pub(crate) fn received(&mut self, len: usize) {
        self.received += len as u64;
        if self.received - self.acknowledged >= self.window / 2 && self.handshake.is_none() {
            self.out.acknowledge(self.received);
            self.acknowledged = self.received;
        }
    }

    /// Whether both sides have shaken hands.
    pub(crate) fn shake_hands(&mut self) -> Result<bool, ErrorKind> {
        let Some(handshake) = self.handshake.as_mut() else {
            return Ok(true);
        };
        if self.input.is_empty() {
            return Ok(false);
        }
        let input = self.input.split();
        let result = handshake.process_bytes(&input);
        match result.map_err(|e| ErrorKind::Handshake(format!("{e:?}")))? {
            HandshakeProcessResult::InProgress { response_bytes } => {
                self.out.raw(&response_bytes);
                Ok(false)
            }
            HandshakeProcessResult::Completed {
                response_bytes,
                remaining_bytes,
            } => {
                self.out.raw(&response_bytes);
                self.input.extend_from_slice(&remaining_bytes);
                self.handshake = None;
                Ok(true)
            }
        }
    }

    /// The next message; what the chunk layer itself is told is obeyed on the way.
    pub(crate) fn message(&mut self) -> Result<Option<Message>, ErrorKind> {
        while let Some(message) = self.reader.read(&mut self.input)? {
            match message.kind {
                1..=3 | 5 | 6 => self.control(message.kind, &message.body)?,
                // 6 is a ping, answered with its own timestamp of four bytes.
                4 if message.body.len() == 6 && message.body.starts_with(&[0, 6]) => {
                    self.out.pong(&message.body[2..]);
                }
                _ => return Ok(Some(message)),
            }
        }
        Ok(None)
    }

    fn control(&mut self, kind: u8, body: &Bytes) -> Result<(), ErrorKind> {
        let number = body.first_chunk().map(|b| u32::from_be_bytes(*b));
        match (kind, number) {
            (1, Some(size)) => self.reader.set_chunk_size(size)?,
            (2, Some(stream)) => self.reader.abort(stream),
            (5, Some(window)) => self.window = u64::from(window.max(1024)),
            _ => {}
        }
        Ok(())
    }
}
