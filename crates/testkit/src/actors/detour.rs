//! Another address of this host for a program that cannot choose its own.

use std::net::{IpAddr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

/// Who connects to it arrives from that address.
#[derive(Debug)]
pub struct Detour {
    /// Where to connect.
    pub address: SocketAddr,
    carrying: JoinHandle<()>,
}

impl Detour {
    /// A way that leads there.
    ///
    /// # Errors
    /// Of the operating system.
    pub async fn to(server: SocketAddr, from: IpAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let carrying = tokio::spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                all.spawn(async move {
                    let socket = TcpSocket::new_v4()?;
                    socket.bind(SocketAddr::new(from, 0))?;
                    let mut server = socket.connect(server).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(Self { address, carrying })
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}
