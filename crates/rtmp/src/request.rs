//! What a client says: `connect`, `createStream`, then `play` or `publish`.

use std::collections::HashMap;

use crate::amf::{Value, object, text};
use crate::reply::{CAPS_EX, CODES};
use crate::url::Url;
use crate::wire::Wire;

/// Transactions, by which answers are known.
pub(crate) const CONNECT: f64 = 1.0;
pub(crate) const CREATE_STREAM: f64 = 2.0;
pub(crate) const PLAY: f64 = 3.0;
pub(crate) const PUBLISH: f64 = 3.0;
/// Asked on the way; what is answered matters to nobody.
pub(crate) const RELEASE_STREAM: f64 = 4.0;
pub(crate) const FC_PUBLISH: f64 = 5.0;

/// What encoders write by: some servers take no more.
pub(crate) const PUBLISH_CHUNK_SIZE: u32 = 4_096;

/// User control (7.1.7).
const SET_BUFFER_LENGTH: u16 = 3;
/// As players ask for it: some servers send by it.
const BUFFER_MS: u32 = 3_000;
/// Live where there is such a stream, else recorded (7.2.2.1).
const LIVE_OR_RECORDED: f64 = -2_000.0;
/// Flash's flags: every codec that it knew.
const AUDIO_CODECS: f64 = 4_071.0;
const VIDEO_CODECS: f64 = 252.0;
/// Enhanced RTMP v2, `FourCcInfoMask`: passed on, whatever it is.
const CAN_FORWARD: f64 = 4.0;

/// What a client is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Play,
    Publish,
}

/// The client's side of a session.
impl Wire {
    pub(crate) fn connect(&mut self, url: &Url, purpose: Purpose) {
        self.set_window();
        if purpose == Purpose::Publish {
            self.set_chunk_size(PUBLISH_CHUNK_SIZE);
        }
        let any = || {
            let any = ("*".to_owned(), Value::Number(CAN_FORWARD));
            Value::Object(HashMap::from([any]))
        };
        let mut members = vec![
            ("app", text(url.app())),
            ("tcUrl", text(&url.application())),
            ("fpad", Value::Boolean(false)),
            ("capabilities", Value::Number(15.0)),
            ("audioCodecs", Value::Number(AUDIO_CODECS)),
            ("videoCodecs", Value::Number(VIDEO_CODECS)),
            ("videoFunction", Value::Number(1.0)),
            ("objectEncoding", Value::Number(0.0)),
            ("fourCcList", Value::StrictArray(CODES.map(text).to_vec())),
            ("videoFourCcInfoMap", any()),
            ("audioFourCcInfoMap", any()),
            ("capsEx", Value::Number(CAPS_EX)),
        ];
        members.extend(match purpose {
            Purpose::Play => vec![("flashVer", text("LNX 9,0,124,2"))],
            // Servers tell encoders by these.
            Purpose::Publish => vec![
                ("flashVer", text("FMLE/3.0 (compatible; Weir)")),
                ("type", text("nonprivate")),
            ],
        });
        let connect = vec![text("connect"), Value::Number(CONNECT), object(members)];
        self.command(0, &connect);
    }

    pub(crate) fn create_stream(&mut self) {
        let transaction = Value::Number(CREATE_STREAM);
        self.command(0, &vec![text("createStream"), transaction, Value::Null]);
    }

    pub(crate) fn play(&mut self, stream: u32, name: &str) {
        let values = vec![
            text("play"),
            Value::Number(PLAY),
            Value::Null,
            text(name),
            Value::Number(LIVE_OR_RECORDED),
        ];
        self.command(stream, &values);
        let buffer = [stream.to_be_bytes(), BUFFER_MS.to_be_bytes()].concat();
        self.user_control(SET_BUFFER_LENGTH, &buffer);
    }

    /// What old servers want to hear before `createStream`.
    pub(crate) fn announce(&mut self, name: &str) {
        for (command, transaction) in [("releaseStream", RELEASE_STREAM), ("FCPublish", FC_PUBLISH)]
        {
            let transaction = Value::Number(transaction);
            let values = vec![text(command), transaction, Value::Null, text(name)];
            self.command(0, &values);
        }
    }

    pub(crate) fn publish(&mut self, stream: u32, name: &str) {
        let transaction = Value::Number(PUBLISH);
        let (name, live) = (text(name), text("live"));
        let values = vec![text("publish"), transaction, Value::Null, name, live];
        self.command(stream, &values);
    }

    pub(crate) fn unpublish(&mut self, name: &str) {
        let values = vec![
            text("FCUnpublish"),
            Value::Number(0.0),
            Value::Null,
            text(name),
        ];
        self.command(0, &values);
    }

    pub(crate) fn delete_stream(&mut self, stream: u32) {
        let values = vec![
            text("deleteStream"),
            Value::Number(0.0),
            Value::Null,
            Value::Number(f64::from(stream)),
        ];
        self.command(0, &values);
    }
}
