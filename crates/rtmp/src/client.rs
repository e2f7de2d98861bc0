//! The client's side of a session as a state machine: bytes in, events and bytes out. It plays, or
//! it gets as far as to where media may be published.

use bytes::{Bytes, BytesMut};

use crate::aggregate::Aggregate;
use crate::amf::{self, Value};
use crate::capabilities::Capabilities;
use crate::chunk::Message;
use crate::config::Config;
use crate::error::ErrorKind;
use crate::link::Link;
use crate::metadata::Metadata;
use crate::refusal::Status;
use crate::reply::STREAM_EOF;
use crate::request::{CONNECT, CREATE_STREAM, FC_PUBLISH, Purpose, RELEASE_STREAM};
use crate::session::MediaKind;
use crate::url::Url;

/// What a session tells its driver.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// `onMetaData`.
    Metadata(Metadata),
    /// An audio or video message.
    Media {
        /// Which.
        kind: MediaKind,
        /// Milliseconds modulo 2^32.
        timestamp: u32,
        /// The body.
        body: Bytes,
    },
    /// A message that means nothing here; the reason is for counters.
    Ignored(&'static str),
    /// The server is done. Nothing more will be read.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    ShakingHands,
    Connecting,
    /// `createStream` waits for its answer.
    Creating,
    /// `play` or `publish` does.
    Asked,
    /// Media flows.
    Accepted,
    Over,
}

/// One connection's protocol state.
pub struct ClientSession {
    config: Config,
    url: Url,
    purpose: Purpose,
    link: Link,
    phase: Phase,
    /// The message stream that the server made.
    stream: u32,
    aggregate: Aggregate,
    /// What the server says that it can read.
    capabilities: Capabilities,
}

impl std::fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSession")
            .field("url", &self.url)
            .field("phase", &self.phase)
            .field("received", &self.link.position())
            .finish_non_exhaustive()
    }
}

impl ClientSession {
    /// A session that has just connected, to play `url`.
    #[must_use]
    pub fn play(url: Url, config: Config) -> Self {
        Self::new(url, Purpose::Play, config)
    }

    /// A session that has just connected, to publish `url`.
    #[must_use]
    pub fn publish(url: Url, config: Config) -> Self {
        Self::new(url, Purpose::Publish, config)
    }

    fn new(url: Url, purpose: Purpose, config: Config) -> Self {
        Self {
            config,
            url,
            purpose,
            link: Link::client(config.before_media()),
            phase: Phase::ShakingHands,
            stream: 0,
            aggregate: Aggregate::default(),
            capabilities: Capabilities::default(),
        }
    }

    /// Where the driver puts what it reads; `received` then tells how much that was.
    pub const fn input(&mut self) -> &mut BytesMut {
        &mut self.link.input
    }

    /// `len` bytes were appended to the input.
    pub fn received(&mut self, len: usize) {
        self.link.received(len);
    }

    /// All bytes read so far.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.link.position()
    }

    /// What is to be sent; empty where there is nothing.
    pub fn output(&mut self) -> Bytes {
        self.link.out.take()
    }

    /// Whether the server has said that it plays, or does so; or that it takes what is published.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.phase == Phase::Accepted
    }

    /// What the server owes, in the words of errors.
    pub(crate) const fn waits_for(&self) -> &'static str {
        match self.phase {
            Phase::ShakingHands => "shaking hands",
            Phase::Connecting => "waiting for the answer to connect",
            Phase::Creating => "waiting for the answer to createStream",
            Phase::Asked | Phase::Accepted | Phase::Over => "waiting for the answer to publish",
        }
    }

    /// The message stream that the server made.
    pub(crate) const fn stream(&self) -> u32 {
        self.stream
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    /// Says goodbye; nothing more will be read.
    pub fn close(&mut self) {
        if self.stream != 0 {
            if self.purpose == Purpose::Publish {
                self.link.out.unpublish(self.url.stream());
            }
            self.link.out.delete_stream(self.stream);
        }
        self.phase = Phase::Over;
    }

    /// The next event; `None` until more bytes come.
    ///
    /// # Errors
    /// A refusal, or bytes that break the protocol or a bound. The session is over.
    pub fn poll(&mut self) -> Result<Option<ClientEvent>, ErrorKind> {
        if self.phase == Phase::ShakingHands {
            if !self.link.shake_hands()? {
                return self.check_patience().map(|()| None);
            }
            self.link.out.connect(&self.url, self.purpose);
            self.phase = Phase::Connecting;
        }
        while self.phase != Phase::Over {
            if let Some((kind, timestamp, body)) = self.aggregate.next() {
                return Ok(Some(self.part(kind, timestamp, body)));
            }
            let Some(message) = self.link.message()? else {
                break;
            };
            if let Some(event) = self.message(message)? {
                return Ok(Some(event));
            }
        }
        self.check_patience().map(|()| None)
    }

    fn check_patience(&self) -> Result<(), ErrorKind> {
        let most = self.config.request_bytes;
        // Who plays may do so without a word.
        let plays = self.purpose == Purpose::Play && self.phase == Phase::Asked;
        let over = matches!(self.phase, Phase::Accepted | Phase::Over);
        if !plays && !over && self.link.position() > most as u64 {
            return Err(ErrorKind::TooMuch(most));
        }
        Ok(())
    }

    fn message(&mut self, message: Message) -> Result<Option<ClientEvent>, ErrorKind> {
        let Message {
            kind,
            timestamp,
            body,
            ..
        } = message;
        Ok(match kind {
            4 if body.starts_with(&STREAM_EOF.to_be_bytes()) => self.finish(),
            4 => None,
            // AMF3 messages carry AMF0 behind one byte.
            17 => self.command(body.get(1..).unwrap_or_default())?,
            20 => self.command(&body)?,
            22 => {
                self.aggregate = Aggregate::new(timestamp, body);
                None
            }
            _ => Some(self.part(kind, timestamp, body)),
        })
    }

    /// What may stand in an aggregate message too.
    fn part(&mut self, kind: u8, timestamp: u32, body: Bytes) -> ClientEvent {
        match kind {
            8 => self.media(MediaKind::Audio, timestamp, body),
            9 => self.media(MediaKind::Video, timestamp, body),
            15 => self.data(body.get(1..).unwrap_or_default()),
            18 => self.data(&body),
            _ => ClientEvent::Ignored("message type"),
        }
    }

    fn media(&mut self, kind: MediaKind, timestamp: u32, body: Bytes) -> ClientEvent {
        if self.purpose == Purpose::Publish {
            return ClientEvent::Ignored("media for a publisher");
        }
        // Some servers play without a word.
        if self.phase == Phase::Asked {
            self.phase = Phase::Accepted;
        }
        if self.phase != Phase::Accepted {
            return ClientEvent::Ignored("media before play");
        }
        ClientEvent::Media {
            kind,
            timestamp,
            body,
        }
    }

    /// A data message that cannot be read costs nothing but itself.
    fn data(&mut self, body: &[u8]) -> ClientEvent {
        let Ok(values) = amf::read(body) else {
            return ClientEvent::Ignored("unreadable data message");
        };
        if matches!(values.first(), Some(Value::Utf8String(name)) if name == "onPlayStatus") {
            let complete =
                Status::read(values.into_iter().nth(1)).code == "NetStream.Play.Complete";
            let finished = complete.then(|| self.finish()).flatten();
            return finished.unwrap_or(ClientEvent::Ignored("data message"));
        }
        Metadata::read(&values).map_or(ClientEvent::Ignored("data message"), ClientEvent::Metadata)
    }

    fn command(&mut self, body: &[u8]) -> Result<Option<ClientEvent>, ErrorKind> {
        let values = match amf::read(body) {
            Ok(values) => values,
            Err(_) if self.phase == Phase::Accepted => {
                return Ok(Some(ClientEvent::Ignored("unreadable command")));
            }
            Err(error) => return Err(error.into()),
        };
        let mut values = values.into_iter();
        let Some(Value::Utf8String(name)) = values.next() else {
            return Ok(Some(ClientEvent::Ignored("nameless command")));
        };
        let transaction = match values.next() {
            Some(Value::Number(n)) => n,
            _ => 0.0,
        };
        // Behind the command object comes what matters.
        let (object, value) = (values.next(), values.next());
        match name.as_str() {
            "_result" => self.result(transaction, [object.as_ref(), value.as_ref()]),
            // Most servers have nothing to release.
            "_error" if [RELEASE_STREAM, FC_PUBLISH].contains(&transaction) => {}
            "_error" if self.phase != Phase::Accepted => {
                return Err(Status::read(value).refuse(&self.url));
            }
            "onStatus" => return self.status(Status::read(value)),
            "close" => return Ok(self.finish()),
            _ => return Ok(Some(ClientEvent::Ignored("command"))),
        }
        Ok(None)
    }

    fn result(&mut self, transaction: f64, values: [Option<&Value>; 2]) {
        if self.phase == Phase::Connecting && transaction == CONNECT {
            self.capabilities = Capabilities::answered(values);
            if self.purpose == Purpose::Publish {
                self.link.out.announce(self.url.stream());
            }
            self.link.out.create_stream();
            self.phase = Phase::Creating;
        } else if self.phase == Phase::Creating && transaction == CREATE_STREAM {
            // A saturating cast: what is no number is the stream that every server has.
            self.stream = match values[1] {
                Some(Value::Number(n)) => *n as u32,
                _ => 1,
            };
            self.ask();
            self.phase = Phase::Asked;
        }
    }

    fn ask(&mut self) {
        let (stream, name) = (self.stream, self.url.stream());
        match self.purpose {
            Purpose::Play => {
                self.link.out.play(stream, name);
                self.link.set_limits(self.config.media());
            }
            Purpose::Publish => self.link.out.publish(stream, name),
        }
    }

    fn status(&mut self, status: Status) -> Result<Option<ClientEvent>, ErrorKind> {
        if status.is_refusal() {
            return Err(status.refuse(&self.url));
        }
        Ok(match status.code.as_str() {
            "NetStream.Play.Start" | "NetStream.Publish.Start" if self.phase == Phase::Asked => {
                self.phase = Phase::Accepted;
                None
            }
            "NetStream.Play.Stop"
            | "NetStream.Play.UnpublishNotify"
            | "NetStream.Play.Complete"
            | "NetStream.Unpublish.Success"
            | "NetConnection.Connect.Closed"
            | "NetConnection.Connect.AppShutdown" => self.finish(),
            _ => None,
        })
    }

    fn finish(&mut self) -> Option<ClientEvent> {
        self.phase = Phase::Over;
        Some(ClientEvent::Finished)
    }
}
