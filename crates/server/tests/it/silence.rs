//! Connections that ask nothing make room for those that do.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{Running, config};

async fn healthy(socket: &mut TcpStream) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nHost: weir\r\n\r\n";
    let mut answer = [0; 512];
    socket.write_all(request).await.unwrap();
    let read = socket.read(&mut answer).await.unwrap();
    answer[..read].starts_with(b"HTTP/1.1 200 OK")
}

#[tokio::test]
async fn who_asks_nothing_for_longest_goes() {
    let dir = tempfile::tempdir().unwrap();
    // Half of them may be silent, a quarter of those of one address.
    let s = Running::with(config(&dir, &[("WEIR_HTTP__MAX_CONNECTIONS", "16")])).await;
    let mut first = TcpStream::connect(s.http).await.unwrap();
    assert!(healthy(&mut first).await);
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(s.http).await.unwrap());
    }
    let told = silent[0].read(&mut [0; 64]).await;
    assert_eq!(told.unwrap(), 0, "the oldest is let go");
    assert!(healthy(&mut silent[2]).await && healthy(&mut first).await);
    let metrics = s.get("/metrics").await.body;
    assert!(metrics.contains("weir_http_refused_total 1\n"));
    drop((first, silent));
    s.stop().await;
}
