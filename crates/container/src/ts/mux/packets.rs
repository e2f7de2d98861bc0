//! Transport packets (ITU-T H.222.0 2.4.3): a PES packet or a section, cut into payloads.

use bytes::{BufMut as _, BytesMut};

const SYNC: u8 = 0x47;
const HEAD: usize = 4;
/// What a packet holds beside its header.
pub(super) const BODY: usize = 184;
/// A PCR with the length and the flags before it.
const PCR: usize = 8;

/// What the first packet of a PES packet says in its adaptation field.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// In ticks of 27 MHz, on a clock that does not wrap.
    pub(super) pcr: Option<i64>,
    pub(super) random_access: bool,
    pub(super) discontinuity: bool,
}

impl Marks {
    const fn flags(self) -> u8 {
        (self.discontinuity as u8) << 7
            | (self.random_access as u8) << 6
            | (self.pcr.is_some() as u8) << 4
    }

    const fn bytes(self) -> usize {
        match (self.pcr.is_some(), self.flags()) {
            (true, _) => PCR,
            (false, 0) => 0,
            (false, _) => 2,
        }
    }
}

/// How many packets these bytes take.
pub(super) const fn needed(marks: Marks, bytes: usize) -> usize {
    let first = BODY - marks.bytes();
    1 + bytes.saturating_sub(first).div_ceil(BODY)
}

/// Writes payloads of one PID; the bytes that were promised must come, neither more nor fewer.
pub(super) struct Packets<'a> {
    out: &'a mut BytesMut,
    pid: u16,
    counter: &'a mut u8,
    /// Packets and bytes that are yet to come; the packet that is open is not among them.
    packets: usize,
    bytes: usize,
    /// Left in the packet that is open.
    room: usize,
}

impl<'a> Packets<'a> {
    /// Cuts `bytes` into `packets`, of which there are at least as many as are
    /// [needed] and no more than bytes.
    pub(super) fn begin(
        out: &'a mut BytesMut,
        (pid, counter): (u16, &'a mut u8),
        marks: Marks,
        bytes: usize,
        packets: usize,
    ) -> Self {
        out.reserve(packets * (HEAD + BODY));
        let mut new = Self {
            out,
            pid,
            counter,
            packets,
            bytes,
            room: 0,
        };
        new.open(true, marks);
        new
    }

    pub(super) fn put(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.room == 0 {
                if self.packets == 0 {
                    return debug_assert!(false, "more than was promised");
                }
                self.open(false, Marks::default());
            }
            let (now, rest) = data.split_at(data.len().min(self.room));
            self.out.put_slice(now);
            self.room -= now.len();
            data = rest;
        }
    }

    /// Zeros or ones where nothing else is left to say.
    pub(super) fn fill(&mut self, byte: u8) {
        while self.room > 0 || self.packets > 0 {
            self.put(&[byte]);
        }
    }

    fn open(&mut self, first: bool, marks: Marks) {
        self.packets = self.packets.saturating_sub(1);
        // Every packet to come has a byte at least.
        let take = (BODY - marks.bytes()).min(self.bytes.saturating_sub(self.packets));
        self.bytes -= take;
        self.room = take;
        let adaptation = BODY - take;
        let control = if adaptation > 0 { 0x30 } else { 0x10 };
        head(self.out, self.pid, first, control | *self.counter);
        *self.counter = (*self.counter + 1) & 0x0f;
        if adaptation > 0 {
            field(self.out, adaptation, marks);
        }
    }
}

/// A packet with nothing but a PCR; its counter is that of the packet before it.
pub(super) fn pcr_only(out: &mut BytesMut, pid: u16, next_counter: u8, pcr: i64) {
    head(out, pid, false, 0x20 | next_counter.wrapping_sub(1) & 0x0f);
    let marks = Marks {
        pcr: Some(pcr),
        ..Marks::default()
    };
    field(out, BODY, marks);
}

fn head(out: &mut BytesMut, pid: u16, first: bool, last: u8) {
    let [high, low] = pid.to_be_bytes();
    out.put_slice(&[SYNC, u8::from(first) << 6 | high, low, last]);
}

/// An adaptation field of so many bytes, its length among them (2.4.3.4).
fn field(out: &mut BytesMut, bytes: usize, marks: Marks) {
    out.put_u8(u8::try_from(bytes - 1).unwrap_or(0));
    if bytes == 1 {
        return;
    }
    out.put_u8(marks.flags());
    let mut used = 2;
    if let Some(pcr) = marks.pcr {
        out.put_slice(&reference(pcr));
        used = PCR;
    }
    out.put_bytes(0xff, bytes - used);
}

/// A programme clock reference: a base of 90 kHz and 33 bits, an extension of 27 MHz (2.4.3.5).
fn reference(pcr: i64) -> [u8; 6] {
    let base = pcr.div_euclid(300).rem_euclid(1 << 33).unsigned_abs();
    let extension = pcr.rem_euclid(300).unsigned_abs();
    let [_, _, bytes @ ..] = (base << 15 | 0x3f << 9 | extension).to_be_bytes();
    bytes
}
