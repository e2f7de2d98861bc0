//! PES packets (ITU-T H.222.0 2.4.3.6), put together.

use mpeg2ts_reader::pes::{PesContents, PesHeader, PesLength, PtsDts};

/// What one PES packet told and held.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    /// PTS and DTS as sent, of 33 bits; equal where only one was.
    pub(super) times: Option<(u64, u64)>,
    pub(super) payload: &'a [u8],
}

/// Puts one PID's packets together.
#[derive(Debug, Default)]
pub(super) struct Pes {
    buf: Vec<u8>,
    open: bool,
    /// The whole length, header included, where the header tells it.
    length: Option<usize>,
}

/// A packet longer than is allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Pes {
    /// A packet begins. The one before must have been taken.
    pub(super) fn begin(&mut self) {
        self.buf.clear();
        self.length = None;
        self.open = true;
    }

    pub(super) fn append(&mut self, data: &[u8], most: usize) -> Result<(), TooLong> {
        if !self.open {
            return Ok(());
        }
        if self.buf.len() + data.len() > most {
            self.drop_it();
            return Err(TooLong);
        }
        self.buf.extend_from_slice(data);
        if self.length.is_none() && self.buf.len() >= 6 {
            match PesHeader::from_bytes(&self.buf).map(|h| h.pes_packet_length()) {
                Some(PesLength::Bounded(len)) => self.length = Some(6 + usize::from(len.get())),
                Some(PesLength::Unbounded) => {}
                None => self.drop_it(),
            }
        }
        Ok(())
    }

    /// Whether the packet told its length.
    pub(super) const fn is_bounded(&self) -> bool {
        self.length.is_some()
    }

    /// Whether the packet is as long as it said, or has its last piece where it said nothing.
    pub(super) fn is_complete(&self, last: bool) -> bool {
        let len = self.length.map_or(last, |len| self.buf.len() >= len);
        self.open && len
    }

    /// What there is of the packet; a bounded one that is cut short is none.
    pub(super) fn take(&mut self) -> Option<Unit<'_>> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let data = match self.length {
            Some(len) => self.buf.get(..len)?,
            None => &self.buf,
        };
        let PesContents::Parsed(Some(contents)) = PesHeader::from_bytes(data)?.contents() else {
            return None;
        };
        let times = match contents.pts_dts() {
            Ok(PtsDts::PtsOnly(Ok(pts))) => Some((pts.value(), pts.value())),
            Ok(PtsDts::Both {
                pts: Ok(pts),
                dts: Ok(dts),
            }) => Some((pts.value(), dts.value())),
            _ => None,
        };
        Some(Unit {
            times,
            payload: contents.payload(),
        })
    }

    pub(super) fn drop_it(&mut self) {
        self.open = false;
        self.buf.clear();
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }
}
