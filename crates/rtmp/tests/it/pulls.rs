//! What tests of pulls share: a pull that runs, and a server of our own that says what real ones do not.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use container::ingest::Stats;
use hub::{EndReason, Event, Hub, Limits, Options, Presentation, Subscriber};
use media::{Frame, Track};
use rml_amf0::Amf0Value;
use rtmp::chunk::{self, Reader, Writer};
use rtmp::{Allowed, Config, DialError, Pull, pull};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

use crate::client::{stats, text};

const SET_CHUNK_SIZE: u8 = 1;

/// Whom a test trusts.
pub fn trust(certificates: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

pub fn to(url: &str) -> Pull {
    Pull {
        url: url.parse().unwrap(),
        allowed: Allowed::new(|_| true),
        tls: trust(&[]),
        connect_timeout: Duration::from_secs(10),
        session: Config::default(),
    }
}

/// A pull that runs, and what it brings.
pub struct Run {
    pub ends: JoinHandle<Result<EndReason, DialError>>,
    pub stats: Arc<Stats>,
    pub tracks: Arc<[Track]>,
    reader: Subscriber,
    _presentation: Presentation,
}

impl Run {
    pub fn start(what: Pull) -> Self {
        let presentation = Hub::new().announce("pulled").unwrap();
        let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
        tokio::spawn(relay.run());
        let reader = publisher.broadcast().subscribe(Options {
            max_latency: media::Span::from_secs(3600),
            ..Options::default()
        });
        let stats = stats();
        Self {
            ends: tokio::spawn(pull(what, publisher, Arc::clone(&stats))),
            stats,
            tracks: Arc::new([]),
            reader,
            _presentation: presentation,
        }
    }

    /// So many frames, or all up to the end.
    pub async fn frames(&mut self, most: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut batch = Vec::new();
        while frames.len() < most {
            self.reader.next(&mut batch).await;
            for event in batch.drain(..) {
                match event {
                    Event::Group { tracks, .. } => self.tracks = tracks,
                    Event::Frame(frame) => frames.push(frame),
                    Event::Skipped { .. } => panic!("nothing is skipped"),
                    Event::End(_) => return frames,
                }
            }
        }
        frames
    }

    pub async fn end(self) -> Result<EndReason, DialError> {
        self.ends.await.unwrap()
    }
}

/// One connection of a server that says what it is told to.
pub struct Scripted {
    pub stream: TcpStream,
    writer: Writer,
    reader: Reader,
    input: BytesMut,
}

impl Scripted {
    /// A place to call, and whom it will take.
    pub async fn listen() -> (TcpListener, String) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("rtmp://{}/live/x?key=k3y", socket.local_addr().unwrap());
        (socket, url)
    }

    pub async fn accept(socket: &TcpListener) -> Self {
        let (mut stream, _) = socket.accept().await.unwrap();
        let mut client = vec![0; 1537];
        stream.read_exact(&mut client).await.unwrap();
        let ours = [&[3][..], &[0; 1536], &client[1..]].concat();
        stream.write_all(&ours).await.unwrap();
        stream.read_exact(&mut client[1..]).await.unwrap();
        Self {
            stream,
            writer: Writer::default(),
            reader: Reader::new(chunk::Limits {
                message: 1 << 20,
                streams: 8,
            }),
            input: BytesMut::new(),
        }
    }

    pub async fn send(&mut self, kind: u8, timestamp: u32, body: &[u8]) {
        let mut out = BytesMut::new();
        self.writer.write(&mut out, 3, (kind, timestamp, 1), body);
        self.stream.write_all(&out).await.unwrap();
    }

    pub async fn command(&mut self, values: Vec<Amf0Value>) {
        let body = rml_amf0::serialize(&values).unwrap();
        self.send(20, 0, &body).await;
    }

    /// The next message of a type; `None` where the client has hung up.
    pub async fn hear(&mut self, kind: u8) -> Option<bytes::Bytes> {
        loop {
            while let Some(message) = self.reader.read(&mut self.input).unwrap() {
                if message.kind == SET_CHUNK_SIZE {
                    let size = message.body.first_chunk().copied().unwrap();
                    let size = u32::from_be_bytes(size);
                    self.reader.set_chunk_size(size).unwrap();
                }
                if message.kind == kind {
                    return Some(message.body);
                }
            }
            if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// The next command's values.
    pub async fn heard(&mut self) -> Vec<Amf0Value> {
        let body = self.hear(20).await.expect("a command");
        rml_amf0::deserialize(&mut &body[..]).unwrap()
    }

    pub async fn result(&mut self, transaction: f64, value: Amf0Value) {
        let number = Amf0Value::Number(transaction);
        self.command(vec![text("_result"), number, Amf0Value::Null, value])
            .await;
    }

    pub async fn status(&mut self, level: &str, code: &str, description: &str) {
        let info = info(level, code, description);
        self.command(vec![
            text("onStatus"),
            Amf0Value::Number(0.0),
            Amf0Value::Null,
            info.into(),
        ])
        .await;
    }

    /// Up to where the client waits for the answer to `play`.
    pub async fn asked(socket: &TcpListener) -> Self {
        let mut server = Self::accept(socket).await;
        assert_eq!(server.heard().await[0], text("connect"));
        server.result(1.0, Amf0Value::Null).await;
        assert_eq!(server.heard().await[0], text("createStream"));
        server.result(2.0, Amf0Value::Number(7.0)).await;
        let play = server.heard().await;
        assert_eq!((&play[0], &play[3]), (&text("play"), &text("x?key=k3y")));
        server
    }

    pub async fn playing(socket: &TcpListener) -> Self {
        let mut server = Self::asked(socket).await;
        server.status("status", "NetStream.Play.Start", "").await;
        server
    }
}

/// A status object's members.
pub struct Info(std::collections::HashMap<String, Amf0Value>);

pub fn info(level: &str, code: &str, description: &str) -> Info {
    let members = [
        ("level", level),
        ("code", code),
        ("description", description),
    ];
    Info(
        members
            .map(|(name, value)| (name.to_owned(), text(value)))
            .into(),
    )
}

impl Info {
    pub fn with(mut self, name: &str, value: Amf0Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

impl From<Info> for Amf0Value {
    fn from(info: Info) -> Self {
        Self::Object(info.0)
    }
}
