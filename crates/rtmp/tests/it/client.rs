//! A small client of our own, to say what real ones do not.

use std::sync::Arc;

use bytes::BytesMut;
use container::ingest::Stats;
use media::codec::AacConfig;
use rml_amf0::Amf0Value;
use rtmp::chunk::{Limits, Message, Reader, Writer};
use rtmp::{Config, Connection, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// x264, 640x360 at 30, constrained baseline.
pub const AVCC: &[u8] = &[
    0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf,
    0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x58, 0xba,
    0x80, 0x01, 0x00, 0x04, 0x68, 0xce, 0x0f, 0xc8,
];

/// Where a publisher counts.
pub fn stats() -> Arc<Stats> {
    Arc::new(Stats::new(testkit::clock))
}

pub async fn listener(config: Config) -> (Listener, std::net::SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = Listener::new(socket, config);
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

pub struct Client {
    pub stream: TcpStream,
    pub writer: Writer,
    reader: Reader,
    input: BytesMut,
}

pub fn text(s: &str) -> Amf0Value {
    Amf0Value::Utf8String(s.to_owned())
}

pub fn object(members: &[(&str, Amf0Value)]) -> Amf0Value {
    let own = |(name, value): &(&str, Amf0Value)| ((*name).to_owned(), value.clone());
    Amf0Value::Object(members.iter().map(own).collect())
}

pub fn h264() -> media::CodecConfig {
    media::CodecConfig::H264(media::codec::H264Config::parse(AVCC.into()).unwrap())
}

/// The body of a message that carries a configuration.
pub fn config_body(config: &media::CodecConfig) -> bytes::Bytes {
    let mux = container::flv::Mux::new(config, 0).unwrap();
    mux.config(config).unwrap()
}

/// The body of a message that carries an access unit.
pub fn frame_body(config: &media::CodecConfig, key: bool, payload: &[u8]) -> Vec<u8> {
    let mux = container::flv::Mux::new(config, 0).unwrap();
    [mux.frame(key, media::Span::ZERO).as_slice(), payload].concat()
}

pub fn aac() -> AacConfig {
    AacConfig::parse(bytes::Bytes::from_static(&[0x11, 0x90])).unwrap()
}

impl Client {
    /// Connects and shakes hands the simple way.
    pub async fn connect(
        listener: &Listener,
    ) -> (
        Self,
        tokio::task::JoinHandle<Result<rtmp::Request, rtmp::Error>>,
    ) {
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let connection: Connection = listener.accept().await.unwrap();
        let server = tokio::spawn(connection.request());
        let mut client = Self {
            stream,
            writer: Writer::default(),
            reader: Reader::new(Limits {
                message: 8 << 20,
                streams: 8,
            }),
            input: BytesMut::new(),
        };
        client.shake_hands().await;
        (client, server)
    }

    async fn shake_hands(&mut self) {
        let mut c0c1 = vec![3];
        c0c1.resize(1537, 0);
        self.stream.write_all(&c0c1).await.unwrap();
        let mut s = vec![0; 1 + 1536 + 1536];
        self.stream.read_exact(&mut s).await.unwrap();
        self.stream.write_all(&s[1..1537]).await.unwrap();
    }

    pub async fn send(&mut self, kind: u8, timestamp: u32, body: &[u8]) {
        let mut out = BytesMut::new();
        let chunk_stream = match kind {
            8 => 4,
            9 => 6,
            _ => 3,
        };
        self.writer
            .write(&mut out, chunk_stream, (kind, timestamp, 1), body);
        self.stream.write_all(&out).await.unwrap();
    }

    pub async fn command(&mut self, values: Vec<Amf0Value>) {
        let body = rml_amf0::serialize(&values).unwrap();
        self.send(20, 0, &body).await;
    }

    /// What OBS and librtmp say before they publish.
    pub async fn ask_to_publish(&mut self, app: &str, name: &str) {
        let connect = [
            ("app".to_owned(), text(app)),
            (
                "flashVer".to_owned(),
                text("FMLE/3.0 (compatible; FMSc/1.0)"),
            ),
        ];
        let number = Amf0Value::Number;
        self.command(vec![
            text("connect"),
            number(1.0),
            Amf0Value::Object(connect.into()),
        ])
        .await;
        self.command(vec![
            text("releaseStream"),
            number(2.0),
            Amf0Value::Null,
            text(name),
        ])
        .await;
        self.command(vec![
            text("FCPublish"),
            number(3.0),
            Amf0Value::Null,
            text(name),
        ])
        .await;
        self.command(vec![text("createStream"), number(4.0), Amf0Value::Null])
            .await;
        self.command(vec![text("_checkbw"), number(5.0), Amf0Value::Null])
            .await;
        self.command(vec![
            text("publish"),
            number(6.0),
            Amf0Value::Null,
            text(name),
            text("live"),
        ])
        .await;
    }

    /// What players say before they play; `members` go into `connect`.
    pub async fn ask_to_play(&mut self, name: &str, members: &[(&str, Amf0Value)]) {
        let mut connect = std::collections::HashMap::from([("app".to_owned(), text("live"))]);
        connect.extend(members.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        let number = Amf0Value::Number;
        let connect = Amf0Value::Object(connect);
        self.command(vec![text("connect"), number(1.0), connect])
            .await;
        self.command(vec![text("createStream"), number(2.0), Amf0Value::Null])
            .await;
        self.command(vec![text("play"), number(3.0), Amf0Value::Null, text(name)])
            .await;
    }

    /// The next message from the server, `None` where it hung up.
    pub async fn message(&mut self) -> Option<Message> {
        loop {
            while let Some(message) = self.reader.read(&mut self.input).unwrap() {
                if message.kind != 1 {
                    return Some(message);
                }
                let size = u32::from_be_bytes(message.body[..4].try_into().unwrap());
                self.reader.set_chunk_size(size).unwrap();
            }
            if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// The next command from the server.
    pub async fn reply(&mut self) -> Vec<Amf0Value> {
        loop {
            let message = self.message().await.expect("the server hung up");
            if message.kind == 20 {
                return rml_amf0::deserialize(&mut &message.body[..]).unwrap();
            }
        }
    }

    /// The code of the next `onStatus`.
    pub async fn status(&mut self) -> String {
        loop {
            let values = self.reply().await;
            if values[0] == text("onStatus") {
                let Amf0Value::Object(members) = &values[3] else {
                    panic!("no information");
                };
                let Amf0Value::Utf8String(code) = &members["code"] else {
                    panic!("no code");
                };
                return code.clone();
            }
        }
    }
}
