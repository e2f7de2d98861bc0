//! A TCP or TLS connection to an address that policy allows.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

use super::tls;
use crate::pull::error::{Error, Place};
use crate::pull::source::Source;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Resolves, asks the policy, connects to the very address that was asked about.
pub(super) async fn dial(source: &Source, url: &Url) -> Result<Box<dyn Stream>, Error> {
    let doing = async {
        let tcp = connect(source, url).await?;
        let _ = tcp.set_nodelay(true);
        if url.scheme() != "https" {
            return Ok(Box::new(tcp) as Box<dyn Stream>);
        }
        let failed = |error| Error::Tls {
            host: authority(url),
            error,
        };
        let connector = TlsConnector::from(tls::config(source.tls_verify).map_err(failed)?);
        let stream = connector.connect(server_name(url).map_err(failed)?, tcp);
        Ok(Box::new(stream.await.map_err(failed)?) as Box<dyn Stream>)
    };
    let timed_out = |_| Error::TimedOut {
        place: Place::of(url),
        doing: "connecting",
    };
    timeout(source.timeouts.connect, doing)
        .await
        .map_err(timed_out)?
}

async fn connect(source: &Source, url: &Url) -> Result<TcpStream, Error> {
    let addresses = resolve(url).await?;
    let mut refused = None;
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    let share = u32::try_from(addresses.len()).unwrap_or(1).max(1);
    for address in addresses {
        // An IPv4 address in IPv6 clothes is judged as what it is.
        let judged = SocketAddr::new(address.ip().to_canonical(), address.port());
        if !(source.egress)(judged) {
            refused.get_or_insert(judged);
            continue;
        }
        match timeout(source.timeouts.connect / share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(elapsed) => failed = elapsed.into(),
        }
    }
    match refused {
        Some(address) if failed.kind() == io::ErrorKind::NotFound => Err(Error::Egress {
            host: authority(url),
            address,
        }),
        _ => Err(Error::Connect {
            host: authority(url),
            error: failed,
        }),
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Error> {
    let port = url.port_or_known_default().unwrap_or(80);
    let name = match url.host() {
        Some(Host::Ipv4(ip)) => return Ok(vec![(ip, port).into()]),
        Some(Host::Ipv6(ip)) => return Ok(vec![(ip, port).into()]),
        Some(Host::Domain(name)) => name,
        None => return Err(Error::Address(Place::of(url).to_string())),
    };
    match tokio::net::lookup_host((name, port)).await {
        Ok(found) => Ok(found.collect()),
        Err(error) => Err(Error::Resolve {
            host: name.to_owned(),
            error,
        }),
    }
}

fn server_name(url: &Url) -> io::Result<ServerName<'static>> {
    let name = match url.host() {
        Some(Host::Ipv4(ip)) => ServerName::from(std::net::IpAddr::from(ip)),
        Some(Host::Ipv6(ip)) => ServerName::from(std::net::IpAddr::from(ip)),
        Some(Host::Domain(name)) => {
            ServerName::try_from(name.to_owned()).map_err(io::Error::other)?
        }
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    Ok(name)
}

/// `host:port`, as messages and the `Host` header have it.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
