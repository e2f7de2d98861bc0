//! MPEG-TS out, to players that we did not write: over HTTP without an end, and as HLS.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::actors::{ffmpeg_started, in_repository};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::events::{history, told};
use crate::server::Running;

const PATIENCE: Duration = Duration::from_secs(30);

async fn start(dir: &tempfile::TempDir, hls: &Value) -> Running {
    let s = Running::start(dir).await;
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let stream = json!({"name": "n", "inputs": [input], "hls": hls});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
    s
}

/// Pictures that are reordered, and a tone.
fn push(s: &Running, codec: &str) -> Child {
    let args = format!(
        "-v error -re -f lavfi -i testsrc2=s=160x90:r=25 -f lavfi -i sine=f=440:r=48000 \
         -c:v {codec} -preset ultrafast -bf 2 -g 50 -pix_fmt yuv420p -c:a aac -b:a 64k -f flv rtmp://{}/live/n",
        s.rtmp
    );
    ffmpeg_started(&args).unwrap()
}

/// What ffmpeg says of an address while it decodes all of it for so many seconds; it must not fail.
async fn said(program: &str, url: &str, seconds: u32) -> String {
    let args = format!(
        "-k 5 40 {program} -v debug -nostats -xerror -i {url} -t {seconds} -map 0 -f null -"
    );
    let mut command = Command::new("timeout");
    command.args(args.split_whitespace()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last: Vec<_> = said.lines().rev().take(20).collect();
    assert!(output.status.success(), "{program} {url}: {last:#?}");
    said
}

/// Decoded without a word, counters without a gap, times that rise.
async fn decodes(program: &str, url: &str, seconds: u32) {
    let said = said(program, url, seconds).await;
    for bad in [
        "Continuity check failed",
        "non monoton",
        "corrupt",
        "Packet corrupt",
        "error while decoding",
    ] {
        let found: Vec<_> = said.lines().filter(|l| l.contains(bad)).take(5).collect();
        assert!(found.is_empty(), "{program} {url}: {found:#?}");
    }
    let pictures = said
        .lines()
        .any(|l| l.contains("Video:") && l.contains("160x90"));
    assert!(pictures, "{program} {url} saw no picture");
}

/// GStreamer decodes a hundred pictures and as many pieces of sound.
async fn gstreamer(source: &str, parser: &str) {
    let args = format!(
        "-v {source} ! tsdemux name=d d. ! queue ! {parser} ! fakesink name=pictures silent=false \
         d. ! queue ! aacparse ! avdec_aac ! fakesink name=sound silent=false"
    );
    let mut player = Command::new("gst-launch-1.0")
        .args(args.split_whitespace())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(player.stdout.take().unwrap()).lines();
    let (mut pictures, mut sound) = (0, 0);
    let counting = async {
        while pictures < 100 || sound < 100 {
            let line = lines.next_line().await.unwrap().expect("it gave up");
            pictures += u32::from(line.contains("pictures: last-message = chain"));
            sound += u32::from(line.contains("sound: last-message = chain"));
        }
    };
    let counted = timeout(PATIENCE, counting).await;
    assert!(
        counted.is_ok(),
        "{source}: {pictures} pictures, {sound} of sound"
    );
}

async fn all_decode(codec: &str, parser: &str) {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir, &json!({"container": "both"})).await;
    let _encoder = push(&s, codec);
    s.until("/n/ts.m3u8", |a| a.status == 200).await;
    s.until("/n/v0.a1.ts.m3u8", |a| {
        a.body.matches("#EXTINF").count() > 2
    })
    .await;
    let current = in_repository(".tools/ffmpeg").display().to_string();
    let (live, hls) = (
        format!("http://{}/n/mpegts", s.http),
        format!("http://{}/n/ts.m3u8", s.http),
    );
    let (over_http, in_hls) = (
        format!("souphttpsrc location={live}"),
        format!("souphttpsrc location={hls} ! hlsdemux"),
    );
    tokio::join!(
        decodes("ffmpeg", &live, 5),
        decodes(&current, &live, 5),
        decodes("ffmpeg", &hls, 7),
        decodes(&current, &hls, 7),
        gstreamer(&over_http, parser),
        gstreamer(&in_hls, parser),
    );
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_players_decode_h264_in_ts() {
    all_decode("libx264", "h264parse ! avdec_h264").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_players_decode_h265_in_ts() {
    all_decode(
        "libx265 -x265-params log-level=none:keyint=50:open-gop=0",
        "h265parse ! avdec_h265",
    )
    .await;
}

/// Reads an answer of HTTP/1.1 as it comes.
struct Reading {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Reading {
    async fn open(s: &Running, path: &str) -> Self {
        let mut socket = TcpStream::connect(s.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nUser-Agent: box\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let read = Vec::new();
        Self { socket, read }
    }

    /// Reads on until that holds of all that was read.
    async fn until(&mut self, good: impl Fn(&[u8]) -> bool) {
        let reading = async {
            while !good(&self.read) {
                assert!(
                    self.socket.read_buf(&mut self.read).await.unwrap() > 0,
                    "closed"
                );
            }
        };
        timeout(PATIENCE, reading).await.unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

fn ended(read: &[u8]) -> bool {
    read.ends_with(b"\r\n0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_over_http_is_a_session_from_a_keyframe_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir, &json!({})).await;
    let unborn = s.get("/n/mpegts").await;
    assert_eq!((unborn.status, unborn.header("retry-after")), (404, "1"));
    assert_eq!(s.get("/nope/mpegts").await.status, 404);
    let encoder = push(&s, "libx264");
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    assert_eq!(s.get("/n/mpegts?rung=720p").await.status, 404);
    assert_eq!(
        s.get("/n/ts.m3u8").await.status,
        404,
        "nobody asked for that"
    );
    let head = s.send("HEAD", "/n/mpegts", "", "").await;
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "video/mp2t")
    );
    let mut player = Reading::open(&s, "/n/mpegts").await;
    player.until(|read| read.len() > 20_000).await;
    let text = player.text();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("transfer-encoding: chunked"));
    assert!(text.contains("access-control-allow-origin: *"));
    s.until("/metrics", |a| {
        a.body.contains("weir_http_ts_players{stream=\"n\"} 1")
    })
    .await;
    let runtime = s.api("GET", "/streams/n", &Value::Null).await.json()["runtime"].clone();
    assert_eq!(runtime["http_ts_players"], 1);

    // It stays while the encoder is away, and goes on with the next one.
    drop(encoder);
    s.until("/n/v0.m3u8", |a| !a.body.contains("PRELOAD-HINT"))
        .await;
    let before = player.read.len();
    let _encoder = push(&s, "libx264");
    player.until(|read| read.len() > before + 20_000).await;

    assert_eq!(
        s.api("DELETE", "/streams/n", &Value::Null).await.status,
        204
    );
    player.until(ended).await;
    told(&s, "session.closed", 1).await;
    let of_ts = |e: &&Value| e["data"]["protocol"] == "http_ts";
    let all = history(&s, "").await;
    let told: Vec<_> = all
        .iter()
        .filter(of_ts)
        .map(|e| (&e["type"], &e["data"]["reason"], &e["data"]["agent"]))
        .collect();
    let (opened, closed) = (json!("session.opened"), json!("session.closed"));
    let (over, agent, null) = (json!("over"), json!("box"), Value::Null);
    assert!(told.contains(&(&opened, &null, &agent)), "{told:?}");
    assert!(told.contains(&(&closed, &over, &null)), "{told:?}");
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_its_answers() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir, &json!({})).await;
    let _encoder = push(&s, "libx264");
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let mut player = Reading::open(&s, "/n/mpegts").await;
    player.until(|read| read.len() > 20_000).await;
    tokio::join!(timeout(PATIENCE, s.stop()), player.until(ended))
        .0
        .unwrap();
}
