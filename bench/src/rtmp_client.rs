//! The little of RTMP's client side that a load needs.

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use rml_amf0::Amf0Value;
use rtmp::chunk::{Limits, Message, Reader, Writer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HANDSHAKE: usize = 1536;
/// As OBS and ffmpeg send.
const CHUNK_SIZE: u32 = 4096;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    writer: Writer,
    pub(crate) incoming: Incoming,
}

/// Messages out of bytes.
pub(crate) struct Incoming {
    reader: Reader,
    pub(crate) input: BytesMut,
}

/// `rtmp://HOST:PORT/APP/NAME`; the name keeps its query.
pub(crate) struct Target<'a> {
    address: &'a str,
    app: &'a str,
    name: &'a str,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(url: &'a str) -> anyhow::Result<Self> {
        let parts = url.strip_prefix("rtmp://").and_then(|rest| {
            let (address, path) = rest.split_once('/')?;
            let (app, name) = path.split_once('/')?;
            Some(Self { address, app, name })
        });
        parts.with_context(|| format!("{url}: not rtmp://HOST:PORT/APP/NAME"))
    }
}

impl Incoming {
    fn new() -> Self {
        let limits = Limits {
            message: 8 << 20,
            streams: 16,
        };
        Self {
            reader: Reader::new(limits),
            input: BytesMut::with_capacity(256 << 10),
        }
    }

    /// The next whole message of what was read; follows the peer's chunk size.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Message>> {
        while let Some(message) = self.reader.read(&mut self.input)? {
            let Some(size) = message.body.first_chunk().filter(|_| message.kind == 1) else {
                return Ok(Some(message));
            };
            self.reader.set_chunk_size(u32::from_be_bytes(*size))?;
        }
        Ok(None)
    }
}

fn text(text: &str) -> Amf0Value {
    Amf0Value::Utf8String(text.to_owned())
}

impl Client {
    async fn connect(target: &Target<'_>) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let mut hello = vec![3];
        hello.resize(1 + HANDSHAKE, 0);
        stream.write_all(&hello).await?;
        let mut answer = vec![0; 1 + 2 * HANDSHAKE];
        stream.read_exact(&mut answer).await?;
        stream.write_all(&answer[1..=HANDSHAKE]).await?;
        let mut client = Self {
            stream,
            writer: Writer::default(),
            incoming: Incoming::new(),
        };
        let connect = [
            ("app".to_owned(), text(target.app)),
            ("flashVer".to_owned(), text("FMLE/3.0 (weir-load)")),
        ];
        let values = [text("connect"), Amf0Value::Number(1.0)];
        let object = Amf0Value::Object(connect.into());
        client
            .command(values.into_iter().chain([object]).collect())
            .await?;
        client.ask("createStream", 2.0, &[]).await?;
        Ok(client)
    }

    /// Asks to play, and does not wait for what the server says.
    pub(crate) async fn play(url: &str) -> anyhow::Result<Self> {
        let target = Target::parse(url)?;
        let mut client = Self::connect(&target).await?;
        client.ask("play", 3.0, &[target.name]).await?;
        Ok(client)
    }

    /// Asks to publish, and waits until it may.
    pub(crate) async fn publish(url: &str) -> anyhow::Result<Self> {
        let target = Target::parse(url)?;
        let mut client = Self::connect(&target).await?;
        client.ask("publish", 3.0, &[target.name, "live"]).await?;
        client.allowed().await?;
        client.send(1, 0, &CHUNK_SIZE.to_be_bytes()).await?;
        client.writer.set_chunk_size(CHUNK_SIZE as usize);
        Ok(client)
    }

    async fn allowed(&mut self) -> anyhow::Result<()> {
        loop {
            while let Some(message) = self.incoming.next()? {
                if message.kind != 20 {
                    continue;
                }
                let said = String::from_utf8_lossy(&message.body);
                if said.contains("NetStream.Publish.Start") {
                    return Ok(());
                }
                if said.contains("onStatus") || said.contains("_error") {
                    bail!("publishing is refused: {said}");
                }
            }
            let read = self.stream.read_buf(&mut self.incoming.input).await?;
            ensure!(read > 0, "the server hung up");
        }
    }

    async fn ask(&mut self, what: &str, number: f64, words: &[&str]) -> anyhow::Result<()> {
        let mut values = vec![text(what), Amf0Value::Number(number), Amf0Value::Null];
        values.extend(words.iter().map(|w| text(w)));
        self.command(values).await
    }

    async fn command(&mut self, values: Vec<Amf0Value>) -> anyhow::Result<()> {
        let body = rml_amf0::serialize(&values).context("AMF0")?;
        self.send(20, 0, &body).await
    }

    /// One message in one write.
    pub(crate) async fn send(&mut self, kind: u8, time: u32, body: &[u8]) -> anyhow::Result<()> {
        let (chunk_stream, stream) = match kind {
            1 => (2, 0),
            8 => (4, 1),
            9 => (6, 1),
            _ => (3, 1),
        };
        let mut out = BytesMut::new();
        self.writer
            .write(&mut out, chunk_stream, (kind, time, stream), body);
        Ok(self.stream.write_all(&out).await?)
    }
}
