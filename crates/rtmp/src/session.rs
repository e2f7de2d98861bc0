//! The server's side of a session as a state machine: bytes in, events and bytes out.

use bytes::{Bytes, BytesMut};

use crate::amf::{self, Value};
use crate::capabilities::Capabilities;
use crate::chunk::Message;
use crate::config::Config;
use crate::error::ErrorKind;
use crate::link::Link;
use crate::metadata::Metadata;
use crate::reply::Reject;
use crate::target::Target;

/// What a session tells its driver.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The client asks to publish; answer with `accept_publish` or `reject`.
    Publish(Target),
    /// The client asks to play; answer with `accept_play` or `reject`.
    Play(Target),
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
    /// The client is done.
    Finished,
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is asked for yet.
    Opening,
    /// A request waits for its answer.
    Asked,
    Publishing,
    Playing,
    Refused,
}

/// One connection's protocol state.
pub struct Session {
    config: Config,
    link: Link,
    phase: Phase,
    app: String,
    asks_play: bool,
    stream: String,
    capabilities: Capabilities,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("received", &self.link.position())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session whose client has just connected.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            link: Link::server(config.before_media()),
            phase: Phase::Opening,
            app: String::new(),
            asks_play: false,
            stream: String::new(),
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

    /// The next event; `None` until more bytes come.
    ///
    /// # Errors
    /// Bytes that break the protocol or a bound. The session is over.
    pub fn poll(&mut self) -> Result<Option<Event>, ErrorKind> {
        if !self.link.shake_hands()? {
            return self.check_patience().map(|()| None);
        }
        // A request is answered before anything behind it is read.
        while self.phase != Phase::Asked && self.phase != Phase::Refused {
            let Some(message) = self.link.message()? else {
                break;
            };
            if let Some(event) = self.message(message)? {
                return Ok(Some(event));
            }
        }
        self.check_patience().map(|()| None)
    }

    /// The publisher may send.
    pub fn accept_publish(&mut self) {
        self.phase = Phase::Publishing;
        self.link.set_limits(self.config.media());
        self.link.out.publish_started(&self.stream);
    }

    /// The player will be sent media; what it says from here on is read within the same bounds.
    pub(crate) fn accept_play(&mut self) -> Capabilities {
        self.phase = Phase::Playing;
        // What the request took is not kept for the little that a player says.
        self.link.input = BytesMut::from(&self.link.input[..]);
        self.link.out.play_started(&self.stream);
        std::mem::take(&mut self.capabilities)
    }

    /// The player is told that nothing more will come.
    pub(crate) fn end_play(&mut self) {
        self.link.out.play_ended(&self.stream);
    }

    /// The request is refused; nothing more will be read.
    pub fn reject(&mut self, why: Reject, words: Option<&str>) {
        self.phase = Phase::Refused;
        if self.asks_play {
            self.link.out.refuse_play(why, words);
        } else {
            self.link.out.refuse_publish(why, words);
        }
    }

    fn check_patience(&self) -> Result<(), ErrorKind> {
        let most = self.config.request_bytes;
        if self.phase == Phase::Opening && self.link.position() > most as u64 {
            return Err(ErrorKind::TooMuch(most));
        }
        Ok(())
    }

    fn message(&mut self, message: Message) -> Result<Option<Event>, ErrorKind> {
        let Message {
            kind,
            timestamp,
            body,
            ..
        } = message;
        Ok(match kind {
            // User control other than pings.
            4 => None,
            8 | 9 if self.phase != Phase::Publishing => {
                Some(Event::Ignored("media before publish"))
            }
            8 => Some(Event::Media {
                kind: MediaKind::Audio,
                timestamp,
                body,
            }),
            9 => Some(Event::Media {
                kind: MediaKind::Video,
                timestamp,
                body,
            }),
            // AMF3 messages carry AMF0 behind one byte.
            15 => Some(self.data(body.get(1..).unwrap_or_default())),
            18 => Some(self.data(&body)),
            17 => self.command(body.get(1..).unwrap_or_default())?,
            20 => self.command(&body)?,
            22 => Some(Event::Ignored("aggregate message")),
            _ => Some(Event::Ignored("message type")),
        })
    }

    /// A data message that cannot be read costs nothing but itself.
    fn data(&mut self, body: &[u8]) -> Event {
        let Ok(values) = amf::read(body) else {
            return Event::Ignored("unreadable data message");
        };
        Metadata::read(&values).map_or(Event::Ignored("data message"), Event::Metadata)
    }

    fn command(&mut self, body: &[u8]) -> Result<Option<Event>, ErrorKind> {
        let values = amf::read(body)?;
        let mut values = values.into_iter();
        let Some(Value::Utf8String(name)) = values.next() else {
            return Ok(Some(Event::Ignored("nameless command")));
        };
        let transaction = match values.next() {
            Some(Value::Number(n)) => n,
            _ => 0.0,
        };
        let argument = values.next();
        let text = match values.next() {
            Some(Value::Utf8String(text)) => text,
            _ => String::new(),
        };
        Ok(match name.as_str() {
            "connect" => self.connect(transaction, argument),
            "createStream" => {
                self.link.out.stream_created(transaction);
                None
            }
            "publish" if self.phase == Phase::Opening => {
                Some(Event::Publish(self.ask(&text, false)))
            }
            "play" if self.phase == Phase::Opening => Some(Event::Play(self.ask(&text, true))),
            "FCPublish" => {
                self.link.out.result(transaction, Value::Undefined);
                self.link.out.on_fc_publish(&text);
                None
            }
            "deleteStream" | "closeStream" => self.finish(transaction),
            // `FCUnpublish` only announces the `deleteStream` behind it.
            "FCUnpublish" | "releaseStream" | "_checkbw" => {
                self.link.out.result(transaction, Value::Undefined);
                None
            }
            // Live: no end is known.
            "getStreamLength" => {
                self.link.out.result(transaction, Value::Number(0.0));
                None
            }
            _ => Some(Event::Ignored("command")),
        })
    }

    fn connect(&mut self, transaction: f64, argument: Option<Value>) -> Option<Event> {
        let Some(Value::Object(members)) = argument else {
            self.link
                .out
                .refuse_connect(transaction, "no command object");
            return Some(Event::Finished);
        };
        let Some(Value::Utf8String(app)) = members.get("app") else {
            self.link.out.refuse_connect(transaction, "no app");
            return Some(Event::Finished);
        };
        self.app.clone_from(app);
        self.capabilities = Capabilities::read(&members);
        let enhanced = self.capabilities.is_enhanced();
        self.link.out.connected(transaction, enhanced);
        None
    }

    fn ask(&mut self, stream: &str, play: bool) -> Target {
        self.phase = Phase::Asked;
        self.asks_play = play;
        let target = Target::new(&self.app, stream);
        // The status names the stream; its query may hold the key.
        self.stream.clone_from(&target.name);
        target
    }

    fn finish(&mut self, transaction: f64) -> Option<Event> {
        match self.phase {
            Phase::Publishing => self.link.out.publish_ended(),
            Phase::Playing => {}
            _ => {
                self.link.out.result(transaction, Value::Undefined);
                return None;
            }
        }
        Some(Event::Finished)
    }
}
