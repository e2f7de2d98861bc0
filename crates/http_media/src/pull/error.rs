//! Why a pull ended before its source did.

use std::net::SocketAddr;

use url::Url;

/// What went wrong with one pull. The text names places without credentials or queries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is no `http` or `https` URL with a host.
    #[error("not an http or https address: {0}")]
    Address(String),
    /// The name did not resolve.
    #[error("cannot resolve {host}: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        error: std::io::Error,
    },
    /// Policy forbids to connect to where the name points.
    #[error("{host} is at {address}, which the egress policy forbids")]
    Egress {
        /// The name, or the literal.
        host: String,
        /// The address that was refused.
        address: SocketAddr,
    },
    /// No connection.
    #[error("cannot connect to {host}: {error}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the last attempt said.
        error: std::io::Error,
    },
    /// The handshake failed, or the certificate is not trusted.
    #[error("TLS with {host}: {error}")]
    Tls {
        /// Host and port.
        host: String,
        /// What rustls said.
        error: std::io::Error,
    },
    /// The connection broke, or what came over it is no HTTP.
    #[error("{place}: {error}")]
    Http {
        /// What was asked for.
        place: Place,
        /// What hyper said.
        error: hyper::Error,
    },
    /// Another status than the one that was hoped for.
    #[error("{place}: status {status}")]
    Status {
        /// What was asked for.
        place: Place,
        /// The answer.
        status: u16,
    },
    /// Redirected without end, or to nowhere.
    #[error("{0}: too many redirects, or one without a usable location")]
    Redirect(Place),
    /// Too slow.
    #[error("{place}: timed out {doing}")]
    TimedOut {
        /// What was asked for.
        place: Place,
        /// What was waited for.
        doing: &'static str,
    },
    /// The body is longer than its bound, ends early, or does not decompress.
    #[error("{place}: {what}")]
    Body {
        /// What was asked for.
        place: Place,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A playlist that is none, or not one that can be followed.
    #[error("{place}: {what}")]
    Playlist {
        /// Which one.
        place: Place,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Media in a shape, or under an encryption, that is not understood.
    #[error("{place}: {what}")]
    Unsupported {
        /// Where it is.
        place: Place,
        /// What it is.
        what: String,
    },
    /// The playlist is there but has stopped to grow.
    #[error("{place}: nothing new for {seconds} s")]
    Stale {
        /// Which playlist.
        place: Place,
        /// For how long.
        seconds: u64,
    },
    /// The source is there but nothing of it could be played.
    #[error("nothing to play for {seconds} s")]
    Stalled {
        /// For how long.
        seconds: u64,
    },
    /// A segment, or a piece of a stream, with more in it than is held.
    #[error("{frames} frames in {bytes} bytes at once: more than is held")]
    TooMuch {
        /// Frames and other things in it.
        frames: usize,
        /// Bytes of its frames.
        bytes: usize,
    },
    /// Several segments in a row could not be had; the last one's failure.
    #[error("{failed} segments in a row could not be had: {last}")]
    Segments {
        /// How many.
        failed: u32,
        /// Why the last one could not.
        last: Box<Self>,
    },
}

impl Error {
    /// Whether trying again soon is of no use: the source says no, or will not be understood.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 400..=407 | 410 | 451),
            Self::Address(_)
            | Self::Egress { .. }
            | Self::Tls { .. }
            | Self::Redirect(_)
            | Self::Playlist { .. }
            | Self::Unsupported { .. } => true,
            Self::Segments { last, .. } => last.is_refusal(),
            _ => false,
        }
    }
}

/// Scheme, host and path of a URL: what may be shown. Keys hide in queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    pub(crate) fn of(url: &Url) -> Self {
        let mut shown = url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        Self(shown.into())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
