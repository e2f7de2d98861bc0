//! The server under siege: garbage on every port, connections that never say what they want, players
//! that stop reading, publishers that come back at once. An encoder, an RTMP player and the linter's
//! reader must not notice, and others must still get in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::crowd::greedy;
use super::database::Flow;
use super::flood::{Flood, Garbage, Half, Origin, halves};
use super::stage::{Stage, say};
use crate::actors::{Encoder, Recorder, Viewer};

const GUEST: &str = "guest";
/// What the server may have grown by, for each connection that says nothing (`docs/protocols.md`).
const HELD_KIB: u64 = 64;
/// A newcomer that waits for longer was kept out.
const ENTRY: Duration = Duration::from_secs(10);

pub(super) async fn run(weir: PathBuf, connections: usize, storm: u32) -> anyhow::Result<()> {
    let mut siege = Siege::lay(&weir).await?;
    say("\n## Under siege");
    say(
        "| what comes | held | failed | resident KiB | files | CPU s | frames lost | longest pause, ms | new publisher, s | new player, s |",
    );
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    siege.phase("nothing", None).await?;
    let garbage = Garbage::to(&siege.stage.weir);
    siege.phase("garbage", None).await?;
    say(&format!("{} connections with garbage", garbage.sent()));
    drop(garbage);
    for half in halves(&siege.stage.weir) {
        for origin in Origin::ALL {
            siege.flood(&half, origin, connections).await?;
        }
    }
    sleep(Duration::from_secs(12)).await;
    siege.phase("nothing any more", None).await?;
    siege.slow().await?;
    siege.storm(storm).await?;
    siege.kill().await
}

struct Siege {
    stage: Stage,
    viewer: Viewer,
    calm_kib: u64,
    /// The allocator keeps what a flood took.
    most_held: u64,
    lost: u64,
}

impl Siege {
    async fn lay(binary: &std::path::Path) -> anyhow::Result<Self> {
        let stage = Stage::crowded(binary, 2).await?;
        stage.weir.create(GUEST).await?;
        let viewer = Viewer::play(&stage.weir.publish_url(Stage::NAME)?)?;
        sleep(Duration::from_secs(10)).await;
        Ok(Self {
            calm_kib: stage.weir.footprint().await?.rss_kib,
            lost: Flow::of(&stage.weir).await?.lost,
            most_held: 0,
            viewer,
            stage,
        })
    }

    async fn flood(&mut self, half: &Half, origin: Origin, most: usize) -> anyhow::Result<()> {
        let _ = self.viewer.pace();
        let flood = Flood::of(half, origin, most).await;
        let what = format!("{most} × {}, {}", half.name, origin.name());
        self.phase(&what, Some(&flood)).await
    }

    /// Newcomers come; what everybody else noticed of it all goes into the report.
    async fn phase(&mut self, what: &str, flood: Option<&Flood>) -> anyhow::Result<()> {
        let (held, failed) = flood.map_or((0, 0), |f| (f.held(), f.failed));
        let print = self.stage.weir.footprint().await?;
        let cpu = self.stage.weir.cpu()?;
        let (publisher, player) = self.newcomers().await?;
        let cpu = self.stage.weir.cpu()?.saturating_sub(cpu).as_secs_f64();
        let flow = Flow::of(&self.stage.weir).await?;
        let pace = self.viewer.pace();
        let (lost, worst) = (flow.lost - self.lost, pace.worst.as_millis());
        let (publisher, player) = (publisher.as_secs_f64(), player.as_secs_f64());
        let (rss, files) = (print.rss_kib, print.files);
        say(&format!(
            "| {what} | {held} | {failed} | {rss} | {files} | {cpu:.2} | {lost} | {worst} | {publisher:.2} | {player:.2} |"
        ));
        self.most_held = self.most_held.max(held as u64);
        let most = self.calm_kib + (32 << 10) + HELD_KIB * self.most_held;
        ensure!(rss < most, "{what}: {rss} KiB, {most} at most");
        ensure!(lost == 0, "{what}: {lost} frames were lost");
        ensure!(
            pace.pictures > 0 && worst < 2_000,
            "{what}: the player stood still for {worst} ms"
        );
        Ok(())
    }

    /// How long a new publisher and then a new player take to get in.
    async fn newcomers(&self) -> anyhow::Result<(Duration, Duration)> {
        let weir = &self.stage.weir;
        let begun = Instant::now();
        let guest = Encoder::push(&weir.publish_url(GUEST)?, "320x180", 30)?;
        weir.until(GUEST, "live").await?;
        let publisher = begun.elapsed();
        let begun = Instant::now();
        let viewer = Viewer::play(&weir.publish_url(GUEST)?)?;
        while viewer.pace().pictures == 0 && begun.elapsed() < ENTRY {
            sleep(Duration::from_millis(20)).await;
        }
        let player = begun.elapsed();
        guest.kill().await?;
        ensure!(
            publisher.max(player) < ENTRY,
            "kept out: {publisher:?} to publish, {player:?} to play"
        );
        Ok((publisher, player))
    }

    /// Players that stop reading, and readers of a segment at 1 KB/s.
    async fn slow(&mut self) -> anyhow::Result<()> {
        let weir = &self.stage.weir;
        let said = {
            let recorder = Recorder::before(weir.rtmp).await?;
            let url = format!("rtmp://{}/live/{}", recorder.address()?, Stage::NAME);
            let _player = Viewer::play(&url)?;
            recorder.take(Duration::from_secs(4)).await?
        };
        let mut deaf = Vec::new();
        let mut slow = JoinSet::new();
        for _ in 0..50 {
            let mut player = TcpStream::connect(weir.rtmp).await?;
            player.write_all(&said).await?;
            deaf.push(player);
            let mut reader = greedy(&self.stage).await?;
            slow.spawn(async move {
                let mut some = [0; 1024];
                while reader.read(&mut some).await.is_ok_and(|n| n > 0) {
                    sleep(Duration::from_secs(1)).await;
                }
            });
        }
        sleep(Duration::from_secs(15)).await;
        self.phase("50 players that read nothing, 50 readers at 1 KB/s", None)
            .await?;
        sleep(Duration::from_secs(30)).await;
        self.phase("the same, later", None).await
    }

    /// A publisher that is cut off in the middle of a frame and is back at once, over and over.
    async fn storm(&mut self, rounds: u32) -> anyhow::Result<()> {
        let weir = &self.stage.weir;
        let said = {
            let recorder = Recorder::before(weir.rtmp).await?;
            let url = format!("rtmp://{}/live/{GUEST}", recorder.address()?);
            let _encoder = Encoder::push(&url, "320x180", 30)?;
            recorder.take(Duration::from_secs(5)).await?
        };
        let (begun, before) = (Instant::now(), weir.footprint().await?);
        for round in 0..rounds {
            let cut = said.len() - 1 - round as usize * 7_919 % (said.len() / 2);
            cut_off(weir.rtmp, &said[..cut]).await?;
        }
        let took = begun.elapsed().as_secs_f64();
        let after = weir.footprint().await?;
        say(&format!(
            "{rounds} reconnections in {took:.1} s: {before:?}, {after:?}"
        ));
        self.phase("after the storm", None).await
    }

    /// `kill -9` while garbage rains, and back.
    async fn kill(mut self) -> anyhow::Result<()> {
        let garbage = Garbage::to(&self.stage.weir);
        for _ in 0..3 {
            sleep(Duration::from_secs(5)).await;
            self.stage.kill_server().await?;
            let begun = Instant::now();
            self.stage.weir.resume().await?;
            let ready = begun.elapsed();
            self.stage.push()?;
            self.stage.until_live().await?;
            say(&format!(
                "killed: ready after {ready:?}, live after {:?}",
                begun.elapsed()
            ));
        }
        drop(garbage);
        let log = self.stage.weir.log()?;
        ensure!(!log.contains("panicked"), "a panic is in the log");
        self.stage.clear().await.map(drop)
    }
}

/// Says so much, then is gone as if its cable were cut.
async fn cut_off(at: SocketAddr, said: &[u8]) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(at).await.context("the next publisher")?;
    socket.set_zero_linger()?;
    let (mut read, mut write) = socket.split();
    let mut answer = vec![0; 4096];
    // A publisher that reads nothing would be let go for that, not for its cable.
    tokio::select! {
        written = write.write_all(said) => written?,
        () = async { while read.read(&mut answer).await.is_ok_and(|n| n > 0) {} } => {}
    }
    Ok(())
}
