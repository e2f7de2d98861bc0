//! Several video tracks of one encoder become renditions.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::actors::{Players, in_repository};
use tokio::process::{Child, Command};

use crate::server::Running;

const PATIENCE: Duration = Duration::from_secs(60);

fn ffmpeg(args: &str) -> Command {
    let mut command = Command::new(in_repository(".tools/ffmpeg"));
    command
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Two sizes, whose keyframes come every so many pictures, and two tones.
async fn encoder(s: &Running, name: &str, keyframes: (u32, u32)) -> Child {
    let input = json!([{"id": "main", "url": "publish://", "key": null}]);
    let stream = json!({"name": name, "inputs": input, "hls": {"segment_ms": 1000}});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
    let (rtmp, (first, second)) = (s.rtmp, keyframes);
    ffmpeg(&format!(
        "-v error -re -f lavfi -i testsrc2=s=320x180:r=10 -f lavfi -i sine=f=440:r=48000 \
         -f lavfi -i sine=f=880:r=48000 -map 0:v -map 0:v -map 1:a -map 2:a -c:v libx264 -preset ultrafast \
         -sc_threshold 0 -g:v:0 {first} -g:v:1 {second} -bf:v:0 2 -s:v:1 160x90 -c:a aac \
         -metadata language=eng -f flv rtmp://{rtmp}/live/{name}"
    ))
    .spawn()
    .expect(".tools/ffmpeg; run `make setup`")
}

async fn decodes(url: &str, maps: &str) {
    let args = format!("-v error -xerror -i {url} -t 3 {maps} -f null -");
    let output = ffmpeg(&args).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{url}: {errors}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sizes_and_two_languages_play_in_ffmpeg_and_in_browsers() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let _encoder = encoder(&s, "n", (10, 10)).await;
    let index = s
        .until("/n/index.m3u8", |a| a.body.contains("v2.m3u8"))
        .await
        .body;
    for line in [
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,LANGUAGE=\"en\"",
        "NAME=\"a3\",DEFAULT=NO",
    ] {
        assert!(index.contains(line), "{line}\n{index}");
    }
    for (uri, size) in [("v0", "320x180"), ("v2", "160x90")] {
        let uri = format!("{uri}.m3u8");
        let before = index.lines().zip(index.lines().skip(1));
        let (variant, _) = before.clone().find(|(_, line)| *line == uri).unwrap();
        let told = format!("RESOLUTION={size},FRAME-RATE=10.000,AUDIO=\"audio-aac\"");
        assert!(
            variant.contains(&told) && variant.contains("mp4a.40.2"),
            "{variant}"
        );
    }
    let runtime = s.api("GET", "/streams/n", &Value::Null).await.json()["runtime"].clone();
    assert_eq!(runtime["tracks"][1]["language"], "en");
    assert_eq!(runtime["keyframe_interval_ms"], 1000);
    let http = s.http;
    for media in ["v0", "v2", "a1", "a3"] {
        decodes(&format!("http://{http}/n/{media}.m3u8?ll=0"), "").await;
    }
    decodes(&format!("http://{http}/n/index.m3u8?ll=0"), "-map 0").await;
    decodes(&format!("rtmp://{}/live/n", s.rtmp), "-map 0").await;
    let mut players = Players::open(&format!("http://{}", s.http), "n", &["hls-ll", "hls"])
        .await
        .unwrap();
    let reports = players.until(PATIENCE, |r| r.frames >= 30).await.unwrap();
    for report in reports {
        let fatal = report.errors.last.iter().any(|e| e.ends_with('!'));
        assert!(!fatal && report.dead.is_none(), "{report:?}");
    }
    drop(players);
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_size_with_other_keyframes_is_left_out_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let _encoder = encoder(&s, "n", (10, 15)).await;
    let left_out = |a: &crate::server::Answer| {
        let mut lines = a.body.lines();
        let count =
            lines.find_map(|l| l.strip_prefix("weir_packager_unaligned_total{stream=\"n\"} "));
        count.is_some_and(|n| n.parse::<u64>().unwrap() >= 2)
    };
    s.until("/metrics", left_out).await;
    let index = s.until("/n/index.m3u8", |a| a.status == 200).await.body;
    assert!(
        index.contains("v0.m3u8") && !index.contains("v2"),
        "{index}"
    );
    assert!(index.contains("INDEPENDENT-SEGMENTS"), "{index}");
    let runtime = s.api("GET", "/streams/n", &Value::Null).await.json()["runtime"].clone();
    let error = runtime["last_error"]["message"].as_str().unwrap();
    assert!(error.contains("further video track"), "{error}");
    decodes(&format!("http://{}/n/index.m3u8?ll=0", s.http), "-map 0").await;
    s.stop().await;
}
