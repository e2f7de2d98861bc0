//! A real encoder pushes, and a real reader decodes what comes out.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::server::Running;

fn encoder(s: &Running, name: &str, key: &str, seconds: u32) -> Child {
    let url = format!("rtmp://{}/live/{name}?key={key}", s.rtmp);
    let args = format!(
        "-v error -re -f lavfi -i testsrc2=s=320x180:r=30:d={seconds} -f lavfi -i sine=r=48000:d={seconds} \
         -c:v libx264 -preset ultrafast -tune zerolatency -g 30 -c:a aac -f flv {url}"
    );
    Command::new("ffmpeg")
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg; run `make setup`")
}

async fn stream(s: &Running, name: &str) {
    let input = json!([{"id": "main", "url": "publish://", "key": "k1"}]);
    let hls = json!({"segment_ms": 1000});
    let made = s
        .api(
            "POST",
            "/streams",
            &json!({"name": name, "inputs": input, "hls": hls}),
        )
        .await;
    assert_eq!(made.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ffmpeg_pushes_ffmpeg_decodes() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    stream(&s, "a/news").await;
    let mut encoder = encoder(&s, "a/news", "k1", 12);
    let index = s.until("/a/news/index.m3u8", |a| a.status == 200).await;
    assert!(index.body.contains("RESOLUTION=320x180") && index.body.contains("AUDIO="));
    let runtime = s.api("GET", "/streams/a%2Fnews", &Value::Null).await.json()["runtime"].clone();
    assert_eq!(
        (&runtime["status"], &runtime["tracks"][0]["codec"]),
        (&json!("live"), &json!("h264"))
    );

    let url = format!("http://{}/a/news/index.m3u8", s.http);
    let args = format!("-v error -xerror -i {url} -t 4 -map 0:v -map 0:a -f null -");
    let decode = Command::new("ffmpeg")
        .args(args.split_whitespace())
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&decode.stderr);
    assert!(decode.status.success() && errors.is_empty(), "{errors}");

    // The encoder leaves: the playlists are frozen, and go on being served.
    encoder.wait().await.unwrap();
    let frozen = s
        .until("/a/news/v0.m3u8", |a| !a.body.contains("PRELOAD-HINT"))
        .await;
    assert_eq!(frozen.status, 200);
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_keys_unknown_names_and_second_publishers_are_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    stream(&s, "news").await;
    for (name, key) in [("news", "wrong"), ("nope", "k1")] {
        let status = encoder(&s, name, key, 30).wait().await.unwrap();
        assert!(!status.success(), "{name} {key}");
    }
    let _first = encoder(&s, "news", "k1", 60);
    s.until("/news/index.m3u8", |a| a.status == 200).await;
    let second = encoder(&s, "news", "k1", 30).wait().await.unwrap();
    assert!(!second.success(), "the holder delivers");
    let metrics = s.get("/metrics").await.body;
    for reason in ["unauthorised", "not_found", "busy"] {
        let line = format!("weir_rtmp_refused_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    // Another key lets the publisher go.
    let input = json!({"key": "k2"});
    assert_eq!(
        s.api("PATCH", "/streams/news/inputs/main", &input)
            .await
            .status,
        200
    );
    s.until("/news/v0.m3u8", |a| !a.body.contains("PRELOAD-HINT"))
        .await;
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_keep_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    stream(&s, "news").await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(tokio::net::TcpStream::connect(s.rtmp).await.unwrap());
    }
    let _encoder = encoder(&s, "news", "k1", 60);
    s.until("/news/index.m3u8", |a| a.status == 200).await;
    s.stop().await;
}
