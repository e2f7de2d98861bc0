//! What the server says: results, statuses, refusals.

use bytes::{Bytes, BytesMut};

use crate::amf::{self, Value, object, text};
use crate::chunk::Writer;

/// Our chunks, once announced: one write per message.
pub(crate) const CHUNK_SIZE: u32 = 65_536;
/// After so many bytes the peer is to acknowledge, and we are.
pub(crate) const WINDOW: u32 = 2_500_000;
/// There is one message stream per connection.
pub(crate) const STREAM: u32 = 1;

/// User control events (7.1.7).
const STREAM_BEGIN: u16 = 0;
const STREAM_EOF: u16 = 1;

const COMMAND: u8 = 20;
const CONTROL_STREAM: u8 = 2;
const COMMAND_STREAM: u8 = 3;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reject {
    /// There is no such stream.
    NotFound,
    /// The key is missing or wrong.
    Unauthorised,
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
    pub const ALL: [Self; 6] = [
        Self::NotFound,
        Self::Unauthorised,
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
            Self::Busy => "the stream has a publisher already",
            Self::Disabled => "the stream is disabled",
            Self::Overload => "the server is at its limit",
            Self::Unsupported => "not supported here",
        }
    }

    const fn publish_code(self) -> &'static str {
        match self {
            Self::Unauthorised => "NetStream.Publish.Unauthorized",
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

/// Writes the server's side of a session.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    writer: Writer,
    pub(crate) out: BytesMut,
}

impl Replies {
    /// Window, bandwidth and chunk size, then the answer to `connect`. A client that offers
    /// FourCC codes is told which are taken.
    pub(crate) fn connected(&mut self, transaction: f64, enhanced: bool) {
        self.control(5, &WINDOW.to_be_bytes());
        let mut bandwidth = WINDOW.to_be_bytes().to_vec();
        bandwidth.push(2);
        self.control(6, &bandwidth);
        self.control(1, &CHUNK_SIZE.to_be_bytes());
        self.writer.set_chunk_size(CHUNK_SIZE as usize);
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
        self.user_control(STREAM_BEGIN);
        self.on_status("status", "NetStream.Publish.Start", name);
    }

    pub(crate) fn publish_ended(&mut self) {
        self.on_status("status", "NetStream.Unpublish.Success", "");
    }

    pub(crate) fn play_started(&mut self, name: &str) {
        self.user_control(STREAM_BEGIN);
        self.on_status("status", "NetStream.Play.Reset", name);
        self.on_status("status", "NetStream.Play.Start", name);
    }

    /// Nothing more will come.
    pub(crate) fn play_ended(&mut self, name: &str) {
        self.user_control(STREAM_EOF);
        self.on_status("status", "NetStream.Play.UnpublishNotify", name);
        self.on_status("status", "NetStream.Play.Stop", name);
    }

    fn user_control(&mut self, event: u16) {
        let mut body = event.to_be_bytes().to_vec();
        body.extend(STREAM.to_be_bytes());
        self.control(4, &body);
    }

    pub(crate) fn refuse_publish(&mut self, why: Reject) {
        self.on_status("error", why.publish_code(), why.description());
    }

    pub(crate) fn refuse_play(&mut self, why: Reject) {
        self.on_status("error", why.play_code(), why.description());
    }

    pub(crate) fn pong(&mut self, payload: &[u8]) {
        let mut body = 7_u16.to_be_bytes().to_vec();
        body.extend_from_slice(payload);
        self.control(4, &body);
    }

    /// All bytes received so far, modulo 2^32 (5.4.3).
    pub(crate) fn acknowledge(&mut self, total: u64) {
        let low = u32::try_from(total & u64::from(u32::MAX)).unwrap_or(0);
        self.control(3, &low.to_be_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).freeze()
    }

    fn on_status(&mut self, level: &str, code: &str, description: &str) {
        let info = status(level, code, description, false);
        let values = vec![text("onStatus"), Value::Number(0.0), Value::Null, info];
        self.command(STREAM, &values);
    }

    fn command(&mut self, stream: u32, values: &Vec<Value>) {
        let body = amf::write(values);
        self.writer
            .write(&mut self.out, COMMAND_STREAM, (COMMAND, 0, stream), &body);
    }

    fn control(&mut self, kind: u8, body: &[u8]) {
        self.writer
            .write(&mut self.out, CONTROL_STREAM, (kind, 0, 0), body);
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
        // What can be packaged; an encoder that asks picks one of them.
        let codes = [
            "avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", ".mp3", "ac-3", "ec-3", "fLaC",
        ];
        let list = codes.map(text).to_vec();
        members.insert("fourCcList".to_owned(), Value::StrictArray(list));
        // Enhanced RTMP v2, CapsExMask: multitrack and ModEx are read.
        members.insert("capsEx".to_owned(), Value::Number(6.0));
    }
    Value::Object(members)
}
