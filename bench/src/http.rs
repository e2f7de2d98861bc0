//! HTTP/1.1 over one connection that is kept: GET, and a body of a known length.

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::discard::discard;

const LONGEST_HEAD: usize = 16 << 10;
const LONGEST_BODY: usize = 256 << 20;

pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

/// `http://HOST:PORT/PATH` as address and path.
pub(crate) fn split(url: &str) -> anyhow::Result<(&str, &str)> {
    let rest = url.strip_prefix("http://");
    let at = rest.and_then(|r| Some((r, r.find('/')?)));
    let (rest, at) = at.with_context(|| format!("{url}: not http://HOST:PORT/PATH"))?;
    Ok(rest.split_at(at))
}

impl Connection {
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: address.to_owned(),
            buffer: Vec::with_capacity(LONGEST_HEAD),
        })
    }

    /// The whole body.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let len = self.ask(path).await?;
        let mut body = std::mem::take(&mut self.buffer);
        let have = body.len();
        ensure!(have <= len, "more than was asked for");
        body.resize(len, 0);
        self.stream.read_exact(&mut body[have..]).await?;
        Ok(body)
    }

    /// Only counts the body.
    pub(crate) async fn count(&mut self, path: &str) -> anyhow::Result<usize> {
        let len = self.ask(path).await?;
        let mut left = len.checked_sub(self.buffer.len()).context("too much")?;
        while left > 0 {
            left -= discard(&self.stream, left).await?;
        }
        Ok(len)
    }

    /// Sends a request and reads the head; what came after it stays in the buffer.
    async fn ask(&mut self, path: &str) -> anyhow::Result<usize> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            ensure!(self.buffer.len() < LONGEST_HEAD, "{path}: a long head");
            // Little at a time: what is body is better dropped than copied.
            let mut piece = [0; 1024];
            let read = self.stream.read(&mut piece).await?;
            ensure!(read > 0, "{path}: the server hung up");
            self.buffer.extend_from_slice(&piece[..read]);
        };
        let head = std::str::from_utf8(&self.buffer[..end])?;
        let len = length(head).with_context(|| format!("{path}: {head}"))?;
        self.buffer.drain(..end + 4);
        Ok(len)
    }
}

fn length(head: &str) -> anyhow::Result<usize> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1));
    ensure!(status == Some("200"), "not 200");
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            let len = value.trim().parse()?;
            ensure!(len <= LONGEST_BODY, "a long body");
            return Ok(len);
        }
    }
    bail!("no length");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_urls() {
        assert_eq!(length("HTTP/1.1 200 OK\r\ncontent-length: 12").unwrap(), 12);
        assert!(length("HTTP/1.1 404 Not Found\r\nContent-Length: 12").is_err());
        assert!(length("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").is_err());
        assert_eq!(split("http://a:1/b/c").unwrap(), ("a:1", "/b/c"));
        assert!(split("https://a/").is_err());
    }
}
