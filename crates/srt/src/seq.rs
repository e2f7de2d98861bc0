//! Sequence numbers of 31 bits that wrap.

/// A packet's number (draft-sharabayko-srt-01, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Seq(u32);

const MASK: u32 = 0x7fff_ffff;

impl Seq {
    pub(crate) const fn new(raw: u32) -> Self {
        Self(raw & MASK)
    }

    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    pub(crate) const fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n) & MASK)
    }

    pub(crate) const fn next(self) -> Self {
        self.plus(1)
    }

    /// How far this is ahead of `other`: negative where it is behind.
    pub(crate) const fn since(self, other: Self) -> i32 {
        // Bit 30 becomes the sign.
        (self.0.wrapping_sub(other.0) << 1).cast_signed() >> 1
    }

    /// The index of this number where `other` has index 0.
    pub(crate) fn index(self, other: Self) -> Option<usize> {
        usize::try_from(self.since(other)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap() {
        let last = Seq::new(MASK);
        assert_eq!(last.next(), Seq::new(0));
        assert_eq!(last.next().since(last), 1);
        assert_eq!(last.since(last.plus(5)), -5);
        assert_eq!(Seq::new(3).index(last), Some(4));
        assert_eq!(last.index(Seq::new(3)), None);
        assert_eq!(Seq::new(0x8000_0001).raw(), 1);
    }
}
