//! TCP or TLS connections to addresses that policy allows.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::Error;

/// Whether an address may be connected to. An IPv4 address in IPv6 clothes is asked about as what it is.
pub type Check = Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// Of resolving, connecting and the handshake together: they may outlive the request that began them.
const LONGEST: Duration = Duration::from_secs(30);

/// Makes connections for hyper's pool.
#[derive(Clone)]
pub(crate) struct Dialer {
    check: Check,
    tls: Arc<ClientConfig>,
}

impl Dialer {
    pub(crate) fn new(check: Check, tls: &ClientConfig) -> Self {
        let mut tls = tls.clone();
        // The pool is told of HTTP/1.1 alone.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = Arc::new(tls);
        Self { check, tls }
    }

    async fn dial(self, uri: Uri) -> Result<Stream, Error> {
        let host = authority(&uri);
        let connected = timeout(LONGEST, self.connect(&uri, &host)).await;
        connected.unwrap_or(Err(Error::TimedOut {
            host,
            doing: "connecting",
        }))
    }

    async fn connect(&self, uri: &Uri, host: &str) -> Result<Stream, Error> {
        let tcp = self.reach(resolve(uri, host).await?, host).await?;
        let _ = tcp.set_nodelay(true);
        if uri.scheme_str() != Some("https") {
            return Ok(Stream(Box::new(tcp)));
        }
        let failed = |error| Error::Tls {
            host: host.to_owned(),
            error: Arc::new(error),
        };
        let name = server_name(uri).map_err(failed)?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp);
        Ok(Stream(Box::new(handshake.await.map_err(failed)?)))
    }

    /// Asks the policy, then connects to the very address that was asked about: between two look-ups
    /// a name may come to point elsewhere.
    async fn reach(&self, found: Vec<SocketAddr>, host: &str) -> Result<TcpStream, Error> {
        let mut refused = None;
        let mut failed = None;
        let share = u32::try_from(found.len()).unwrap_or(1).max(1);
        for address in found {
            let judged = SocketAddr::new(address.ip().to_canonical(), address.port());
            if !(self.check)(judged) {
                refused.get_or_insert(judged);
                continue;
            }
            match timeout(LONGEST / share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = Some(error),
                Err(elapsed) => failed = Some(elapsed.into()),
            }
        }
        Err(unreached(host.to_owned(), refused, failed))
    }
}

fn unreached(host: String, refused: Option<SocketAddr>, failed: Option<io::Error>) -> Error {
    match (failed, refused) {
        (None, Some(address)) => Error::Egress { host, address },
        (failed, _) => {
            let error = failed.unwrap_or_else(|| io::ErrorKind::NotFound.into());
            let error = Arc::new(error);
            Error::Connect { host, error }
        }
    }
}

async fn resolve(uri: &Uri, host: &str) -> Result<Vec<SocketAddr>, Error> {
    let default = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let port = uri.port_u16().unwrap_or(default);
    let name = bare(uri);
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    let found = tokio::net::lookup_host((name, port)).await;
    let found = found.map_err(|error| Error::Resolve {
        host: host.to_owned(),
        error: Arc::new(error),
    })?;
    Ok(found.collect())
}

fn server_name(uri: &Uri) -> io::Result<ServerName<'static>> {
    ServerName::try_from(bare(uri).to_owned()).map_err(io::Error::other)
}

/// The host, without the brackets of an IPv6 address.
fn bare(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// `host:port`, as messages have it.
pub(crate) fn authority(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl tower::Service<Uri> for Dialer {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async { dialer.dial(uri).await.map(TokioIo::new) })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, with TLS or without.
pub(crate) struct Stream(Box<dyn Duplex>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
