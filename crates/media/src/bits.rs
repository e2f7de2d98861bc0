//! Reads bits, most significant first. Running out of them is an answer, never a panic.

/// Walks over bytes bit by bit. Every read is `None` beyond the end.
#[derive(Debug, Clone)]
pub struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// From the first bit on.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// How many bits were read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The next bit.
    pub fn bit(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    /// An unsigned number of at most 32 bits.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0_u32, |v, _| Some(v << 1 | u32::from(self.bit()?)))
    }

    /// Passes over any number of bits.
    pub fn skip(&mut self, count: u32) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(count).ok()?)?;
        if at > self.data.len() * 8 {
            return None;
        }
        self.at = at;
        Some(())
    }

    /// An unsigned Exp-Golomb number below 2^32 - 1 (H.265 9.2); signed ones are as long.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some(self.bits(zeros)? + ((1_u32 << zeros) - 1))
    }

    /// AV1 4.10.3 `uvlc()`.
    pub(crate) fn uvlc(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
        }
        if zeros >= 32 {
            return Some(u32::MAX);
        }
        Some(self.bits(zeros)? + (1 << zeros) - 1)
    }
}
