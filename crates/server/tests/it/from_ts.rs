//! MPEG-TS in, as broadcasters have it: several programmes, languages, AC-3, cues.

use std::path::Path;
use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use container::ingest::{Item, data_track};
use container::ts::{Demux, Mux};
use media::codec::{OpaqueConfig, data};
use media::{CodecConfig, Frame, Span, Timestamp, Track, TrackKind};
use serde_json::{Value, json};
use testkit::actors::{Players, ffmpeg_done, ffmpeg_started, in_repository};
use tokio::process::{Child, Command};

use crate::server::Running;

/// Two programmes: pictures with two languages in AAC and one in AC-3, and other ones with MP2.
const PROGRAMMES: &str =
    "-program program_num=7:st=0:st=1:st=2:st=3 -program program_num=9:st=4:st=5";
/// A break of 6 s begins, now (SCTE 35, 9.7.3): no splice time, so that it is due when it comes.
const BREAK: &str = "fc302000000000000000fff00f05000004107ffffe00083d60000100000000a4ee995e";

async fn make(file: &Path) {
    let file = file.display();
    ffmpeg_done(&format!(
        "-v error -f lavfi -i testsrc2=s=160x90:r=25 -f lavfi -i sine=f=440:r=48000 -f lavfi -i sine=f=880:r=48000 \
         -f lavfi -i testsrc2=s=320x180:r=25 -t 40 -map 0 -map 1 -map 2 -map 1 -map 3 -map 2 \
         -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a:0 aac -c:a:1 aac -c:a:2 ac3 -c:a:3 mp2 \
         -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -metadata:s:a:2 language=eng {PROGRAMMES} -f mpegts {file}"
    ))
    .await
    .unwrap();
}

/// ffmpeg sends both programmes over SRT.
fn send(s: &Running, file: &Path, name: &str) -> Child {
    let (file, at) = (file.display(), s.srt.unwrap());
    ffmpeg_started(&format!(
        "-v error -re -i {file} -map 0 -c copy {PROGRAMMES} -f mpegts \
         srt://{at}?mode=caller&latency=120000&pkt_size=1316&streamid=publish:{name}"
    ))
    .unwrap()
}

async fn run(program: &str, args: &str) -> Vec<u8> {
    let output = Command::new("timeout")
        .args(["-k", "5", "40", program])
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.trim().is_empty(),
        "{program} {args}: {errors}"
    );
    output.stdout
}

/// All of it is decoded, without a word.
async fn decodes(program: &str, url: &str) {
    let args = format!("-v error -xerror -i {url} -t 3 -map 0:v -map 0:a -f null -");
    run(program, &args).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_programmes_with_its_languages_in_every_output() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.ts");
    make(&file).await;
    let s = Running::start(&dir).await;
    for program in [7, 9] {
        let input = json!({"id": "main", "url": "publish://", "key": null, "program": program});
        let stream =
            json!({"name": format!("p{program}"), "inputs": [input], "hls": {"container": "both"}});
        assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
    }
    let _senders = ["p7", "p9"].map(|name| send(&s, &file, name));
    let index = s
        .until("/p7/index.m3u8", |a| a.body.contains("ac-3"))
        .await
        .body;
    for line in [
        "GROUP-ID=\"audio-aac\",NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,LANGUAGE=\"en\"",
        "GROUP-ID=\"audio-aac\",NAME=\"de\",DEFAULT=NO,AUTOSELECT=YES,LANGUAGE=\"de\"",
        "GROUP-ID=\"audio-ac3\",NAME=\"en\"",
        "CODECS=\"avc1.42c00b,ac-3\",RESOLUTION=160x90",
    ] {
        assert!(index.contains(line), "{line}\n{index}");
    }
    let other = s.until("/p9/index.m3u8", |a| a.status == 200).await.body;
    assert!(
        other.contains("RESOLUTION=320x180") && !other.contains("ac-3"),
        "{other}"
    );
    s.until("/p7/v0.m3u8", |a| a.body.matches("#EXTINF").count() > 1)
        .await;
    let current = in_repository(".tools/ffmpeg").display().to_string();
    let (http, srt) = (s.http, s.srt.unwrap());
    let srt = format!("srt://{srt}?mode=caller&streamid=read:p7");
    let at = |name: &str| format!("http://{http}/p7/{name}");
    let (hls, dash, ts, old) = (
        at("index.m3u8"),
        at("index.mpd"),
        at("mpegts"),
        at("ts.m3u8"),
    );
    tokio::join!(
        decodes(&current, &hls),
        decodes(&current, &dash),
        decodes("ffmpeg", &ts),
        decodes("ffmpeg", &srt),
        decodes("ffmpeg", &old),
    );
    // What a box on HTTP-TS is told of the languages.
    let told =
        format!("-v error -show_entries stream=codec_name:stream_tags=language -of csv=p=0 {ts}");
    let told = String::from_utf8(run("ffprobe", &told).await).unwrap();
    let told: Vec<_> = told
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    // Streams are listed once more, under their programme.
    assert_eq!(told[4..], ["h264", "aac,eng", "aac,deu", "ac3,eng"]);
    let mut players = Players::open(&format!("http://{http}"), "p7", &["hls-ll"])
        .await
        .unwrap();
    let patience = std::time::Duration::from_secs(30);
    let reports = players.until(patience, |r| r.frames >= 30).await.unwrap();
    assert!(reports.iter().all(|r| r.dead.is_none()), "{reports:?}");
    drop(players);
    s.stop().await;
}

/// The same media with a break after eight seconds, in a stream of sections.
async fn with_a_break(dir: &Path) {
    let plain = dir.join("plain.ts");
    ffmpeg_done(&format!(
        "-v error -f lavfi -i testsrc2=s=160x90:r=25 -f lavfi -i sine=r=48000 -t 30 -c:v libx264 -preset ultrafast -g 25 \
         -pix_fmt yuv420p -c:a aac -f mpegts {}",
        plain.display()
    ))
    .await
    .unwrap();
    let (mut demux, mut items) = (Demux::default(), Vec::new());
    demux.push(std::fs::read(&plain).unwrap().into(), &mut items);
    demux.flush(&mut items);
    let (mut tracks, mut frames) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Track(track) => tracks.push(track),
            Item::Frame(frame) => frames.push(frame),
            _ => {}
        }
    }
    frames.sort_by_key(|f| f.dts);
    let sections = OpaqueConfig {
        kind: TrackKind::Data,
        fourcc: data::SCTE35,
        data: Bytes::new(),
    };
    tracks.push(Track::new(data_track(0), CodecConfig::Opaque(sections)));
    let due = frames[0].dts + Span::from_secs(8);
    let at = frames.partition_point(|f| f.dts < due);
    frames.insert(at, cue(due));
    let (mut mux, mut out) = (Mux::new(), BytesMut::new());
    mux.tracks(&tracks);
    frames.iter().for_each(|f| mux.frame(f, &mut out));
    std::fs::write(dir.join("files/break.ts"), out).unwrap();
}

fn section() -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&BREAK[at..at + 2], 16).unwrap();
    (0..BREAK.len()).step_by(2).map(byte).collect()
}

fn cue(at: Timestamp) -> Frame {
    Frame {
        track: data_track(0),
        dts: at,
        pts: at,
        duration: None,
        random_access: true,
        leading: false,
        payload: section().into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_told_in_playlists_and_in_mpeg_ts() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    std::fs::create_dir_all(&files).unwrap();
    with_a_break(dir.path()).await;
    let current = in_repository(".tools/ffmpeg").display().to_string();
    // Where nothing but the section is wanted ffmpeg waits for the next one.
    let sections = |from: &str| {
        format!(
            "-v error -i {from} -map 0:d:0 -c copy -frames:d 1 -f data - -map 0:v -c copy -t 14 -f null /dev/null"
        )
    };
    let source = files.join("break.ts").display().to_string();
    assert_eq!(
        run(&current, &sections(&source)).await,
        section(),
        "ffmpeg reads our source otherwise"
    );
    let s = Running::start(&dir).await;
    let input = json!({"id": "main", "url": "file://break.ts"});
    let stream = json!({"name": "n", "inputs": [input], "hls": {"container": "both"}});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let (http, srt) = (s.http, s.srt.unwrap());
    let (ts, srt) = (
        sections(&format!("http://{http}/n/mpegts")),
        sections(&format!("srt://{srt}?mode=caller&streamid=read:n")),
    );
    let (over_http, over_srt) = tokio::join!(run(&current, &ts), run(&current, &srt));
    assert_eq!(over_http, section(), "over HTTP");
    assert_eq!(over_srt, section(), "over SRT");
    for playlist in ["/n/v0.m3u8", "/n/v0.a1.ts.m3u8"] {
        let told = s
            .until(playlist, |a| a.body.contains("#EXT-X-DATERANGE"))
            .await
            .body;
        let told = told
            .lines()
            .find(|l| l.starts_with("#EXT-X-DATERANGE"))
            .unwrap();
        let out = format!("SCTE35-OUT=0x{}", BREAK.to_uppercase());
        assert!(
            told.contains(&out) && told.contains("PLANNED-DURATION=6"),
            "{playlist}: {told}"
        );
    }
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let runtime = s.api("GET", "/streams/n", &Value::Null).await.json()["runtime"].clone();
    assert_eq!(runtime["inputs"][0]["cc_errors_by_pid"], json!({}));
    s.stop().await;
}
