//! Pulls from servers that we did not write. `make setup` installs them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hub::EndReason;
use media::{Frame, TrackKind};
use rtmp::{DialError, ErrorKind, Pull};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::pulls::{Run, to};

const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools");
const SECONDS: usize = 6;

pub fn current_ffmpeg() -> String {
    format!("{TOOLS}/ffmpeg")
}

async fn output(program: &str, args: &str) -> String {
    let args = args.split_whitespace();
    let done = Command::new(program).args(args).output().await;
    let done = done.unwrap_or_else(|e| panic!("{program}: {e}; run `make setup`"));
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

pub fn start(program: &str, args: &str) -> Child {
    Command::new(program)
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}; run `make setup`"))
}

pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs");
    output("kill", &format!("-{name} {id}")).await;
}

/// A packet of a file: milliseconds, and what is in it.
#[derive(Debug, PartialEq)]
pub struct Packet {
    pub dts: i64,
    pub pts: i64,
    pub hash: String,
}

/// A file to be sent, and what is in it.
pub struct Source {
    _dir: TempDir,
    pub file: PathBuf,
    pub video: Vec<Packet>,
    pub audio: Vec<Packet>,
}

impl Source {
    /// H.264 with pictures in another order than they are shown, and AAC.
    pub async fn ordinary() -> Self {
        Self::new(
            "ffmpeg",
            "-c:v libx264 -preset ultrafast -g 30 -bf 2 -c:a aac",
        )
        .await
    }

    pub async fn new(ffmpeg: &str, codecs: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("source.flv");
        let path = file.display();
        let make = format!(
            "-v error -f lavfi -i testsrc2=s=320x180:r=30:d={SECONDS} -f lavfi -i sine=r=48000:d={SECONDS} {codecs} -f flv {path}"
        );
        output(ffmpeg, &make).await;
        let (video, audio) = (
            packets(ffmpeg, &file, "v").await,
            packets(ffmpeg, &file, "a").await,
        );
        assert_eq!(video.len(), SECONDS * 30);
        Self {
            _dir: dir,
            file,
            video,
            audio,
        }
    }

    /// What was pulled is part of the file, whole, in order, with its distances in time.
    fn holds(&self, run: &Run, frames: &[Frame]) -> (usize, usize) {
        let kind = |f: &Frame| run.tracks.iter().find(|t| t.id == f.track).unwrap().kind;
        let of = |wanted| {
            frames
                .iter()
                .filter(move |f| kind(f) == wanted)
                .collect::<Vec<_>>()
        };
        let (video, audio) = (of(TrackKind::Video), of(TrackKind::Audio));
        let shift = shift(&self.video, &video);
        assert_eq!(
            shift,
            self::shift(&self.audio, &audio),
            "sound beside the pictures"
        );
        assert!(video[0].random_access);
        (video.len(), audio.len())
    }
}

/// Milliseconds from the file's time to the frames'.
fn shift(packets: &[Packet], frames: &[&Frame]) -> i64 {
    let hash = |f: &Frame| {
        Sha256::digest(&f.payload)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    let first = hash(frames[0]);
    let starts = (0..packets.len()).filter(|at| packets[*at].hash == first);
    for at in starts {
        let shift = frames[0].dts.as_millis() - packets[at].dts;
        let found = frames.iter().map(|f| Packet {
            dts: f.dts.as_millis() - shift,
            pts: f.pts.as_millis() - shift,
            hash: hash(f),
        });
        if found.eq(packets[at..].iter().take(frames.len()).map(|p| Packet {
            hash: p.hash.clone(),
            ..*p
        })) {
            return shift;
        }
    }
    panic!(
        "{} frames are no part of {} packets",
        frames.len(),
        packets.len()
    );
}

/// By ffmpeg's own reader.
pub async fn packets(ffmpeg: &str, file: &Path, kind: &str) -> Vec<Packet> {
    let path = file.display();
    let args = format!("-v error -i {path} -map 0:{kind} -c copy -f framehash -hash sha256 -");
    let text = output(ffmpeg, &args).await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let packet = |line: &str| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        Packet {
            dts: fields[1].parse().unwrap(),
            pts: fields[2].parse().unwrap(),
            hash: fields[5].to_owned(),
        }
    };
    lines.map(packet).collect()
}

/// Calls until somebody plays. What listens takes one call alone, so that nothing else may ask.
async fn call(what: Pull) -> (Run, Vec<Frame>) {
    loop {
        let mut run = Run::start(what.clone());
        let first = run.frames(1).await;
        if !first.is_empty() {
            return (run, first);
        }
        match run.end().await {
            Err(DialError::Connect { .. }) => {}
            Err(error) if error.is_refusal() => {}
            ended => panic!("{ended:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An ffmpeg that plays a file, at the pace of its timestamps, to the one who calls.
fn ffmpeg(program: &str, source: &Source) -> (Child, String) {
    let url = format!("rtmp://127.0.0.1:{}/live/x", free_port());
    let file = source.file.display();
    let args = format!("-v error -re -i {file} -c copy -f flv -listen 1 {url}");
    (start(program, &args), url)
}

async fn all_of_it(program: &str, source: &Source) {
    let (mut child, url) = ffmpeg(program, source);
    let (mut run, mut frames) = call(to(&url)).await;
    frames.extend(run.frames(usize::MAX).await);
    let count = source.holds(&run, &frames);
    assert_eq!(count, (source.video.len(), source.audio.len()));
    assert_eq!(
        run.stats
            .figures()
            .fixes
            .iter()
            .map(|(_, n)| n)
            .sum::<u64>(),
        0
    );
    run.end().await.unwrap();
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn ffmpeg_old_and_new() {
    let source = Source::ordinary().await;
    all_of_it("ffmpeg", &source).await;
    all_of_it(&current_ffmpeg(), &source).await;
}

#[tokio::test]
async fn ffmpeg_with_enhanced_tags() {
    let codecs =
        "-c:v libx265 -preset ultrafast -x265-params keyint=30:log-level=none -c:a libopus";
    let source = Source::new(&current_ffmpeg(), codecs).await;
    all_of_it(&current_ffmpeg(), &source).await;
}

#[tokio::test]
async fn a_server_that_is_killed_ends_the_pull_at_once() {
    let source = Source::ordinary().await;
    let (mut child, url) = ffmpeg("ffmpeg", &source);
    let mut what = to(&url);
    // Whatever ends it, it is not a time-out.
    what.session.read_timeout = Duration::from_secs(3600);
    let (mut run, mut frames) = call(what).await;
    frames.extend(run.frames(60).await);
    child.kill().await.unwrap();
    frames.extend(run.frames(usize::MAX).await);
    source.holds(&run, &frames);
    assert_eq!(run.end().await.unwrap(), EndReason::Dropped);
}

#[tokio::test]
async fn a_server_that_is_stopped_is_left_for_its_silence() {
    let source = Source::ordinary().await;
    let (child, url) = ffmpeg("ffmpeg", &source);
    let mut what = to(&url);
    what.session.read_timeout = Duration::from_secs(1);
    let (mut run, mut frames) = call(what).await;
    frames.extend(run.frames(60).await);
    signal(&child, "STOP").await;
    frames.extend(run.frames(usize::MAX).await);
    source.holds(&run, &frames);
    match run.end().await {
        Err(DialError::Session(rtmp::Error {
            kind: ErrorKind::TimedOut("waiting for media"),
            ..
        })) => {}
        ended => panic!("{ended:?}"),
    }
}

/// In the foreground, with everything that is its own in `dir`.
pub fn nginx(dir: &Path, port: u16) -> Child {
    let module = format!("{TOOLS}/nginx/usr/lib/nginx/modules/ngx_rtmp_module.so");
    let config = format!(
        "load_module {module}; daemon off; master_process off; pid nginx.pid; error_log error.log info;
        events {{ worker_connections 64; }}
        rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 4096;
        application live {{ live on; idle_streams off; }} }} }}"
    );
    let file = dir.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let args = format!("-p {} -e error.log -c {}", dir.display(), file.display());
    start(&format!("{TOOLS}/nginx/usr/sbin/nginx"), &args)
}

#[tokio::test]
async fn nginx_with_its_rtmp_module() {
    let (dir, port) = (TempDir::new().unwrap(), free_port());
    let mut server = nginx(dir.path(), port);
    let url = format!("rtmp://127.0.0.1:{port}/live/x?key=k1");
    let refused = loop {
        match Run::start(to(&url)).end().await {
            Err(DialError::Connect { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            ended => break ended.unwrap_err(),
        }
    };
    let words = "refused: NetStream.Play.StreamNotFound: No such stream";
    assert!(
        refused.is_refusal() && refused.to_string().ends_with(words),
        "{refused}"
    );

    let source = Source::ordinary().await;
    let file = source.file.display();
    let push = format!("-v error -re -i {file} -c copy -f flv {url}");
    let mut encoder = start("ffmpeg", &push);
    let (mut run, mut frames) = call(to(&url)).await;
    frames.extend(run.frames(usize::MAX).await);
    let (video, audio) = source.holds(&run, &frames);
    assert!(
        video >= 60 && audio >= 90,
        "{video} pictures, {audio} of sound"
    );
    assert_eq!(run.end().await.unwrap(), EndReason::Finished);
    assert!(encoder.wait().await.unwrap().success());

    let _encoder = start("ffmpeg", &push);
    let (mut run, mut frames) = call(to(&url)).await;
    frames.extend(run.frames(30).await);
    server.kill().await.unwrap();
    frames.extend(run.frames(usize::MAX).await);
    source.holds(&run, &frames);
    assert_eq!(run.end().await.unwrap(), EndReason::Dropped);
}
