//! The load tool against a server of our own: what it counts is there. Nothing here is timed.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;
use server::app::Server;
use server::config::Config;
use server::systemd::Inherited;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "0123456789abcdef";
const STREAM: &str = r#"{"name":"n","inputs":[{"id":"main","url":"publish://","key":null}],"hls":{"segment_ms":500,"window_s":6}}"#;

struct Running {
    http: SocketAddr,
    rtmp: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn start(dir: &TempDir) -> Running {
    let data = dir.path().display().to_string();
    let environment = [
        ("WEIR_DATA__DIR", data.as_str()),
        ("WEIR_HTTP__LISTEN", "127.0.0.1:0"),
        ("WEIR_RTMP__LISTEN", "127.0.0.1:0"),
        ("WEIR_SRT__LISTEN", "127.0.0.1:0"),
        ("WEIR_AUTH__ADMIN_TOKEN", TOKEN),
    ];
    let own = |(k, v): &(&str, &str)| ((*k).into(), (*v).into());
    let config = Config::load(None, environment.iter().map(own), &[]).unwrap();
    let server = Server::bind(config, Inherited::default()).await.unwrap();
    let (http, rtmp) = (server.http_addr().unwrap(), server.rtmp_addr().unwrap());
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.serve(stop.clone()));
    Running {
        http,
        rtmp,
        stop,
        task,
    }
}

impl Running {
    async fn ask(&self, request: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        let len = body.len();
        let request = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {TOKEN}\r\nContent-Length: {len}\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The time-out is the test runner's.
    async fn until_two_segments(&self) {
        while self
            .ask("GET /n/v0.m3u8?ll=0", "")
            .await
            .matches("#EXTINF")
            .count()
            < 2
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn load(args: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_weir-load"))
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn report(child: Child) -> Value {
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Everybody got bytes, nobody was lost, and what measures has measured.
fn check(report: &Value) {
    assert_eq!(report["viewers"], 4, "{report}");
    assert_eq!(report["lost"], 0, "{report}");
    assert!(report["bytes"].as_u64() > Some(20_000), "{report}");
    for samples in ["first_frame_ms", "latency_ms"] {
        assert!(report[samples]["count"].as_u64() > Some(0), "{report}");
    }
    assert!(
        report["server"]["rss_kib"].as_u64() > Some(1000),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_viewers_of_each_kind() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir).await;
    let made = s.ask("POST /api/v1/streams", STREAM).await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let publisher = load(&format!(
        "publish rtmp://{}/live/n --kbps 800 --gop 15 --audio",
        s.rtmp
    ));
    s.until_two_segments().await;
    let (http, rtmp, me) = (s.http, s.rtmp, std::process::id());
    let common =
        format!("--viewers 4 --sample 2 --seconds 2 --ramp-ms 100 --settle-ms 200 --watch {me}");
    let (players, classic, low, growing) = tokio::join!(
        report(load(&format!("rtmp rtmp://{rtmp}/live/n {common}"))),
        report(load(&format!("hls http://{http}/n/v0.m3u8?ll=0 {common}"))),
        report(load(&format!("llhls http://{http}/n/v0.m3u8 {common}"))),
        report(load(&format!("lldash http://{http}/n/index.mpd {common}"))),
    );
    for seen in [&players, &classic, &low, &growing] {
        check(seen);
    }
    assert!(low["requests"].as_u64() > classic["requests"].as_u64());
    // Pictures come one by one, not a segment at a time.
    assert!(
        growing["latency_ms"]["count"].as_u64() > Some(60),
        "{growing}"
    );
    let id = publisher.id().unwrap().to_string();
    Command::new("kill").arg(id).status().await.unwrap();
    let published = report(publisher).await;
    assert!(
        published["write_ms"]["count"].as_u64() > Some(30),
        "{published}"
    );
    s.stop.cancel();
    s.task.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said() {
    let common = "--viewers 2 --seconds 1 --ramp-ms 0 --settle-ms 0";
    let seen = report(load(&format!("rtmp rtmp://127.0.0.1:1/live/n {common}"))).await;
    assert_eq!((&seen["lost"], &seen["bytes"]), (&2.into(), &0.into()));
    assert!(
        seen["failure"].as_str().unwrap().contains("refused"),
        "{seen}"
    );
}
