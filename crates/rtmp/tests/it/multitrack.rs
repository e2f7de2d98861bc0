//! Several tracks of a kind: from a real encoder, through a broadcast, to a real decoder.

use std::process::Stdio;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes};
use hub::{Hub, Limits, Sent};
use media::{CodecConfig, Span};
use rml_amf0::Amf0Value;
use rtmp::{Config, Listener, Request};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::client::{Client, listener, stats, text};

/// `make setup` puts a current ffmpeg there.
const CURRENT_FFMPEG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/ffmpeg");
const SECONDS: u32 = 3;

fn ffmpeg(args: &str) -> Command {
    let mut command = Command::new(CURRENT_FFMPEG);
    command
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A player that announces what it can, until the broadcast ends: an FLV file of all it got.
async fn record(listener: &Listener, broadcast: hub::Broadcast) -> Vec<u8> {
    let (mut client, server) = Client::connect(listener).await;
    let codes = Amf0Value::StrictArray(vec![text("*")]);
    let members = [("fourCcList", codes), ("capsEx", Amf0Value::Number(2.0))];
    client.ask_to_play("news", &members).await;
    let Ok(Request::Play(request)) = server.await.unwrap() else {
        panic!("a play request");
    };
    let (playing, stats) = (request.accept(), Arc::new(Sent::default()));
    let patient = Span::from_secs(60);
    let run = tokio::spawn(async move { playing.run(&broadcast, patient, &stats).await });
    let mut file = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00".to_vec();
    while let Some(message) = client.message().await {
        if matches!(message.kind, 8 | 9 | 18) {
            put_tag(&mut file, message.kind, message.timestamp, &message.body);
        }
        if message.kind == 20 && message.body.windows(9).any(|w| w == b"Play.Stop") {
            break;
        }
    }
    drop(client);
    run.await.unwrap().unwrap();
    file
}

/// Adobe FLV 10.1, annex E.4.1.
fn put_tag(file: &mut Vec<u8>, kind: u8, timestamp: u32, body: &Bytes) {
    file.put_u8(kind);
    file.put_uint(body.len() as u64, 3);
    file.put_uint(u64::from(timestamp), 3);
    file.put_bytes(0, 4);
    file.put_slice(body);
    file.put_u32(u32::try_from(body.len()).unwrap() + 11);
}

async fn decode(file: &[u8], track: &str) -> std::process::Output {
    let args = format!("-v error -xerror -i - -map 0:{track} -f framecrc -");
    let mut command = ffmpeg(&args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut decoder = command.spawn().unwrap();
    let mut stdin = decoder.stdin.take().unwrap();
    let write = async move { stdin.write_all(file).await };
    let (written, output) = tokio::join!(write, decoder.wait_with_output());
    written.unwrap();
    output.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sizes_and_two_languages_come_out_as_they_went_in() {
    let (listener, addr) = listener(Config::default()).await;
    let encoder = ffmpeg(&format!(
        "-v error -re -f lavfi -i testsrc2=s=320x180:r=25:d={SECONDS} -f lavfi -i sine=f=440:r=48000:d={SECONDS} \
         -f lavfi -i sine=f=880:r=48000:d={SECONDS} -map 0:v -map 0:v -map 1:a -map 2:a \
         -c:v libx264 -preset ultrafast -g 25 -bf:v:0 2 -s:v:1 160x90 -c:a aac -metadata language=eng \
         -f flv rtmp://{addr}/live/news"
    ))
    .spawn()
    .unwrap_or_else(|e| panic!("{CURRENT_FFMPEG}: {e}; run `make setup`"));
    let request = listener.accept().await.unwrap().request().await.unwrap();
    let Request::Publish(request) = request else {
        panic!("a publish request");
    };
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    tokio::spawn(relay.run());
    let (broadcast, stats) = (publisher.broadcast(), stats());
    let publishing = tokio::spawn(request.accept().run(publisher, Arc::clone(&stats)));
    let file = record(&listener, broadcast).await;
    publishing.await.unwrap().unwrap();
    let output = encoder.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");

    let tracks = stats.figures().tracks.unwrap();
    let width = |c: &CodecConfig| c.video().map(|v| v.width);
    let told: Vec<_> = tracks
        .iter()
        .map(|t| (t.id.0, width(&t.config), t.language.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (0, Some(320), None),
            (1, None, Some("en")),
            (2, Some(160), None),
            (3, None, None)
        ]
    );
    for track in ["v:0", "v:1", "a:0", "a:1"] {
        let output = decode(&file, track).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && errors.is_empty(),
            "{track}: {errors}"
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let frames = text.lines().filter(|l| !l.starts_with('#')).count();
        // All pictures, and all the sound but what precedes the first of them.
        let least = if track.starts_with('v') { 75 } else { 130 };
        assert!(frames >= least, "{track}: {frames} frames");
        let size = if track == "v:1" { "160x90" } else { "320x180" };
        assert!(
            !track.starts_with('v') || text.contains(size),
            "{track}: {text}"
        );
    }
}
