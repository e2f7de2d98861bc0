//! An input that is connected and delivers, but loses packets: the programme moves to one that is
//! whole, and comes back.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::failover::{backup_is_ready, create, fed_by, ffmpeg, runtime};
use crate::server::Running;
use crate::site::Site;

const PACKET: usize = 188;
/// One packet in so many is lost.
const LOST: u32 = 50;

/// Ten seconds of small keyframes and sound in small packets: what one loss costs is small.
async fn make_sound_and_grey(path: &Path, size: &str) {
    ffmpeg(&format!(
        "-v error -f lavfi -i color=gray:s={size}:r=25 -f lavfi -i sine=r=48000 -t 10 -c:v libx264 \
         -preset ultrafast -tune zerolatency -g 5 -c:a aac -b:a 64k {}",
        path.display()
    ))
    .await;
}

/// A file sent as MPEG-TS for ever, at its pace.
struct Sender {
    _ffmpeg: Child,
    packets: BufReader<ChildStdout>,
    random: u32,
    damaged: Arc<AtomicBool>,
}

impl Sender {
    fn start(file: &Path, damaged: Arc<AtomicBool>) -> Self {
        let mut ffmpeg = Command::new("ffmpeg")
            .args("-nostdin -v error -re -stream_loop -1 -i".split(' '))
            .arg(file)
            .args("-c copy -flush_packets 1 -pes_payload_size 0 -f mpegts -".split(' '))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ffmpeg; run `make setup`");
        Self {
            packets: BufReader::new(ffmpeg.stdout.take().unwrap()),
            _ffmpeg: ffmpeg,
            random: 1,
            damaged,
        }
    }

    /// The next packet that is not lost.
    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        let mut packet = vec![0; PACKET];
        loop {
            self.packets.read_exact(&mut packet).await.ok()?;
            // Each fiftieth may hit keyframes alone.
            self.random = self
                .random
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            let hit = self.random >> 16 < (1 << 16) / LOST;
            if !(hit && self.damaged.load(Relaxed)) {
                return Some((Ok(packet.into()), self));
            }
        }
    }
}

/// Where the inputs are pulled from.
struct Origin {
    site: Site,
    /// Whether packets of `main.ts` are lost.
    damaged: Arc<AtomicBool>,
}

impl Origin {
    async fn start(folder: PathBuf) -> Self {
        let damaged = Arc::<AtomicBool>::default();
        let hit = Arc::clone(&damaged);
        let serve = move |request: Request| {
            let name = request.uri().path().trim_start_matches('/').to_owned();
            let hit = if name == "main.ts" {
                Arc::clone(&hit)
            } else {
                Arc::default()
            };
            let sender = Sender::start(&folder.join(name), hit);
            async { Body::from_stream(stream::unfold(sender, Sender::next)) }
        };
        Self {
            site: Site::serve(serve).await,
            damaged,
        }
    }

    fn input(&self, id: &str, priority: u32) -> Value {
        let url = format!("http://{}/{id}.ts", self.site.address);
        json!({"id": id, "url": url, "priority": priority})
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_loses_packets_is_left_for_one_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (name, size) in [("main.ts", "160x90"), ("backup.ts", "192x108")] {
        make_sound_and_grey(&dir.path().join(name), size).await;
    }
    let origin = Origin::start(dir.path().to_owned()).await;
    let s = Running::start(&dir).await;
    let inputs = json!([origin.input("main", 0), origin.input("backup", 1)]);
    let failover = json!({"failback_after_ms": 1000});
    create(
        &s,
        json!({"name": "n", "inputs": inputs, "failover": failover}),
    )
    .await;
    fed_by(&s, "n", "main").await;
    backup_is_ready(&s, "n").await;

    origin.damaged.store(true, Relaxed);
    let after = fed_by(&s, "n", "backup").await;
    let switch = &after["switches"][0];
    assert_eq!(
        (&switch["reason"], &switch["voluntary"], &switch["gap"]),
        (&json!("damaged"), &json!(true), &json!(false)),
        "{after:#}"
    );
    let main = &after["inputs"][0];
    assert_eq!(
        (&main["state"], &main["fault"]),
        (&json!("ready"), &json!("damaged"))
    );
    assert!(main["losses"].as_u64() >= Some(5), "{main:#}");
    assert_eq!(after["inputs"][1]["losses"], 0);
    let metrics = s.get("/metrics").await.body;
    for line in [
        "weir_input_up{stream=\"n\",input=\"main\"} 1",
        "weir_input_faults_total{stream=\"n\",input=\"main\",fault=\"damaged\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    origin.damaged.store(false, Relaxed);
    let back = fed_by(&s, "n", "main").await;
    let switches = back["switches"].as_array().unwrap().iter();
    let reasons: Vec<_> = switches.map(|s| s["reason"].clone()).collect();
    assert_eq!(reasons[..2], ["failback", "damaged"], "{back:#}");
    assert_eq!(runtime(&s, "n").await["inputs"][0]["fault"], Value::Null);
    s.stop().await;
}
