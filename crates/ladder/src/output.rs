//! What a worker sends, by number: the `rendition` of `container::wire`.

/// One elementary stream that a worker makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// The pictures of the rung of this number.
    Video(u8),
    /// The sound of the rung of this number, from the source's track in this slot.
    Audio(u8, u8),
}

/// Where the numbers of sound begin.
const AUDIO: u16 = 0x100;
/// Slots of a rung.
const SLOTS: u16 = 16;

impl Output {
    /// Sound tracks of a source that a rung is made of.
    pub const MOST_SLOTS: usize = SLOTS as usize;

    /// Its number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Video(rung) => rung.into(),
            Self::Audio(rung, slot) => AUDIO + u16::from(rung) * SLOTS + u16::from(slot) % SLOTS,
        }
    }

    /// The one of this number, if there is such.
    #[must_use]
    pub fn of(number: u16) -> Option<Self> {
        match number.checked_sub(AUDIO) {
            None => Some(Self::Video(u8::try_from(number).ok()?)),
            Some(n) => Some(Self::Audio(
                u8::try_from(n / SLOTS).ok()?,
                u8::try_from(n % SLOTS).ok()?,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_output() {
        for number in 0..0x1100 {
            if let Some(output) = Output::of(number) {
                assert_eq!(output.number(), number);
            }
        }
        assert_eq!(
            Output::of(Output::Audio(15, 15).number()),
            Some(Output::Audio(15, 15))
        );
    }
}
