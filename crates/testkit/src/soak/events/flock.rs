//! Viewers without number: every request for a playlist names another agent, so that each is a session.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

const CONNECTIONS: u64 = 4;
/// Requests of one connection are written in groups.
const GROUP: Duration = Duration::from_millis(10);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK";

/// So many new ones a second; tells how many were served, and in what time.
pub(super) async fn land(
    at: SocketAddr,
    stream: &str,
    mark: &str,
    (each_second, time): (u64, Duration),
) -> anyhow::Result<(u64, Duration)> {
    let begun = Instant::now();
    let groups = time.as_millis() / GROUP.as_millis();
    let group = each_second * GROUP.as_millis() as u64 / 1_000 / CONNECTIONS;
    let mut all = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let ask = format!(
            "HEAD /{stream}/index.m3u8 HTTP/1.1\r\nHost: weir\r\nUser-Agent: {mark}-{connection}"
        );
        all.spawn(fly(at, ask, (groups as u64, group)));
    }
    let mut served = 0;
    while let Some(one) = all.join_next().await {
        served += one??;
    }
    Ok((served, begun.elapsed()))
}

async fn fly(at: SocketAddr, ask: String, (groups, group): (u64, u64)) -> anyhow::Result<u64> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let (mut read, mut write) = stream.into_split();
    let wanted = groups * group;
    let reading = tokio::spawn(async move {
        let (mut some, mut kept, mut served) = (vec![0; 64 << 10], 0, 0);
        while served < wanted {
            let n = read.read(&mut some[kept..]).await?;
            ensure!(n > 0, "the server hung up after {served} of {wanted}");
            let got = kept + n;
            served += count(&some[..got]);
            // An answer may be cut anywhere.
            let tail = got.min(ANSWER.len() - 1);
            some.copy_within(got - tail..got, 0);
            kept = tail;
        }
        anyhow::Ok(served)
    });
    let mut turn = interval(GROUP);
    for n in 0..groups {
        turn.tick().await;
        let asks = (0..group).map(|k| format!("{ask}-{}\r\n\r\n", n * group + k));
        write.write_all(asks.collect::<String>().as_bytes()).await?;
    }
    reading.await?
}

fn count(said: &[u8]) -> u64 {
    let answers = said.windows(ANSWER.len()).filter(|w| *w == ANSWER);
    answers.count() as u64
}
