//! Many readers of growing segments, every other one of them slow: ingest and the linter notice
//! nothing, and memory is bounded.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::super::ladder::ground::{NAME, SD, runtime};
use super::super::stage::say;
use super::show::Show;
use crate::actors::Weir;

/// What a slow one takes: less than a third of what comes.
const SLOW: usize = 40_000;
const WATCHED: Duration = Duration::from_secs(60);
/// For each of them: a segment, and what a connection costs.
const MOST_KIB: u64 = 400;

#[derive(Debug, Default)]
struct Tally {
    segments: AtomicU64,
    bytes: AtomicU64,
}

pub(super) async fn run(binary: &Path, readers: usize) -> anyhow::Result<()> {
    let weir = Weir::start_set(binary, None, &[("HTTP__MAX_PER_ADDRESS", "2000")]).await?;
    let show = Show::of(weir, &[SD], true, &json!({})).await?;
    let mpd = show.weir.get(&format!("/{NAME}/index.mpd")).await?;
    let media = mpd
        .split("media=\"")
        .nth(1)
        .and_then(|m| m.split('"').next());
    let media = media.context("no media in the MPD")?.to_owned();
    let before = (show.weir.footprint().await?, lost(&show.weir).await?);
    let (fast, slow) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let tasks: Vec<_> = (0..readers)
        .map(|n| {
            let (tally, rate) = match n % 2 {
                0 => (Arc::clone(&fast), None),
                _ => (Arc::clone(&slow), Some(SLOW)),
            };
            tokio::spawn(read(show.weir.http, media.clone(), rate, tally))
        })
        .collect();
    sleep(WATCHED).await;
    let during = (show.weir.footprint().await?, lost(&show.weir).await?);
    let over = tasks.iter().filter(|t| t.is_finished()).count();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    for (what, tally) in [("fast", &fast), ("slow", &slow)] {
        say(&format!(
            "- {what}: {} segments, {} MB",
            tally.segments.load(Relaxed),
            tally.bytes.load(Relaxed) / 1_000_000
        ));
    }
    say(&format!(
        "- {:?} without, {:?} with {readers} readers",
        before.0, during.0
    ));
    show.clear().await?;
    ensure!(over == 0, "{over} readers were let go");
    ensure!(before.1 == during.1, "the input lost media");
    let each = (during.0.rss_kib - before.0.rss_kib) / readers as u64;
    ensure!(each <= MOST_KIB, "{each} KiB for each");
    let due = (readers as u64 / 2) * (WATCHED.as_secs() / 2 - 3);
    ensure!(
        fast.segments.load(Relaxed) >= due,
        "fast ones were not served in time"
    );
    Ok(())
}

async fn lost(weir: &Weir) -> anyhow::Result<Value> {
    let input = &runtime(weir).await?["inputs"][0];
    Ok(json!([
        input["losses"],
        input["repairs"],
        input["sessions"]
    ]))
}

/// One segment after the other, each from its beginning on; a slow one leaves out what it misses.
async fn read(
    server: SocketAddr,
    media: String,
    rate: Option<usize>,
    tally: Arc<Tally>,
) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(server).await?;
    let mut number = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        number = next(number)?;
        let path = media.replace("$Number$", &number.to_string());
        let request = format!("GET /{NAME}/{path} HTTP/1.1\r\nHost: weir\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut end = Vec::new();
        let mut whole = None;
        let mut taken = 0;
        while !end.ends_with(b"0\r\n\r\n") && whole.is_none_or(|whole| taken < whole) {
            let most = rate.map_or(buffer.len(), |rate| rate / 10);
            let read = socket.read(&mut buffer[..most]);
            let n = timeout(Duration::from_secs(20), read).await??;
            ensure!(n > 0, "cut off");
            if taken == 0 {
                whole = length(&buffer[..n]);
            }
            taken += n;
            end.extend_from_slice(&buffer[n.saturating_sub(8)..n]);
            end.drain(..end.len().saturating_sub(8));
            if rate.is_some() {
                sleep(Duration::from_millis(100)).await;
            }
        }
        tally.segments.fetch_add(1, Relaxed);
        tally.bytes.fetch_add(taken as u64, Relaxed);
    }
}

/// Of an answer that is whole already, with its head.
fn length(head: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(head);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines().map(str::to_ascii_lowercase);
    let length = lines.find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    Some(head.len() + 4 + length)
}

/// The segment that grows now, or the one after the last.
fn next(last: u64) -> anyhow::Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok((now.as_secs() / 2).max(last + 1))
}
