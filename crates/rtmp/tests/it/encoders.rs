//! Encoders that we did not write. `make setup` installs them.

use std::process::Stdio;
use std::sync::Arc;

use container::ingest::Figures;
use hub::{Event, Hub, Limits, Options};
use rtmp::{Config, Request};
use tokio::process::Command;

use crate::client::{listener, stats};

struct Seen {
    video: Vec<i64>,
    audio: usize,
    codecs: Vec<&'static str>,
    stats: Figures,
}

/// Runs an encoder against a listener until it is done.
async fn publish(program: &str, args: impl Fn(&str) -> Vec<String>) -> Seen {
    let (listener, addr) = listener(Config::default()).await;
    let url = format!("rtmp://{addr}/live/news?key=k1");
    let encoder = Command::new(program)
        .args(args(&url))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}; run `make setup`"));
    let request = listener.accept().await.unwrap().request().await.unwrap();
    let Request::Publish(request) = request else {
        panic!("a publish request");
    };
    assert_eq!(
        (
            request.target().name.as_str(),
            request.target().key.as_deref()
        ),
        ("news", Some("k1"))
    );
    let presentation = Hub::new().announce("news").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    tokio::spawn(relay.run());
    let mut reader = publisher.broadcast().subscribe(Options {
        max_latency: media::Span::from_secs(3600),
        ..Options::default()
    });
    let stats = stats();
    let run = tokio::spawn(request.accept().run(publisher, Arc::clone(&stats)));
    let mut seen = Seen {
        video: vec![],
        audio: 0,
        codecs: vec![],
        stats: stats.figures(),
    };
    let mut events = Vec::new();
    'all: loop {
        reader.next(&mut events).await;
        for event in events.drain(..) {
            match event {
                Event::Group { tracks, .. } => {
                    seen.codecs = tracks.iter().map(|t| t.config.name()).collect()
                }
                Event::Frame(f) if f.track.0 == 0 => seen.video.push(f.dts.as_nanos()),
                Event::Frame(_) => seen.audio += 1,
                Event::Skipped { .. } => panic!("nothing is skipped"),
                Event::End(_) => break 'all,
            }
        }
    }
    run.await.unwrap().unwrap();
    let output = encoder.wait_with_output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    seen.stats = stats.figures();
    assert!(seen.video.windows(2).all(|w| w[0] < w[1]), "DTS increases");
    seen
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

const SOURCE: &str =
    "-v error -f lavfi -i testsrc2=s=320x180:r=30:d=4 -f lavfi -i sine=r=48000:d=4";

/// `make setup` puts a current ffmpeg there.
const CURRENT_FFMPEG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/ffmpeg");

#[tokio::test]
async fn debian_ffmpeg() {
    let seen = publish("ffmpeg", |url| {
        words(&format!(
            "{SOURCE} -c:v libx264 -preset ultrafast -g 30 -bf 0 -c:a aac -ar 48000 -f flv {url}"
        ))
    })
    .await;
    assert_eq!((seen.video.len(), seen.codecs), (120, vec!["h264", "aac"]));
    assert!(seen.audio >= 186, "{}", seen.audio);
    assert_eq!(
        (seen.stats.keyframes, seen.stats.keyframe_interval_ms),
        (4, 1000)
    );
    assert!(seen.stats.description.contains_key("encoder"));
}

#[tokio::test]
async fn a_current_ffmpeg_with_hevc() {
    let seen = publish(CURRENT_FFMPEG, |url| {
        words(&format!("{SOURCE} -c:v libx265 -preset ultrafast -x265-params keyint=30:log-level=none -c:a aac -f flv {url}"))
    })
    .await;
    assert_eq!((seen.video.len(), seen.codecs), (120, vec!["h265", "aac"]));
}

#[tokio::test]
async fn a_current_ffmpeg_with_vp9_and_flac_and_with_ac3() {
    let seen = publish(CURRENT_FFMPEG, |url| {
        words(&format!(
            "{SOURCE} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30 -c:a flac -f flv {url}"
        ))
    })
    .await;
    assert_eq!((seen.video.len(), seen.codecs), (120, vec!["vp9", "flac"]));
    for codec in ["ac3", "eac3"] {
        let seen = publish(CURRENT_FFMPEG, |url| {
            words(&format!("{SOURCE} -map 1:a -c:a {codec} -f flv {url}"))
        })
        .await;
        assert_eq!((seen.audio, seen.codecs), (125, vec![codec]));
    }
}

#[tokio::test]
async fn pictures_alone_and_sound_alone() {
    let seen = publish("ffmpeg", |url| {
        words(&format!(
            "{SOURCE} -map 0:v -c:v libx264 -preset ultrafast -g 30 -f flv {url}"
        ))
    })
    .await;
    assert_eq!((seen.video.len(), seen.audio), (120, 0));
    let seen = publish("ffmpeg", |url| {
        words(&format!("{SOURCE} -map 1:a -c:a aac -f flv {url}"))
    })
    .await;
    assert!(
        seen.video.is_empty() && seen.audio >= 186,
        "{:?} {} {:?}",
        seen.video,
        seen.audio,
        seen.stats
    );
}

#[tokio::test]
async fn gstreamer() {
    let seen = publish("gst-launch-1.0", |url| {
        words(&format!(
            "-q videotestsrc num-buffers=120 ! video/x-raw,width=320,height=180,framerate=30/1 ! x264enc speed-preset=ultrafast key-int-max=30 \
             ! h264parse ! mux. audiotestsrc num-buffers=188 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! mux. \
             flvmux name=mux streamable=true ! rtmp2sink location={url}"
        ))
    })
    .await;
    assert_eq!((seen.video.len(), seen.codecs), (120, vec!["h264", "aac"]));
    assert!(seen.audio >= 180, "{}", seen.audio);
}

/// The library in OBS and in most hardware encoders: complex handshake, `FCPublish` awaited.
#[tokio::test]
async fn librtmp() {
    let seen = publish("gst-launch-1.0", |url| {
        words(&format!(
            "-q videotestsrc num-buffers=120 ! video/x-raw,width=320,height=180,framerate=30/1 ! x264enc speed-preset=ultrafast key-int-max=30 \
             ! h264parse ! mux. audiotestsrc num-buffers=188 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! mux. \
             flvmux name=mux streamable=true ! rtmpsink location={url}"
        ))
    })
    .await;
    assert_eq!((seen.video.len(), seen.codecs), (120, vec!["h264", "aac"]));
    assert!(seen.audio >= 180, "{}", seen.audio);
}
