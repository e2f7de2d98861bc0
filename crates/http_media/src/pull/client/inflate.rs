//! gzip, a little at a time: nobody else waits for a body that takes long to decompress.

use std::io::{self, ErrorKind, Write};

use bytes::Bytes;
use flate2::write::GzDecoder;
use tokio::task::yield_now;

/// Compressed bytes between two turns of others. Made to be slow, so many take a few milliseconds:
/// every ten bits may be a block with tables of its own.
const SLICE: usize = 1 << 10;

/// One member (RFC 1952), and nothing behind it: empty members cost time without end.
///
/// # Errors
/// What is wrong with it, or that it is longer than `limit`.
pub(super) async fn gunzip(bytes: &[u8], limit: usize) -> Result<Bytes, &'static str> {
    let plain = Vec::new();
    let mut decoder = GzDecoder::new(Bounded { plain, limit });
    for slice in bytes.chunks(SLICE) {
        decoder.write_all(slice).map_err(|e| reason(&e))?;
        yield_now().await;
    }
    let bounded = decoder.finish().map_err(|e| reason(&e))?;
    Ok(bounded.plain.into())
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::FileTooLarge => "longer than its bound",
        _ => "does not decompress",
    }
}

struct Bounded {
    plain: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if more.len() > self.limit - self.plain.len() {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.plain.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// The result, and how often others had their turn.
    fn turns(bytes: &[u8], limit: usize) -> (Result<Bytes, &'static str>, usize) {
        let mut doing = pin!(gunzip(bytes, limit));
        let mut cx = Context::from_waker(Waker::noop());
        let mut turns = 0;
        loop {
            match doing.as_mut().poll(&mut cx) {
                Poll::Ready(done) => return (done, turns),
                Poll::Pending => turns += 1,
            }
        }
    }

    #[test]
    fn one_member_within_its_bound() {
        let plain = b"#EXTM3U\n".repeat(1_000);
        let coded = gzip(&plain);
        assert_eq!(turns(&coded, 8_000).0.unwrap(), plain);
        assert_eq!(turns(&coded, 7_999).0, Err("longer than its bound"));
        let cut = &coded[..coded.len() - 1];
        assert_eq!(turns(cut, 8_000).0, Err("does not decompress"));
        let two = [&coded[..], &gzip(b"")].concat();
        assert_eq!(turns(&two, 8_000).0, Err("does not decompress"));
    }

    #[test]
    fn blocks_without_content_let_others_have_their_turn() {
        // Blocks of ten bits each: not the last, fixed codes, their end.
        let mut slow = gzip(b"")[..10].to_vec();
        slow.extend([0x02, 0x08, 0x20, 0x80, 0x00].repeat(40_000));
        let (done, turns) = turns(&slow, 1_000);
        assert_eq!(done, Err("does not decompress"));
        assert!(turns >= slow.len() / SLICE, "{turns}");
    }
}
