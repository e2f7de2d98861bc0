//! Several inputs of every kind, real encoders that are killed, and one programme out of them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::server::Running;

/// Decodes for so many seconds beside; tells what there was to complain of.
pub(crate) fn watch(url: &str, seconds: u32) -> tokio::task::JoinHandle<String> {
    let args = format!("-v error -xerror -i {url} -t {seconds} -f null -");
    tokio::spawn(async move { ffmpeg(&args).await })
}

pub(crate) async fn ffmpeg(args: &str) -> String {
    let made = Command::new("ffmpeg")
        .args(args.split_whitespace())
        .output();
    let made = made.await.expect("ffmpeg; run `make setup`");
    let errors = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{errors}");
    errors
}

/// Ten seconds of pictures with a keyframe each second, and a tone.
pub(crate) async fn make_file(path: &Path, size: &str) {
    ffmpeg(&format!(
        "-v error -f lavfi -i testsrc2=s={size}:r=25 -f lavfi -i sine=r=48000 -t 10 -c:v libx264 \
         -preset ultrafast -tune zerolatency -g 25 -c:a aac -b:a 64k {}",
        path.display()
    ))
    .await;
}

pub(crate) fn push(s: &Running, file: &Path, key: &str) -> Child {
    let url = format!("rtmp://{}/live/n?key={key}", s.rtmp);
    let args = "-v error -re -stream_loop -1 -i";
    Command::new("ffmpeg")
        .args(args.split_whitespace())
        .arg(file)
        .args(["-c", "copy", "-f", "flv", &url])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg")
}

pub(crate) async fn runtime(s: &Running, name: &str) -> Value {
    let stream = s
        .api("GET", &format!("/streams/{name}"), &Value::Null)
        .await;
    stream.json()["runtime"].clone()
}

/// Waits until the second input delivers.
pub(crate) async fn backup_is_ready(s: &Running, name: &str) {
    let ready = async {
        while runtime(s, name).await["inputs"][1]["state"] != "ready" {
            crate::server::pause().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready)
        .await
        .unwrap();
}

/// Waits until the stream's programme is fed by this input.
pub(crate) async fn fed_by(s: &Running, name: &str, input: &str) -> Value {
    let asking = async {
        loop {
            let now = runtime(s, name).await;
            if now["input"] == input && now["switches"][0]["to"] == input {
                return now;
            }
            crate::server::pause().await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), asking).await;
    told.unwrap_or_else(|_| panic!("{name} is not fed by {input}"))
}

pub(crate) async fn create(s: &Running, stream: Value) {
    let made = s.api("POST", "/streams", &stream).await;
    assert_eq!(made.status, 201, "{made:?}");
}

pub(crate) async fn start() -> (TempDir, Running) {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    std::fs::create_dir(&files).unwrap();
    make_file(&files.join("slate.mp4"), "160x90").await;
    let s = Running::start(&dir).await;
    (dir, s)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_is_killed_and_players_see_one_programme() {
    let (dir, s) = start().await;
    let file = dir.path().join("files/slate.mp4");
    let inputs = json!([
        {"id": "main", "url": "publish://", "key": "k1"},
        {"id": "backup", "url": "publish://", "key": "k2", "priority": 1},
    ]);
    let slate = json!({"url": "file://slate.mp4"});
    create(&s, json!({"name": "n", "inputs": inputs, "slate": slate})).await;
    create(
        &s,
        json!({"name": "other", "inputs": [{"id": "n", "url": "stream://n"}]}),
    )
    .await;
    let mut main = push(&s, &file, "k1");
    fed_by(&s, "n", "main").await;
    let backup = push(&s, &file, "k2");
    s.until("/other/index.m3u8", |a| a.status == 200).await;

    // One decodes over RTMP, one over HLS, one the other stream, while the encoder is killed.
    let viewers = [
        watch(&format!("rtmp://{}/live/n", s.rtmp), 12),
        watch(&format!("http://{}/n/index.m3u8", s.http), 12),
        watch(&format!("http://{}/other/index.m3u8", s.http), 12),
    ];
    backup_is_ready(&s, "n").await;
    main.kill().await.unwrap();
    let after = fed_by(&s, "n", "backup").await;
    let switch = &after["switches"][0];
    assert_eq!(
        (&switch["from"], &switch["to"]),
        (&json!("main"), &json!("backup"))
    );
    assert_eq!(
        (&switch["reason"], &switch["gap"]),
        (&json!("closed"), &json!(false))
    );
    for viewer in viewers {
        assert_eq!(viewer.await.unwrap(), "");
    }

    // Nobody is left: the slate comes, and goes when an encoder is back.
    drop(backup);
    fed_by(&s, "n", "slate").await;
    let shown = async {
        // The playlists go on once its first segment is whole.
        while runtime(&s, "n").await["status"] != "live" {
            crate::server::pause().await;
        }
        runtime(&s, "n").await["slate"].clone()
    };
    let shown = tokio::time::timeout(Duration::from_secs(20), shown).await;
    assert_eq!(shown.unwrap(), json!(true));
    let _main = push(&s, &file, "k1");
    fed_by(&s, "n", "main").await;
    let metrics = s.get("/metrics").await.body;
    let counted = "weir_failover_switches_total{stream=\"n\",reason=\"slate\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_serves_another_pulls() {
    let (_files, origin) = start().await;
    let file = json!({"id": "file", "url": "file://slate.mp4", "loop": true});
    create(&origin, json!({"name": "n", "inputs": [file]})).await;
    origin.until("/n/index.m3u8", |a| a.status == 200).await;
    let dir = tempfile::tempdir().unwrap();
    let edge = Running::start(&dir).await;
    let (hls, rtmp) = (
        format!("http://{}/n/index.m3u8", origin.http),
        format!("rtmp://{}/live/n", origin.rtmp),
    );
    create(
        &edge,
        json!({"name": "hls", "inputs": [{"id": "up", "url": hls}]}),
    )
    .await;
    create(
        &edge,
        json!({"name": "rtmp", "inputs": [{"id": "up", "url": rtmp}]}),
    )
    .await;
    for name in ["hls", "rtmp"] {
        fed_by(&edge, name, "up").await;
        let path = format!("/{name}/index.m3u8");
        edge.until(&path, |a| a.status == 200).await;
        let url = format!("http://{}{path}", edge.http);
        assert_eq!(
            ffmpeg(&format!("-v error -xerror -i {url} -t 3 -f null -")).await,
            ""
        );
    }
    edge.stop().await;
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_keep_their_secrets_and_never_feed_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let url = "http://user:pass@192.0.2.1/x.m3u8?token=t";
    let input = json!({"id": "up", "url": url, "headers": {"X-Key": "secret"}});
    create(&s, json!({"name": "a", "inputs": [input]})).await;
    let shown = s.api("GET", "/streams/a", &Value::Null).await;
    for secret in ["pass", "token=t", "\"secret\""] {
        assert!(!shown.body.contains(secret), "{secret}: {}", shown.body);
    }
    // What was read is written back, and nothing has changed.
    let tag = shown.header("etag").to_owned();
    let kept = s.api("PUT", "/streams/a", &shown.json()).await;
    assert_eq!((kept.status, kept.header("etag")), (200, tag.as_str()));
    let revealed = s
        .api("GET", "/streams/a?reveal=true", &Value::Null)
        .await
        .json();
    assert_eq!(revealed["inputs"][0]["url"], url);
    assert_eq!(revealed["inputs"][0]["headers"]["X-Key"], "secret");

    create(
        &s,
        json!({"name": "b", "inputs": [{"id": "a", "url": "stream://a"}]}),
    )
    .await;
    let inputs = json!({"inputs": [{"id": "b", "url": "stream://b"}]});
    let refused = s.api("PATCH", "/streams/a", &inputs).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "stream_cycle")
    );
    for (input, code) in [
        (json!({"id": "x", "url": "stream://a"}), "stream_cycle"),
        (json!({"id": "slate", "url": "publish://"}), "id_taken"),
        (
            json!({"id": "x", "url": "file://x.mp4", "key": "k"}),
            "key_invalid",
        ),
        (
            json!({"id": "x", "url": "srt://h:1?passphrase=short"}),
            "url_invalid",
        ),
        (
            json!({"id": "x", "url": "http://h/x.mp4"}),
            "input_scheme_unsupported",
        ),
        (
            json!({"id": "x", "url": "http://h/x.ts", "headers": {"a b": "c"}}),
            "header_invalid",
        ),
    ] {
        let refused = s
            .api("PATCH", "/streams/a", &json!({"inputs": [input]}))
            .await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (422, code),
            "{input}"
        );
    }
    // A place that may not be connected to is told, and tried again slowly.
    let inside = json!({"inputs": [{"id": "x", "url": "http://169.254.169.254/x.ts"}]});
    s.api("PUT", "/streams/b", &inside).await;
    let told = async {
        while runtime(&s, "b").await["inputs"][0]["errors"][0]["message"].is_null() {
            crate::server::pause().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .unwrap();
    s.stop().await;
}

/// The short form of `make failover`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encoders_fail_and_players_miss_no_frame() {
    let weir = Path::new(env!("CARGO_BIN_EXE_weir"));
    testkit::soak::short_failover(weir).await.unwrap();
}

/// Waits until the first input of the stream is at this fault, or at none.
async fn first_input(s: &Running, name: &str, fault: Value) -> Value {
    let asking = async {
        loop {
            let input = runtime(s, name).await["inputs"][0].clone();
            if input["fault"] == fault {
                return input;
            }
            crate::server::pause().await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), asking).await;
    told.unwrap_or_else(|_| panic!("{name}: not {fault}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_is_changed_is_connected_anew_at_once() {
    let (_dir, s) = start().await;
    let file = |timeout: u32| {
        json!({"inputs": [{
            "id": "file", "url": "file://slate.mp4", "loop": true, "connect_timeout_ms": timeout,
        }]})
    };
    let mut stream = file(1_000);
    stream["name"] = json!("n");
    create(&s, stream).await;
    for change in 1..=5 {
        first_input(&s, "n", Value::Null).await;
        let changed = s.api("PATCH", "/streams/n", &file(1_000 + change)).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }
    let input = first_input(&s, "n", Value::Null).await;
    assert!(input["errors"].as_array().unwrap().is_empty(), "{input}");
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_repeated_is_over_when_it_is() {
    let (_dir, s) = start().await;
    let file = json!({"id": "file", "url": "file://slate.mp4"});
    create(&s, json!({"name": "n", "inputs": [file]})).await;
    first_input(&s, "n", Value::Null).await;
    let over = first_input(&s, "n", json!("closed")).await;
    assert_eq!(over["sessions"], 1);
    let again = s.api("POST", "/streams/n/restart", &json!({})).await;
    assert_eq!(again.status, 204, "{again:?}");
    assert_eq!(first_input(&s, "n", Value::Null).await["sessions"], 2);
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_on_demand_comes_and_goes_with_viewers() {
    let (_dir, s) = start().await;
    let file = json!({
        "id": "file", "url": "file://slate.mp4", "loop": true, "start": "on_demand",
        "idle_timeout_ms": 500,
    });
    create(&s, json!({"name": "n", "inputs": [file]})).await;
    // A stream that takes it on demand wants it only while it has viewers of its own.
    let input = json!({"id": "n", "url": "stream://n", "start": "on_demand", "idle_timeout_ms": 0});
    create(&s, json!({"name": "other", "inputs": [input]})).await;
    assert_eq!(first_input(&s, "n", json!("absent")).await["sessions"], 0);

    // The first viewer waits for media, and gets it.
    let index = s.get("/n/index.m3u8").await;
    assert_eq!(index.status, 200, "{index:?}");
    assert_eq!(first_input(&s, "n", Value::Null).await["sessions"], 1);
    let gone = first_input(&s, "n", json!("absent")).await;
    assert!(gone["errors"].as_array().unwrap().is_empty(), "{gone}");

    let url = format!("rtmp://{}/live/other", s.rtmp);
    let errors = ffmpeg(&format!("-v error -xerror -i {url} -t 2 -f null -")).await;
    assert_eq!(errors, "");
    let gone = first_input(&s, "n", json!("absent")).await;
    assert_eq!(gone["sessions"], 2);
    let now = runtime(&s, "n").await;
    assert_eq!(now["switches"][0]["reason"], "available", "{now:#}");
    let metrics = s.get("/metrics").await.body;
    assert!(
        !metrics.contains("weir_input_faults_total{stream=\"n\""),
        "{metrics}"
    );

    let pushed = json!({"inputs": [{"id": "x", "url": "publish://", "start": "on_demand"}]});
    let refused = s.api("PATCH", "/streams/n", &pushed).await;
    assert_eq!(refused.json()["field"], "inputs[0].start", "{refused:?}");
    s.stop().await;
}
