//! What can go wrong on the way out.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Why something was not delivered. Of a URL the text shows host and port alone: what comes before
/// them are credentials, and what comes after them is a secret with many receivers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is no `http` or `https` URL with a host.
    #[error("not an http or https address")]
    Address,
    /// Policy forbids to connect to where the name points.
    #[error("{host} is at {address}, which the egress policy forbids")]
    Egress {
        /// Host and port.
        host: String,
        /// The address that was refused.
        address: SocketAddr,
    },
    /// The name did not resolve.
    #[error("cannot resolve {host}: {error}")]
    Resolve {
        /// Host and port.
        host: String,
        /// What the resolver said.
        error: Arc<io::Error>,
    },
    /// No connection.
    #[error("cannot connect to {host}: {error}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the last attempt said.
        error: Arc<io::Error>,
    },
    /// The handshake failed, or the certificate is not trusted.
    #[error("TLS with {host}: {error}")]
    Tls {
        /// Host and port.
        host: String,
        /// What rustls said.
        error: Arc<io::Error>,
    },
    /// Too slow.
    #[error("{host}: timed out {doing}")]
    TimedOut {
        /// Host and port.
        host: String,
        /// What was waited for.
        doing: &'static str,
    },
    /// The connection broke, or what came over it is no HTTP.
    #[error("{host}: {what}")]
    Http {
        /// Host and port.
        host: String,
        /// What hyper said.
        what: String,
    },
    /// An id that no header can hold.
    #[error("an id with other characters than headers have")]
    Id,
    /// A path that is not of the grammar, leads out of the root, or names no regular file.
    #[error("{0}: not the path of a file below the root")]
    Path(String),
    /// Somebody else writes that file.
    #[error("{}: another writer has it", .0.display())]
    Busy(PathBuf),
    /// A line with a line break in it.
    #[error("more than one line")]
    Line,
    /// The file could not be opened, written or rotated.
    #[error("{}: cannot {doing}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        error: Arc<io::Error>,
    },
}
