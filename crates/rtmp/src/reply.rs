//! What the server says: results, statuses, refusals.

use crate::amf::{Value, object, text};
use crate::wire::{WINDOW, Wire};

/// Our chunks, once announced: one write per message.
pub(crate) const CHUNK_SIZE: u32 = 65_536;
/// There is one message stream per connection.
pub(crate) const STREAM: u32 = 1;

/// User control events (7.1.7).
const STREAM_BEGIN: u16 = 0;
pub(crate) const STREAM_EOF: u16 = 1;

/// What can be packaged; an encoder that asks picks one of them.
pub(crate) const CODES: [&str; 10] = [
    "avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", ".mp3", "ac-3", "ec-3", "fLaC",
];
/// Enhanced RTMP v2, `CapsExMask`: multitrack and `ModEx` are read.
pub(crate) const CAPS_EX: f64 = 6.0;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reject {
    /// There is no such stream.
    NotFound,
    /// The key is missing or wrong.
    Unauthorised,
    /// Whoever decides on it says no.
    Denied,
    /// Somebody else publishes it.
    Busy,
    /// It is there, but takes no publisher now.
    Disabled,
    /// The server has no room.
    Overload,
    /// This is not done here.
    Unsupported,
}

impl Reject {
    /// All of them, for metrics that list each.
    pub const ALL: [Self; 7] = [
        Self::NotFound,
        Self::Unauthorised,
        Self::Denied,
        Self::Busy,
        Self::Disabled,
        Self::Overload,
        Self::Unsupported,
    ];

    /// A short name for metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Unauthorised => "unauthorised",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Disabled => "disabled",
            Self::Overload => "overload",
            Self::Unsupported => "unsupported",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::NotFound => "no such stream",
            Self::Unauthorised => "wrong or missing key",
            Self::Denied => "not allowed",
            Self::Busy => "the stream has a publisher already",
            Self::Disabled => "the stream is disabled",
            Self::Overload => "the server is at its limit",
            Self::Unsupported => "not supported here",
        }
    }

    const fn publish_code(self) -> &'static str {
        match self {
            Self::Unauthorised | Self::Denied => "NetStream.Publish.Unauthorized",
            Self::Overload | Self::Disabled => "NetStream.Publish.Rejected",
            Self::NotFound | Self::Busy | Self::Unsupported => "NetStream.Publish.BadName",
        }
    }

    const fn play_code(self) -> &'static str {
        match self {
            Self::NotFound => "NetStream.Play.StreamNotFound",
            _ => "NetStream.Play.Failed",
        }
    }
}

/// The server's side of a session.
impl Wire {
    /// Window, bandwidth and chunk size, then the answer to `connect`. A client that offers
    /// FourCC codes is told which are taken.
    pub(crate) fn connected(&mut self, transaction: f64, enhanced: bool) {
        self.set_window();
        let mut bandwidth = WINDOW.to_be_bytes().to_vec();
        bandwidth.push(2);
        self.control(6, &bandwidth);
        self.set_chunk_size(CHUNK_SIZE);
        let server = object([
            ("fmsVer", text("FMS/3,5,7,7009")),
            ("capabilities", Value::Number(31.0)),
            ("mode", Value::Number(1.0)),
        ]);
        let status = status(
            "status",
            "NetConnection.Connect.Success",
            "Connection succeeded.",
            enhanced,
        );
        self.command(
            0,
            &vec![text("_result"), Value::Number(transaction), server, status],
        );
    }

    pub(crate) fn refuse_connect(&mut self, transaction: f64, description: &str) {
        let info = status(
            "error",
            "NetConnection.Connect.Rejected",
            description,
            false,
        );
        self.command(
            0,
            &vec![
                text("_error"),
                Value::Number(transaction),
                Value::Null,
                info,
            ],
        );
    }

    /// The answer that an encoder may wait for, whatever it asked.
    pub(crate) fn result(&mut self, transaction: f64, value: Value) {
        self.command(
            0,
            &vec![
                text("_result"),
                Value::Number(transaction),
                Value::Null,
                value,
            ],
        );
    }

    pub(crate) fn stream_created(&mut self, transaction: f64) {
        self.result(transaction, Value::Number(f64::from(STREAM)));
    }

    pub(crate) fn on_fc_publish(&mut self, name: &str) {
        let info = status("status", "NetStream.Publish.Start", name, false);
        self.command(
            0,
            &vec![text("onFCPublish"), Value::Number(0.0), Value::Null, info],
        );
    }

    pub(crate) fn publish_started(&mut self, name: &str) {
        self.user_control(STREAM_BEGIN, &STREAM.to_be_bytes());
        self.on_status("status", "NetStream.Publish.Start", name);
    }

    pub(crate) fn publish_ended(&mut self) {
        self.on_status("status", "NetStream.Unpublish.Success", "");
    }

    pub(crate) fn play_started(&mut self, name: &str) {
        self.user_control(STREAM_BEGIN, &STREAM.to_be_bytes());
        self.on_status("status", "NetStream.Play.Reset", name);
        self.on_status("status", "NetStream.Play.Start", name);
    }

    /// Nothing more will come.
    pub(crate) fn play_ended(&mut self, name: &str) {
        self.user_control(STREAM_EOF, &STREAM.to_be_bytes());
        self.on_status("status", "NetStream.Play.UnpublishNotify", name);
        self.on_status("status", "NetStream.Play.Stop", name);
    }

    /// In these words, or in ours.
    pub(crate) fn refuse_publish(&mut self, why: Reject, words: Option<&str>) {
        let words = words.unwrap_or_else(|| why.description());
        self.on_status("error", why.publish_code(), words);
    }

    pub(crate) fn refuse_play(&mut self, why: Reject, words: Option<&str>) {
        let words = words.unwrap_or_else(|| why.description());
        self.on_status("error", why.play_code(), words);
    }

    fn on_status(&mut self, level: &str, code: &str, description: &str) {
        let info = status(level, code, description, false);
        let values = vec![text("onStatus"), Value::Number(0.0), Value::Null, info];
        self.command(STREAM, &values);
    }
}

fn status(level: &str, code: &str, description: &str, enhanced: bool) -> Value {
    let plain = [
        ("level", text(level)),
        ("code", text(code)),
        ("description", text(description)),
        ("objectEncoding", Value::Number(0.0)),
    ];
    let Value::Object(mut members) = object(plain) else {
        return Value::Null;
    };
    if enhanced {
        let list = CODES.map(text).to_vec();
        members.insert("fourCcList".to_owned(), Value::StrictArray(list));
        members.insert("capsEx".to_owned(), Value::Number(CAPS_EX));
    }
    Value::Object(members)
}
