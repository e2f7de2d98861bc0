//! HTTP/1.1 over one connection that is kept: GET, and a body of a known length or one that grows.

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

/// What is left of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Of(usize),
    /// Chunks as they are made (RFC 9112 7.1), until an empty one.
    Growing,
}

impl Body {
    pub(crate) fn is_growing(self) -> bool {
        self == Self::Growing
    }
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

    /// The next chunk, or the whole body where it does not grow; `None` at its end.
    pub(crate) async fn chunk(&mut self, body: &mut Body) -> anyhow::Result<Option<Vec<u8>>> {
        let Some((len, tail)) = self.next(body).await? else {
            return Ok(None);
        };
        let mut chunk: Vec<u8> = self.buffer.drain(..self.buffer.len().min(len)).collect();
        let have = chunk.len();
        chunk.resize(len, 0);
        self.stream.read_exact(&mut chunk[have..]).await?;
        self.skip(tail).await?;
        Ok(Some(chunk))
    }

    /// As `chunk`, but only counts.
    pub(crate) async fn count_chunk(&mut self, body: &mut Body) -> anyhow::Result<Option<usize>> {
        let Some((len, tail)) = self.next(body).await? else {
            return Ok(None);
        };
        self.skip(len + tail).await?;
        Ok(Some(len))
    }

    /// How long what comes next is, and what is behind it that means nothing.
    async fn next(&mut self, body: &mut Body) -> anyhow::Result<Option<(usize, usize)>> {
        match *body {
            Body::Of(0) => Ok(None),
            Body::Of(len) => {
                *body = Body::Of(0);
                Ok(Some((len, 0)))
            }
            Body::Growing => {
                let line = self.until(b"\r\n").await?;
                let len = usize::from_str_radix(std::str::from_utf8(&line)?, 16)?;
                ensure!(len <= LONGEST_BODY, "a long chunk");
                if len == 0 {
                    self.skip(2).await?;
                }
                Ok((len > 0).then_some((len, 2)))
            }
        }
    }

    async fn skip(&mut self, bytes: usize) -> anyhow::Result<()> {
        let mut left = bytes - self.buffer.drain(..self.buffer.len().min(bytes)).len();
        while left > 0 {
            left -= discard(&self.stream, left).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, path: &str) -> anyhow::Result<usize> {
        match self.body(path).await? {
            Body::Of(len) => Ok(len),
            Body::Growing => bail!("{path}: no length"),
        }
    }

    /// Asks for what is to be read with `chunk` or `count_chunk`, to its end.
    pub(crate) async fn body(&mut self, path: &str) -> anyhow::Result<Body> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let head = self.until(b"\r\n\r\n").await?;
        let head = std::str::from_utf8(&head)?;
        length(head).with_context(|| format!("{path}: {head}"))
    }

    /// What comes before `mark`, which is dropped; what is behind it stays in the buffer.
    async fn until(&mut self, mark: &[u8]) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|w| w == mark) {
                let head = self.buffer[..at].to_vec();
                self.buffer.drain(..at + mark.len());
                return Ok(head);
            }
            ensure!(self.buffer.len() < LONGEST_HEAD, "a long head");
            // Little at a time: what is body is better dropped than copied.
            let mut piece = [0; 1024];
            let read = self.stream.read(&mut piece).await?;
            ensure!(read > 0, "the server hung up");
            self.buffer.extend_from_slice(&piece[..read]);
        }
    }
}

fn length(head: &str) -> anyhow::Result<Body> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1));
    ensure!(status == Some("200"), "not 200");
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let len = value.parse()?;
            ensure!(len <= LONGEST_BODY, "a long body");
            return Ok(Body::Of(len));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked" {
            return Ok(Body::Growing);
        }
    }
    bail!("no length");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_urls() {
        let of = length("HTTP/1.1 200 OK\r\ncontent-length: 12").unwrap();
        assert_eq!(of, Body::Of(12));
        assert!(length("HTTP/1.1 404 Not Found\r\nContent-Length: 12").is_err());
        let growing = length("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").unwrap();
        assert!(growing.is_growing());
        assert!(length("HTTP/1.1 200 OK\r\nserver: a").is_err());
        assert_eq!(split("http://a:1/b/c").unwrap(), ("a:1", "/b/c"));
        assert!(split("https://a/").is_err());
    }
}
