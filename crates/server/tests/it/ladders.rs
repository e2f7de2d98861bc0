//! Ladders that run: real encoders in, real workers, real players out.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::failover::{create, fed_by, ffmpeg, make_file, push, runtime, watch};
use crate::server::Running;

const PATIENCE: Duration = Duration::from_secs(30);

fn rung(name: &str, height: u32) -> Value {
    json!({"name": name, "height": height, "bitrate_kbps": 300, "preset": "ultrafast", "tune": "zerolatency"})
}

fn stream(video: &Value) -> Value {
    json!({
        "name": "n",
        "inputs": [{"id": "main", "url": "publish://", "key": "k1"}],
        "hls": {"segment_ms": 1000},
        "transcode": {"video": video},
    })
}

async fn start(video: &Value) -> (TempDir, Running, Child) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clip.mp4");
    make_file(&file, "320x180").await;
    let s = Running::start(&dir).await;
    create(&s, stream(video)).await;
    let encoder = push(&s, &file, "k1");
    fed_by(&s, "n", "main").await;
    (dir, s, encoder)
}

async fn runs(s: &Running, good: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let now = runtime(s, "n").await;
            if good(&now) {
                return now;
            }
            crate::server::pause().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

/// Plays a URL and tells the size of its pictures.
async fn size(url: &str) -> String {
    let args = "-v error -select_streams v -show_entries stream=width,height -of csv=p=0";
    let probe = Command::new("ffprobe")
        .args(args.split_whitespace())
        .arg(url)
        .stdin(Stdio::null())
        .output();
    let told = tokio::time::timeout(PATIENCE, probe)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&told.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_is_what_players_see() {
    let video = json!([rung("180p", 180), rung("90p", 90)]);
    let (_dir, s, _encoder) = start(&video).await;
    let both = |a: &crate::server::Answer| a.body.contains("v0-90p.m3u8");
    let index = s.until("/n/index.m3u8", both).await.body;
    for line in [
        "RESOLUTION=320x180",
        "RESOLUTION=160x90",
        "AUDIO=\"audio-aac\"",
    ] {
        assert!(index.contains(line), "{line} in {index}");
    }
    assert_eq!(
        index.matches("TYPE=AUDIO").count(),
        1,
        "sound is there once"
    );
    for playlist in ["v0.m3u8", "v0-90p.m3u8", "index.m3u8"] {
        let url = format!("http://{}/n/{playlist}", s.http);
        let errors = ffmpeg(&format!("-v error -xerror -i {url} -t 3 -f null -")).await;
        assert_eq!(errors, "", "{playlist}");
    }
    let url = |name: &str| format!("rtmp://{}/live/{name}", s.rtmp);
    assert_eq!(size(&url("n")).await, "320,180");
    assert_eq!(size(&url("n@90p")).await, "160,90");
    assert_eq!(size(&url("n@4k")).await, "", "there is no such rung");
    let told = runs(&s, |r| r["transcoder"]["renditions"][2]["kind"] == "audio").await;
    assert_eq!(told["transcoder"]["state"], "running");
    assert_eq!(told["transcoder"]["renditions"][1]["name"], "90p");
    let metrics = s.get("/metrics").await.body;
    assert!(metrics.contains("weir_transcoder_up{stream=\"n\"} 1"));
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_killed_and_players_go_on() {
    let (_dir, s, _encoder) = start(&json!([rung("180p", 180)])).await;
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let map = |body: &str| {
        body.lines()
            .find(|l| l.starts_with("#EXT-X-MAP"))
            .map(str::to_owned)
    };
    let before = map(&s.get("/n/v0.m3u8").await.body);
    assert!(before.is_some());
    let viewers = [
        watch(&format!("rtmp://{}/live/n", s.rtmp), 8),
        watch(&format!("http://{}/n/index.m3u8", s.http), 8),
    ];
    runs(&s, |r| r["rtmp_players"] == 1).await;
    for kill in 1..=2 {
        let pid = runs(&s, |r| r["transcoder"]["pid"].is_u64()).await["transcoder"]["pid"].clone();
        ended(&pid.to_string()).await;
        runs(&s, |r| {
            let now = &r["transcoder"];
            now["restarts"] == kill && now["pid"] != pid && now["state"] == "running"
        })
        .await;
    }
    for viewer in viewers {
        assert_eq!(viewer.await.unwrap(), "");
    }
    let after = s.get("/n/v0.m3u8").await.body;
    assert_eq!(map(&after), before, "the same parameters");
    assert!(!after.contains("EXT-X-DISCONTINUITY\n"), "{after}");
    let told = runtime(&s, "n").await["transcoder"]["last_ended"].clone();
    assert_eq!(told, "ended by signal 9");
    s.stop().await;
}

async fn ended(pid: &str) {
    let killed = Command::new("kill").args(["-9", pid]).status().await;
    assert!(killed.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_is_away_and_the_picture_is_held() {
    let (dir, s, mut encoder) = start(&json!([rung("180p", 180)])).await;
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    encoder.kill().await.unwrap();
    runs(&s, |r| {
        r["status"] == "hold" && r["transcoder"]["held"] == true
    })
    .await;
    let held_on = async || {
        let newest = runtime(&s, "n").await["segment"].as_u64().unwrap();
        let held = runs(&s, |r| r["segment"].as_u64() > Some(newest + 2)).await;
        assert_eq!(held["status"], "hold", "segments come while nothing does");
    };
    held_on().await;
    let pid = runtime(&s, "n").await["transcoder"]["pid"].clone();
    ended(&pid.to_string()).await;
    runs(&s, |r| r["transcoder"]["restarts"] == 1).await;
    held_on().await;
    let _encoder = push(&s, &dir.path().join("clip.mp4"), "k1");
    runs(&s, |r| r["status"] == "live").await;
    let url = format!("http://{}/n/v0.m3u8", s.http);
    let errors = ffmpeg(&format!("-v error -xerror -i {url} -t 4 -f null -")).await;
    assert_eq!(errors, "");
    let playlist = s.get("/n/v0.m3u8").await.body;
    assert!(!playlist.contains("EXT-X-DISCONTINUITY\n"), "{playlist}");
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_copy_and_through_edits() {
    let video = json!([{"name": "source", "codec": "copy"}, rung("90p", 90)]);
    let (dir, s, _encoder) = start(&video).await;
    let both = |a: &crate::server::Answer| a.body.contains("v0-90p.m3u8");
    let index = s.until("/n/index.m3u8", both).await.body;
    assert!(index.contains("RESOLUTION=320x180"), "{index}");
    let copied = watch(&format!("rtmp://{}/live/n@source", s.rtmp), 6);
    let pid = runtime(&s, "n").await["transcoder"]["pid"].clone();
    let edited = json!([{"name": "source", "codec": "copy"}, rung("120p", 120)]);
    let patch = json!({"transcode": {"video": edited}});
    let changed = s.api("PATCH", "/streams/n", &patch).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    s.until("/n/index.m3u8", |a| a.body.contains("v0-120p.m3u8"))
        .await;
    assert_eq!(
        copied.await.unwrap(),
        "",
        "who plays the copy notices nothing"
    );
    let now = runtime(&s, "n").await["transcoder"].clone();
    assert_eq!(
        (&now["pid"], &now["restarts"]),
        (&pid, &json!(0)),
        "the same worker"
    );
    // Without a ladder the programme itself is what players see; numbers go on.
    let newest = runtime(&s, "n").await["segment"].as_u64().unwrap();
    let changed = s
        .api("PATCH", "/streams/n", &json!({"transcode": null}))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let _again = push(&s, &dir.path().join("clip.mp4"), "k1");
    let plain = runs(&s, |r| r["segment"].as_u64() > Some(newest)).await;
    assert_eq!(plain["transcoder"], Value::Null);
    s.stop().await;
}

/// Waits until segments come that were not there before, in the playlist that is listed first.
async fn grows(s: &Running) {
    let live = s.until("/n/index.m3u8", |a| a.status == 200).await.body;
    let first = live.lines().find(|l| l.ends_with(".m3u8")).unwrap();
    let newest = |a: &crate::server::Answer| {
        let mut segments = a.body.lines().rev().filter(|l| l.ends_with(".m4s"));
        segments.next().map(str::to_owned)
    };
    let path = format!("/n/{first}");
    let before = newest(&s.get(&path).await);
    s.until(&path, |a| a.status == 200 && newest(a) > before)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rungs_come_and_go_and_playlists_go_on() {
    let (high, low) = (rung("180p", 180), rung("90p", 90));
    let (_dir, s, _encoder) = start(&json!([high, low])).await;
    let both = |a: &crate::server::Answer| a.body.contains("v0-90p.m3u8");
    s.until("/n/index.m3u8", both).await;
    let viewers = [
        watch(&format!("rtmp://{}/live/n@90p", s.rtmp), 8),
        watch(&format!("http://{}/n/v0-90p.m3u8", s.http), 8),
    ];
    runs(&s, |r| r["rtmp_players"] == 1).await;
    let edit = async |video: &Value| {
        let patch = json!({"transcode": {"video": video}});
        let changed = s.api("PATCH", "/streams/n", &patch).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
    };
    for video in [
        json!([low]),
        json!([high, low]),
        json!([low, high]),
        json!([rung("120p", 120), high, low]),
    ] {
        edit(&video).await;
        let names: Vec<_> = video
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["name"])
            .collect();
        runs(&s, |r| {
            let made = r["transcoder"]["renditions"].as_array().unwrap();
            names.iter().all(|name| {
                made.iter()
                    .any(|m| m["name"] == **name && m["fps"].as_f64() > Some(1.0))
            })
        })
        .await;
        grows(&s).await;
        let heights = video.as_array().unwrap().iter().map(|r| &r["height"]);
        let heights: Vec<String> = heights.map(|h| format!("x{h}")).collect();
        let in_order = |a: &crate::server::Answer| {
            let sizes = a.body.split(',').filter(|p| p.starts_with("RESOLUTION="));
            let listed = sizes.map(|s| &s[s.rfind('x').unwrap_or(0)..]);
            listed.eq(heights.iter())
        };
        s.until("/n/index.m3u8", in_order).await;
        let best = size(&format!("rtmp://{}/live/n", s.rtmp)).await;
        let height = video[0]["height"].to_string();
        assert!(best.ends_with(&height), "{best} of {video}");
    }
    for viewer in viewers {
        assert_eq!(viewer.await.unwrap(), "", "a rung that stays goes on");
    }
    let low_on = s.get("/n/v0-90p.m3u8").await.body;
    assert!(!low_on.contains("EXT-X-DISCONTINUITY\n"), "{low_on}");
    // Edits that undo each other, faster than anybody follows.
    for n in 0..20 {
        let other = rung(&format!("r{n}"), 90);
        edit(&json!([other, high])).await;
        edit(&json!([high, low])).await;
    }
    runs(&s, |r| r["status"] == "live").await;
    s.until("/n/index.m3u8", both).await;
    grows(&s).await;
    let url = format!("rtmp://{}/live/n@90p", s.rtmp);
    assert_eq!(size(&url).await, "160,90");
    s.stop().await;
}

#[tokio::test]
async fn what_can_be_encoded_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let told = s
        .api("GET", "/transcoder/capabilities", &Value::Null)
        .await
        .json();
    let of = |codec: &str| {
        let mut all = told["encoders"].as_array().unwrap().iter();
        all.find(|e| e["codec"] == codec).unwrap()["available"].clone()
    };
    for codec in ["h264", "h265", "aac", "opus"] {
        assert_eq!(of(codec), true, "{told}");
    }
    for device in told["devices"].as_array().unwrap() {
        let explained = device["reason"].as_str().is_some_and(|why| !why.is_empty());
        assert_eq!(device["available"], !explained, "{told}");
    }
    s.stop().await;
}
