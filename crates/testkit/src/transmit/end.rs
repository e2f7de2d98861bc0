//! Either end of a transmission, as srt-live-transmit writes them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use srt::{Allowed, Config, Listener, Passphrase, Refresh, Session, Url};
use tokio::net::UdpSocket;

use crate::link::widen;

const LARGEST: usize = 1_456;

pub(super) enum End {
    /// `udp://:PORT` takes, `udp://HOST:PORT` sends.
    Datagrams(Datagrams),
    /// `srt://HOST:PORT?…`
    Caller(Caller),
    /// `srt://:PORT?mode=listener&…`
    Listener(Caller),
}

/// Whatever is said of a connection, of one that calls and one that is called.
#[derive(Debug)]
pub(super) struct Caller {
    /// For a listener: on any address of this host.
    url: Url,
    config: Config,
}

pub(super) fn parse(text: &str) -> anyhow::Result<End> {
    let (scheme, rest) = text.split_once("://").context("not an address")?;
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    match scheme {
        "udp" => Ok(End::Datagrams(Datagrams::of(authority)?)),
        "srt" => {
            let listens =
                query.split('&').any(|o| o == "mode=listener") || authority.starts_with(':');
            let host = if authority.starts_with(':') {
                "0.0.0.0"
            } else {
                ""
            };
            let query: Vec<_> = query
                .split('&')
                .filter(|o| !o.starts_with("mode="))
                .collect();
            let url = format!("srt://{host}{authority}?{}", query.join("&")).parse::<Url>()?;
            let caller = Caller {
                config: config(&query, &url)?,
                url,
            };
            Ok(if listens {
                End::Listener(caller)
            } else {
                End::Caller(caller)
            })
        }
        other => bail!("{other}: neither udp nor srt"),
    }
}

/// What the crate's own addresses do not say.
fn config(query: &[&str], url: &Url) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.latency = url.latency.unwrap_or(config.latency);
    let mut refresh = Refresh::default();
    for option in query {
        match option.split_once('=') {
            Some(("kmrefreshrate", value)) => refresh.every = value.parse()?,
            Some(("kmpreannounce", value)) => refresh.announce = value.parse()?,
            _ => {}
        }
    }
    config.refresh = refresh;
    Ok(config)
}

impl Caller {
    pub(super) async fn dial(&self) -> anyhow::Result<Session> {
        Ok(srt::dial(
            &self.url,
            &Allowed::new(|_| true),
            self.config,
            Arc::default(),
        )
        .await?)
    }

    pub(super) fn listen(&self) -> anyhow::Result<Listener> {
        let socket = std::net::UdpSocket::bind((self.url.host.as_str(), self.url.port))?;
        widen(&socket);
        socket.set_nonblocking(true)?;
        Ok(Listener::new(UdpSocket::from_std(socket)?, self.config))
    }

    pub(super) fn passphrase(&self) -> Option<Passphrase> {
        self.url.passphrase.clone()
    }
}

/// A UDP socket.
pub(super) struct Datagrams {
    socket: UdpSocket,
    to: Option<SocketAddr>,
}

impl Datagrams {
    fn of(authority: &str) -> anyhow::Result<Self> {
        let to = (!authority.starts_with(':'))
            .then(|| authority.parse())
            .transpose()?;
        let port = match to {
            Some(_) => 0,
            None => authority.trim_start_matches(':').parse()?,
        };
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
        widen(&socket);
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Self { socket, to })
    }

    pub(super) async fn receive(&self) -> io::Result<Bytes> {
        loop {
            self.socket.readable().await?;
            if let Some(datagram) = self.take() {
                return Ok(datagram);
            }
        }
    }

    /// One that is there already.
    pub(super) fn take(&self) -> Option<Bytes> {
        let mut buffer = [0; LARGEST];
        let length = self.socket.try_recv(&mut buffer).ok()?;
        Some(Bytes::copy_from_slice(&buffer[..length]))
    }

    /// Whoever is to hear it may not be there.
    pub(super) async fn send(&self, datagram: &[u8]) {
        if let Some(to) = self.to {
            let _ = self.socket.send_to(datagram, to).await;
        }
    }
}
