//! From an address to a transport: DNS, the policy, TCP, TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{
    self, ClientConfig,
    pki_types::{InvalidDnsNameError, ServerName},
};

use crate::error::Error;
use crate::listen::{KEEPALIVE, Transport, UNSENT};
use crate::url::Url;

/// Whether an address may be connected to.
#[derive(Clone)]
pub struct Allowed(Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl Allowed {
    /// Asks `policy`, after DNS and for literal addresses too.
    pub fn new(policy: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(policy))
    }
}

impl From<Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>> for Allowed {
    fn from(policy: Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>) -> Self {
        Self(policy)
    }
}

impl fmt::Debug for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Allowed")
    }
}

/// What went wrong with a server that we called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// DNS knows no address, or fails.
    #[error("{host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// As the resolver says.
        source: io::Error,
    },
    /// None of its addresses may be connected to.
    #[error("{host}: not an address that may be connected to")]
    Forbidden {
        /// The name.
        host: String,
    },
    /// It takes no connection.
    #[error("{address}: {source}")]
    Connect {
        /// The address that was tried last.
        address: SocketAddr,
        /// As the socket says.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("{host}: TLS: {source}")]
    Tls {
        /// The name that its certificate is to have.
        host: String,
        /// As TLS or the socket says.
        source: io::Error,
    },
    /// Too slow.
    #[error("{host}: timed out while connecting")]
    TimedOut {
        /// The name.
        host: String,
    },
    /// The session failed.
    #[error(transparent)]
    Session(#[from] Error),
}

impl DialError {
    /// Whether it will hardly be another the next time: a stream that is not there, a key that is
    /// wrong, a certificate that nobody trusts, another protocol.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Forbidden { .. } => true,
            Self::Tls { source, .. } => source
                .get_ref()
                .is_some_and(|e| e.is::<rustls::Error>() || e.is::<InvalidDnsNameError>()),
            Self::Session(error) => error.kind.is_refusal(),
            _ => false,
        }
    }
}

/// Connects to `url` by `deadline`.
pub(crate) async fn connect(
    url: &Url,
    allowed: &Allowed,
    tls: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<(Box<dyn Transport>, SocketAddr), DialError> {
    let connected = timeout_at(deadline, async {
        let addresses = resolve(url, allowed).await?;
        let (socket, peer) = first(&addresses, url.host(), deadline).await?;
        if url.is_secure() {
            let layered = secure(socket, url.host(), tls).await?;
            return Ok((Box::new(layered) as Box<dyn Transport>, peer));
        }
        Ok((Box::new(socket) as Box<dyn Transport>, peer))
    });
    let host = || url.host().to_owned();
    let late = |_| DialError::TimedOut { host: host() };
    connected.await.map_err(late)?
}

async fn resolve(url: &Url, allowed: &Allowed) -> Result<Vec<SocketAddr>, DialError> {
    let host = || url.host().to_owned();
    let resolved = lookup_host((url.host(), url.port())).await;
    let resolved = resolved.map_err(|source| DialError::Resolve {
        host: host(),
        source,
    })?;
    // An IPv4 address in the clothes of IPv6 is asked for as what it is.
    let plain = |a: &SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
    let may = |address: &SocketAddr| (allowed.0)(plain(address));
    let addresses: Vec<SocketAddr> = resolved.filter(may).collect();
    if addresses.is_empty() {
        return Err(DialError::Forbidden { host: host() });
    }
    Ok(addresses)
}

/// The first address that answers. One that is dead takes no more than its share of the time.
async fn first(
    addresses: &[SocketAddr],
    host: &str,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut failed = DialError::TimedOut {
        host: host.to_owned(),
    };
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let connected = timeout(share, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(socket) => {
                // Acknowledgements are small, and nothing else follows them.
                let _ = socket.set_nodelay(true);
                // A far end that is sent nothing for a while and is gone must be noticed.
                let options = SockRef::from(&socket);
                let _ = options.set_tcp_keepalive(&KEEPALIVE);
                let _ = options.set_tcp_notsent_lowat(UNSENT);
                return Ok((socket, *address));
            }
            Err(source) => {
                failed = DialError::Connect {
                    address: *address,
                    source,
                };
            }
        }
    }
    Err(failed)
}

async fn secure(
    socket: TcpStream,
    host: &str,
    tls: &Arc<ClientConfig>,
) -> Result<impl Transport + use<>, DialError> {
    let failed = |source| DialError::Tls {
        host: host.to_owned(),
        source,
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidInput, e)))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    connector.connect(name, socket).await.map_err(failed)
}
