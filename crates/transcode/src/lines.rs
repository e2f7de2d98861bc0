//! Lines of text from somebody who may write any amount of it.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What is beyond is cut off.
const LINE: usize = 500;

/// Reads lines, none longer than a few hundred bytes.
pub(crate) struct Lines<R> {
    from: R,
    piece: Box<[u8; 1024]>,
    held: std::ops::Range<usize>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self {
            from,
            piece: Box::new([0; 1024]),
            held: 0..0,
            line: Vec::new(),
        }
    }

    /// The next line that says something; `None` at the end. Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            for at in self.held.by_ref() {
                match self.piece[at] {
                    b'\n' if self.line.is_empty() => {}
                    b'\n' => {
                        let line = String::from_utf8_lossy(&self.line).trim().to_owned();
                        self.line.clear();
                        return Some(line);
                    }
                    byte if self.line.len() < LINE => self.line.push(byte),
                    _ => {}
                }
            }
            let got = self.from.read(&mut self.piece[..]).await.unwrap_or(0);
            if got == 0 {
                return None;
            }
            self.held = 0..got;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_are_cut_and_empty_ones_left_out() {
        let text = format!("one\n\n{}\ntwo\nrest", "x".repeat(5_000));
        let mut lines = Lines::new(text.as_bytes());
        assert_eq!(lines.next().await.as_deref(), Some("one"));
        assert_eq!(lines.next().await.map(|l| l.len()), Some(LINE));
        assert_eq!(lines.next().await.as_deref(), Some("two"));
        assert_eq!(lines.next().await, None);
    }
}
