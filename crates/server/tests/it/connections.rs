//! HTTP connections that are kept.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::{Running, config};

/// Players keep connections and ask again whenever they need something; some longer than others.
#[tokio::test]
async fn a_kept_connection_ends_with_its_idle_time_not_with_that_of_headers() {
    let dir = tempfile::tempdir().unwrap();
    let times = [
        ("WEIR_HTTP__HEADER_TIMEOUT_S", "1"),
        ("WEIR_HTTP__IDLE_TIMEOUT_S", "4"),
    ];
    let s = Running::with(config(&dir, &times)).await;
    let mut socket = TcpStream::connect(s.http).await.unwrap();
    let mut read = Vec::new();
    for _ in 0..2 {
        let request = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
        socket.write_all(request).await.unwrap();
        read.clear();
        while !read.ends_with(b"ok\n") {
            assert!(
                socket.read_buf(&mut read).await.unwrap() > 0,
                "closed: {read:?}"
            );
        }
        // What is tested is time.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let ended = timeout(Duration::from_secs(8), socket.read_buf(&mut read)).await;
    assert_eq!(ended.unwrap().unwrap(), 0);
    s.stop().await;
}
