//! What a real client of RTMP says, to be said again by others that then behave worse.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};

/// A way to a server that takes down what goes there.
#[derive(Debug)]
pub struct Recorder {
    listener: TcpListener,
    server: SocketAddr,
}

impl Recorder {
    /// A way to that server.
    ///
    /// # Errors
    /// Of the operating system.
    pub async fn before(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self { listener, server })
    }

    /// Where its client has to go.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// What the next client says within that time.
    ///
    /// # Errors
    /// A client that does not come or says nothing.
    pub async fn take(&self, time: Duration) -> anyhow::Result<Vec<u8>> {
        let end = Instant::now() + time;
        let (client, _) = timeout_at(end, self.listener.accept()).await??;
        let (mut from_client, mut to_client) = client.into_split();
        let server = TcpStream::connect(self.server).await?;
        let (mut from_server, mut to_server) = server.into_split();
        let back = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
        let (mut said, mut some) = (Vec::new(), vec![0; 64 << 10]);
        while let Ok(Ok(n @ 1..)) = timeout_at(end, from_client.read(&mut some)).await {
            said.extend_from_slice(&some[..n]);
            to_server.write_all(&some[..n]).await?;
        }
        back.abort();
        ensure!(!said.is_empty(), "the client said nothing");
        Ok(said)
    }
}
