//! Parameter sets in a decoder configuration record, each behind its length in two bytes.

/// Takes `count` sets off `rest`; what is there decides how much is kept, never the count.
pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize, sets: &mut Vec<&'a [u8]>) -> Option<()> {
    for _ in 0..count {
        let (len, after) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (set, after) = after.split_at_checked(len)?;
        sets.push(set);
        *rest = after;
    }
    Some(())
}
