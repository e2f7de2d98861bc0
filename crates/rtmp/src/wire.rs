//! Messages out. What is said in them stands in `reply` for the server, in `request` for the client.

use bytes::{Bytes, BytesMut};

use crate::amf::{self, Value};
use crate::chunk::Writer;

/// After so many bytes the peer is to acknowledge, and we are.
pub(crate) const WINDOW: u32 = 2_500_000;

const COMMAND: u8 = 20;
const CONTROL_STREAM: u8 = 2;
const COMMAND_STREAM: u8 = 3;

/// One side's messages on their way out.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    writer: Writer,
    out: BytesMut,
}

impl Wire {
    pub(crate) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).freeze()
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Tells our chunk size, and writes by it from here on.
    pub(crate) fn set_chunk_size(&mut self, size: u32) {
        self.control(1, &size.to_be_bytes());
        self.writer
            .set_chunk_size(usize::try_from(size).unwrap_or(usize::MAX));
    }

    pub(crate) fn set_window(&mut self) {
        self.control(5, &WINDOW.to_be_bytes());
    }

    pub(crate) fn pong(&mut self, payload: &[u8]) {
        self.user_control(7, payload);
    }

    /// All bytes received so far, modulo 2^32 (5.4.3).
    pub(crate) fn acknowledge(&mut self, total: u64) {
        let low = u32::try_from(total & u64::from(u32::MAX)).unwrap_or(0);
        self.control(3, &low.to_be_bytes());
    }

    /// User control (7.1.7).
    pub(crate) fn user_control(&mut self, event: u16, payload: &[u8]) {
        let mut body = event.to_be_bytes().to_vec();
        body.extend_from_slice(payload);
        self.control(4, &body);
    }

    pub(crate) fn command(&mut self, stream: u32, values: &Vec<Value>) {
        let body = amf::write(values);
        self.writer
            .write(&mut self.out, COMMAND_STREAM, (COMMAND, 0, stream), &body);
    }

    pub(crate) fn control(&mut self, kind: u8, body: &[u8]) {
        self.writer
            .write(&mut self.out, CONTROL_STREAM, (kind, 0, 0), body);
    }
}
