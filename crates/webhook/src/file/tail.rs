//! The last line, where it has no end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const CHUNK: u64 = 64 * 1024;

/// Cuts off what follows the last line break, and says how long the file is then.
pub(super) fn cut(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let whole = whole(file, length)?;
    if whole < length {
        file.set_len(whole)?;
        file.sync_data()?;
    }
    Ok(whole)
}

/// How long the whole lines are.
fn whole(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk: Vec<u8> = (start..end).map(|_| 0).collect();
        file.read_exact_at(&mut chunk, start)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
