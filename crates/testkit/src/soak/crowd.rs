//! Peers that stall: an HTTP client that asks for everything and reads nothing, and publishers that
//! connect and say nothing.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::stage::{Stage, say};

const HALF_OPEN: usize = 1000;
const STALLED: usize = 20;

pub(super) async fn run(weir: PathBuf) -> anyhow::Result<()> {
    say(&format!(
        "\n## {STALLED} stalled HTTP clients and {HALF_OPEN} half-open RTMP connections beside 50 readers"
    ));
    let stage = Stage::set(&weir, 50).await?;
    sleep(Duration::from_secs(20)).await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(greedy(&stage).await?);
    }
    let mut silent = Vec::new();
    for n in 0..HALF_OPEN {
        let mut socket = TcpStream::connect(stage.weir.rtmp).await?;
        // Some say nothing at all, some half a handshake.
        socket.write_all(&vec![3; n % 3 * 500]).await?;
        silent.push(socket);
    }
    sleep(Duration::from_secs(60)).await;
    let print = stage.weir.footprint().await?;
    say(&format!("with all of them: {print:?}"));
    drop((stalled, silent));
    sleep(Duration::from_secs(3)).await;
    let print = stage.weir.footprint().await?;
    say(&format!("without them: {print:?}"));
    stage.clear().await.map(drop)
}

/// Asks for a segment over and over on one connection.
pub(super) async fn greedy(stage: &Stage) -> anyhow::Result<TcpStream> {
    let path = format!("/{}/v0.m3u8", Stage::NAME);
    let playlist = stage.weir.get(&path).await?;
    let segment = playlist.lines().rfind(|l| l.ends_with(".m4s"));
    let segment = segment.unwrap_or_default();
    let name = Stage::NAME;
    let request = format!("GET /{name}/{segment} HTTP/1.1\r\nHost: weir\r\n\r\n");
    let mut socket = TcpStream::connect(stage.weir.http).await?;
    socket.write_all(request.repeat(200).as_bytes()).await?;
    Ok(socket)
}
