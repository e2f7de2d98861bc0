//! SRT at the server's door: who is let in, what the others are told, who has to go.

mod changes;
mod codes;
mod makers;
mod passphrases;
mod players;
mod rungs;
mod takeover;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use srt::{Allowed, DialError, ErrorKind, Session, Url};
use tempfile::TempDir;
use testkit::actors::in_repository;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::events::history;
use crate::failover::{create, make_file};
use crate::server::Running;

const PATIENCE: Duration = Duration::from_secs(30);
/// Debian's; the repository's own has another libsrt.
const OLD: &str = "ffmpeg";

fn current() -> String {
    in_repository(".tools/ffmpeg").display().to_string()
}

/// A folder with media for encoders.
async fn clip() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clip.ts");
    make_file(&file, "160x90").await;
    (dir, file)
}

/// A stream with one door; `key` may be null.
async fn stream(s: &Running, name: &str, key: Value, more: Value) {
    let input = json!({"id": "main", "url": "publish://", "key": key});
    let mut stream = json!({"name": name, "inputs": [input]});
    let more = more.as_object().unwrap().clone();
    stream.as_object_mut().unwrap().extend(more);
    create(s, stream).await;
}

/// What a caller of ours gets: a session, or the code that it was refused with.
async fn call(s: &Running, query: &str) -> Result<Session, u32> {
    let url: Url = format!("srt://{}?{query}", s.srt.unwrap()).parse().unwrap();
    let anywhere = Allowed::new(|_| true);
    let called = srt::dial(&url, &anywhere, srt::Config::default(), Default::default()).await;
    match called {
        Ok(session) => Ok(session),
        Err(DialError::Session(srt::Error {
            kind: ErrorKind::Refused(code),
            ..
        })) => Err(code),
        Err(other) => panic!("{query}: {other}"),
    }
}

/// The code that a caller is refused with; `None` was let in, and said goodbye.
async fn code(s: &Running, query: &str) -> Option<u32> {
    match call(s, query).await {
        Ok(session) => {
            session.close().await;
            None
        }
        Err(code) => Some(code),
    }
}

fn address(s: &Running, query: &str) -> String {
    let at = s.srt.unwrap();
    format!("srt://{at}?mode=caller&transtype=live&streamid={query}")
}

fn started(program: &str, args: &str) -> Child {
    let mut command = Command::new(program);
    let quiet = command.args(args.split_whitespace()).stdin(Stdio::null());
    let quiet = quiet.stdout(Stdio::null()).stderr(Stdio::null());
    let started = quiet.kill_on_drop(true).spawn();
    started.unwrap_or_else(|e| panic!("{program}: {e}; run `make setup`"))
}

/// ffmpeg sends a file again and again.
fn send(program: &str, s: &Running, file: &Path, query: &str) -> Child {
    let (file, to) = (file.display(), address(s, query));
    let args =
        format!("-v error -re -stream_loop -1 -i {file} -c copy -f mpegts {to}&pkt_size=1316");
    started(program, &args)
}

/// ffmpeg plays until it is told that there is no more.
fn play(program: &str, s: &Running, query: &str) -> Child {
    let from = address(s, query);
    started(program, &format!("-v error -i {from} -c copy -f null -"))
}

/// libsrt's own tool plays.
fn play_by_libsrt(s: &Running, query: &str) -> Child {
    let from = address(s, query);
    started("srt-live-transmit", &format!("-q -a:no {from} file://con"))
}

/// Waits until a program ends by itself.
async fn ends(what: &str, program: &mut Child) -> ExitStatus {
    let ended = timeout(PATIENCE, program.wait()).await;
    ended.unwrap_or_else(|_| panic!("{what} goes on")).unwrap()
}

/// Waits until a program ends because of a goodbye: without one, libsrt waits for 5 s.
async fn leaves(what: &str, program: &mut Child) {
    let ended = timeout(Duration::from_secs(4), program.wait()).await;
    let told = ended.unwrap_or_else(|_| panic!("nobody told {what}"));
    told.unwrap();
}

/// What a program says until its end.
async fn says(program: &str, args: &str) -> (ExitStatus, String) {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "40", program]);
    command.args(args.split_whitespace()).kill_on_drop(true);
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&said).into_owned())
}

/// Decodes some seconds, without a word.
async fn decodes(program: &str, s: &Running, query: &str, seconds: u32) {
    let from = address(s, query);
    let args = format!("-v error -xerror -i {from} -t {seconds} -map 0:v -map 0:a -f null -");
    let (status, said) = says(program, &args).await;
    assert!(status.success() && said.is_empty(), "{program}: {said}");
}

/// libsrt's tool is refused with words of libsrt: codes of ours all have the same ones.
async fn libsrt_hears(s: &Running, query: &str, words: &str) {
    let from = address(s, query);
    let (_, said) = says("srt-live-transmit", &format!("-v -a:no {from} file://con")).await;
    assert!(said.contains(words), "{query} {words}: {said}");
}

/// Waits until a gauge or counter of a stream has a value.
async fn counts(s: &Running, stream: &str, name: &str, value: u64) {
    let line = format!("{name}{{stream=\"{stream}\"}} {value}\n");
    s.until("/metrics", |a| a.body.contains(&line)).await;
}

/// Waits until callers were refused so often for a reason.
async fn refused(s: &Running, reason: &str, count: u64) {
    let line = format!("weir_srt_refused_total{{reason=\"{reason}\"}} {count}\n");
    s.until("/metrics", |a| a.body.contains(&line)).await;
}

/// Waits for an event of a stream whose data has these members.
async fn told_of(s: &Running, stream: &str, kind: &str, data: Value) -> Value {
    let fits = |event: &Value| {
        let mut members = data.as_object().unwrap().iter();
        members.all(|(name, value)| event["data"][name] == *value)
    };
    let asking = async {
        loop {
            let all = history(s, &format!("type={kind}&stream={stream}")).await;
            if let Some(found) = all.into_iter().find(fits) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = timeout(PATIENCE, asking).await;
    match found {
        Ok(found) => found,
        Err(_) => {
            let all = history(s, &format!("type={kind}")).await;
            panic!("{stream} {kind} {data}: {}", json!(all));
        }
    }
}
