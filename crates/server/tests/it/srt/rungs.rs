//! Rungs of a ladder in MPEG-TS.

use serde_json::{Value, json};

use super::{OLD, PATIENCE, address, clip, code, counts, leaves, play, says, send, stream};
use crate::server::Running;

fn rung(name: &str, height: u32) -> Value {
    json!({"name": name, "height": height, "bitrate_kbps": 200, "preset": "ultrafast", "tune": "zerolatency"})
}

/// What the first packet of pictures is, and how large they are.
async fn begins(url: &str, size: &str) {
    let args = format!(
        "-v error -select_streams v:0 -show_entries packet=flags:stream=width,height \
         -read_intervals %+#1 -of csv=p=0 {url}"
    );
    let (status, said) = tokio::time::timeout(PATIENCE, says("ffprobe", &args))
        .await
        .unwrap();
    let keyframe = said.trim_start().starts_with('K') && said.contains(size);
    assert!(status.success() && keyframe, "{url}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rung_is_played_from_a_keyframe_on() {
    let (dir, file) = clip().await;
    let s = Running::start(&dir).await;
    let video = json!([rung("90p", 90), rung("64p", 64)]);
    let ladder = json!({"transcode": {"video": video}, "hls": {"segment_ms": 1000}});
    stream(&s, "n", json!("k1"), ladder).await;
    let _encoder = send(OLD, &s, &file, "publish:n:k1");
    s.until("/n/index.m3u8", |a| a.body.contains("v0-64p.m3u8"))
        .await;
    let (srt, http) = (
        |name: &str| address(&s, name),
        |query: &str| format!("http://{}/n/mpegts{query}", s.http),
    );
    let (best, low, named, over_http, low_over_http) = (
        srt("n"),
        srt("read:n@64p"),
        srt("read:n@90p"),
        http("?rung=90p"),
        http("?rung=64p"),
    );
    let (high, small) = ("160,90", "114,64");
    tokio::join!(
        begins(&best, high),
        begins(&low, small),
        begins(&named, high),
        begins(&over_http, high),
        begins(&low_over_http, small),
    );
    assert_eq!(code(&s, "streamid=read:n@4k").await, Some(1404));
    assert_eq!(s.get("/n/mpegts?rung=4k").await.status, 404);

    // A rung goes, then the ladder: those who play them go too, and only they.
    let [mut low, mut high] = ["read:n@64p", "read:n@90p"].map(|query| play(OLD, &s, query));
    counts(&s, "n", "weir_srt_players", 2).await;
    let less = json!({"transcode": {"video": [rung("90p", 90)]}});
    assert_eq!(s.api("PATCH", "/streams/n", &less).await.status, 200);
    leaves("who plays a rung that is gone", &mut low).await;
    counts(&s, "n", "weir_srt_players", 1).await;
    assert_eq!(code(&s, "streamid=read:n@64p").await, Some(1404));
    assert!(high.try_wait().unwrap().is_none());
    let none = json!({"transcode": null});
    assert_eq!(s.api("PATCH", "/streams/n", &none).await.status, 200);
    leaves("who plays a ladder that is gone", &mut high).await;
    assert_eq!(code(&s, "streamid=read:n@90p").await, Some(1404));
    assert_eq!(code(&s, "streamid=read:n").await, None);
    s.stop().await;
}
