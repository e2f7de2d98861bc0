//! Players over RTMP that we did not write.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::actors::{Encoder, in_repository};
use tokio::process::Command;

use crate::server::Running;

/// Runs a player until it has seen enough.
async fn plays(program: &str, args: &str) {
    let output = Command::new(program)
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|e| panic!("{program}: {e}; run `make setup`"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args}: {errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_players_decode_what_an_encoder_pushes() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let stream = json!({"name": "n", "inputs": [input]});
    let made = s.api("POST", "/streams", &stream).await.json();
    let port = s.rtmp.port();
    let shown = format!("rtmp://localhost:{port}/live/n");
    assert_eq!(made["urls"]["play"]["rtmp"], shown);
    let url = format!("rtmp://{}/live/n", s.rtmp);
    // They come first and wait; the encoder comes last.
    let decode = format!("-v error -xerror -i {url} -t 2 -f null -");
    let current = in_repository(".tools/ffmpeg");
    let current = current.display().to_string();
    let saved = dir.path().join("n.flv").display().to_string();
    let dump = format!("-q -r {url} --live -B 2 -o {saved}");
    let sink = format!(
        "-q rtmp2src location={url} num-buffers=100 ! flvdemux name=d \
         d.video ! queue ! h264parse ! avdec_h264 ! fakesink \
         d.audio ! queue ! aacparse ! avdec_aac ! fakesink"
    );
    let players = async {
        tokio::join!(
            plays("ffmpeg", &decode),
            plays(&current, &decode),
            plays("gst-launch-1.0", &sink),
        )
    };
    let encoder = async {
        s.until("/metrics", |a| {
            a.body.contains("weir_rtmp_players{stream=\"n\"} 3")
        })
        .await;
        Encoder::push(&url, "160x90", 10).unwrap()
    };
    let (_, _encoder) = tokio::join!(players, encoder);
    // rtmpdump ends with what it asked for, or with the stream.
    let dumping =
        tokio::spawn(async move { plays("timeout", &format!("-s INT 4 rtmpdump {dump}")).await });
    let _ = dumping.await;
    let probe =
        format!("-v error -count_packets -show_entries stream=codec_name -of csv=p=0 {saved}");
    let probed = Command::new("ffprobe")
        .args(probe.split_whitespace())
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&probed.stdout), "h264\naac\n");
    let runtime = s.api("GET", "/streams/n", &Value::Null).await.json()["runtime"].clone();
    assert_eq!(runtime["rtmp_players"], 0);
    s.stop().await;
}
