//! Why sessions are refused and what ends them.

use std::net::SocketAddr;

/// Why a caller is refused. The code goes to it in its handshake: libsrt's own below 1000, then
/// those that mean what HTTP's statuses do (libsrt's `access_control.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// There is no such stream.
    #[error("no such stream")]
    NotFound,
    /// The key is missing or wrong.
    #[error("wrong or missing key")]
    Unauthorised,
    /// Whoever decides on it says no.
    #[error("not allowed")]
    Denied,
    /// Somebody else publishes it.
    #[error("the stream has a publisher already")]
    Busy,
    /// It is there, but takes nobody now.
    #[error("the stream is disabled")]
    Disabled,
    /// The server has no room.
    #[error("the server is at its limit")]
    Overload,
    /// The stream id says nothing that could be asked for.
    #[error("a stream id that cannot be read")]
    BadRequest,
    /// This is not done here.
    #[error("not supported here")]
    Unsupported,
    /// A handshake that breaks the protocol.
    #[error("incorrect data in the handshake")]
    Rogue,
    /// A version before 1.3.0.
    #[error("a version of SRT that is too old")]
    Version,
    /// The passphrase is another one.
    #[error("wrong passphrase")]
    BadSecret,
    /// One side encrypts and the other does not.
    #[error("encryption is wanted on one side alone")]
    Unsecure,
    /// Bytes without messages.
    #[error("stream mode instead of messages")]
    MessageApi,
    /// Another congestion control than that of live media.
    #[error("not live mode")]
    Congestion,
    /// A packet filter such as forward error correction.
    #[error("a packet filter")]
    Filter,
    /// Bonded links.
    #[error("a group of links")]
    Group,
    /// A cipher that is not known.
    #[error("an unknown cipher")]
    Cipher,
}

impl Reject {
    /// All of them, for metrics that list each.
    pub const ALL: [Self; 17] = [
        Self::NotFound,
        Self::Unauthorised,
        Self::Denied,
        Self::Busy,
        Self::Disabled,
        Self::Overload,
        Self::BadRequest,
        Self::Unsupported,
        Self::Rogue,
        Self::Version,
        Self::BadSecret,
        Self::Unsecure,
        Self::MessageApi,
        Self::Congestion,
        Self::Filter,
        Self::Group,
        Self::Cipher,
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
            Self::BadRequest => "bad_request",
            Self::Unsupported => "unsupported",
            Self::Rogue => "rogue",
            Self::Version => "version",
            Self::BadSecret => "bad_secret",
            Self::Unsecure => "unsecure",
            Self::MessageApi => "message_api",
            Self::Congestion => "congestion",
            Self::Filter => "filter",
            Self::Group => "group",
            Self::Cipher => "cipher",
        }
    }

    /// The code as libsrt's `srt_getrejectreason` tells it.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Rogue => 4,
            Self::Version => 8,
            Self::BadSecret => 10,
            Self::Unsecure => 11,
            Self::MessageApi => 12,
            Self::Congestion => 13,
            Self::Filter => 14,
            Self::Group => 15,
            Self::Cipher => 17,
            Self::BadRequest => 1400,
            Self::Unauthorised => 1401,
            Self::Overload => 1402,
            Self::Denied => 1403,
            Self::NotFound => 1404,
            Self::Busy => 1409,
            Self::Unsupported => 1501,
            Self::Disabled => 1503,
        }
    }

    /// In words what a server refused us for.
    pub(crate) fn told(code: u32) -> String {
        let known = Self::ALL.iter().find(|r| r.code() == code);
        match (known, code) {
            (Some(reject), _) => format!("{reject} ({code})"),
            (None, 1..=999) => format!("refused by SRT ({code})"),
            (None, 2000..) => format!("refused for a reason of its own ({code})"),
            (None, _) => format!("refused ({code})"),
        }
    }
}

/// What went wrong with one session.
#[derive(Debug, thiserror::Error)]
#[error("{peer} after {packets} packets: {kind}")]
pub struct Error {
    /// The other end.
    pub peer: SocketAddr,
    /// Packets with media that came from it, or that it took.
    pub packets: u64,
    /// What it was.
    pub kind: ErrorKind,
}

/// Kinds of failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The caller was refused.
    #[error("refused: {0}")]
    Rejected(Reject),
    /// The server that we called does not want.
    #[error("refused: {}", Reject::told(*.0))]
    Refused(u32),
    /// The server that we called breaks the protocol.
    #[error("handshake: {0}")]
    Handshake(Reject),
    /// Nothing was heard for too long.
    #[error("timed out while {0}")]
    TimedOut(&'static str),
    /// The payload is no transport stream.
    #[error("no MPEG transport stream, or none with known media")]
    Unreadable,
}

impl ErrorKind {
    /// Whether it will hardly be another the next time.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::Handshake(_) | Self::Unreadable
        )
    }

    /// A short name for metric labels.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Rejected(reject) => reject.name(),
            Self::Refused(_) => "refused",
            Self::Handshake(_) => "handshake",
            Self::TimedOut(_) => "timeout",
            Self::Unreadable => "media",
        }
    }
}
