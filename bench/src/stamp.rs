//! Times inside payloads: a mark, then the send time in letters that no start code can hide in.

use std::time::{SystemTime, UNIX_EPOCH};

const MARK: &[u8; 8] = b"weirLoad";
/// Mark and sixteen hexadecimal digits.
pub(crate) const LEN: usize = 24;

/// Nanoseconds since the epoch: one clock for all processes of a machine.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

pub(crate) fn write(out: &mut Vec<u8>, time: u64) {
    out.extend_from_slice(MARK);
    out.extend_from_slice(format!("{time:016x}").as_bytes());
}

/// The first stamp.
pub(crate) fn first(data: &[u8]) -> Option<u64> {
    let at = data.windows(MARK.len()).position(|w| w == MARK)?;
    read(&data[at..])
}

/// The newest stamp: that of the last frame.
pub(crate) fn last(data: &[u8]) -> Option<u64> {
    let at = data.windows(MARK.len()).rposition(|w| w == MARK)?;
    read(&data[at..])
}

fn read(data: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(data.get(MARK.len()..LEN)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found() {
        let mut data = vec![0; 30];
        write(&mut data, 7);
        data.extend_from_slice(&[9; 100]);
        write(&mut data, u64::MAX);
        assert_eq!((first(&data), last(&data)), (Some(7), Some(u64::MAX)));
        assert_eq!(last(&data[..data.len() - 1]), None);
        assert_eq!(first(b"weirLoa"), None);
    }
}
