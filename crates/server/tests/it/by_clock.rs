//! Two encoders of one picture and one clock behind HLS: the programme goes on where the other
//! shows the same.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::Instant;

use crate::failover::{backup_is_ready, create, fed_by};
use crate::server::Running;
use crate::site::Site;

/// Pictures, 25 a second.
const PICTURES: usize = 1_500;
const GROUP_A: usize = 50;
const GROUP_B: usize = 30;
/// What each encoder has made when it is asked first: how far the one is behind the other depends
/// on that.
const BEFORE: Duration = Duration::from_secs(12);

/// The clock of both encoders: it runs from the first request on.
#[derive(Debug, Clone, Default)]
struct Clock(Arc<OnceLock<Instant>>);

impl Clock {
    fn now(&self) -> Duration {
        self.0.get_or_init(Instant::now).elapsed() + BEFORE
    }
}

/// What one encoder made, told as a live playlist by the clock until it is killed.
struct Encoder {
    site: Site,
    clock: Clock,
    killed: Arc<Mutex<Option<Duration>>>,
    /// Which picture a hash is.
    pictures: HashMap<String, usize>,
}

async fn ffmpeg(args: &str) -> String {
    let args = args.split_whitespace();
    let made = Command::new("ffmpeg").args(args).output().await;
    let made = made.expect("ffmpeg; run `make setup`");
    let errors = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(made.stdout).unwrap()
}

/// A hash of each picture, in their order.
async fn hashes(input: &str) -> Vec<String> {
    let args = format!("-v error -xerror {input} -map 0:v -f framehash -");
    let told = ffmpeg(&args).await;
    let lines = told.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit(' ').next().map(str::to_owned))
        .collect()
}

impl Encoder {
    /// Encodes all of it, then tells it as if it were made by the clock.
    async fn start(folder: PathBuf, group: usize, clock: Clock) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let at = folder.display().to_string();
        // One level, so that both need the same initialization section.
        ffmpeg(&format!(
            "-v error -f lavfi -i testsrc2=s=320x180:r=25 -f lavfi -i sine=r=48000 -t {} \
             -c:v libx264 -preset veryfast -level 30 -bf 2 -g {group} -sc_threshold 0 -b:v {group}0k \
             -c:a aac -b:a 64k -output_ts_offset {group} -f hls -hls_time {} \
             -hls_playlist_type vod -hls_segment_filename {at}/%d.ts {at}/all.m3u8",
            PICTURES / 25,
            group as f64 / 25.0,
        ))
        .await;
        let made = hashes(&format!("-i {at}/all.m3u8")).await;
        assert_eq!(made.len(), PICTURES);
        let killed: Arc<Mutex<Option<Duration>>> = Arc::default();
        let (root, stops, time) = (folder, Arc::clone(&killed), clock.clone());
        let serve = move |request: Request| {
            let now = stops.lock().unwrap().unwrap_or_else(|| time.now());
            let answer = answer(&root, request.uri().path(), now);
            async move { answer }
        };
        Self {
            site: Site::serve(serve).await,
            clock,
            killed,
            pictures: made.into_iter().zip(0..).collect(),
        }
    }

    /// It makes nothing any more; what it made is still served.
    fn kill(&self) {
        *self.killed.lock().unwrap() = Some(self.clock.now());
    }
}

fn answer(root: &Path, path: &str, now: Duration) -> Response {
    if path == "/live.m3u8" {
        return playlist(root, now).into_response();
    }
    match std::fs::read(root.join(path.trim_start_matches('/'))) {
        Ok(bytes) => bytes.into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The last segments that are whole at `now`. The clock of both is years behind ours, but one.
fn playlist(root: &Path, now: Duration) -> String {
    let all = std::fs::read_to_string(root.join("all.m3u8")).unwrap();
    let lengths = all.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    let lengths = lengths.map(|l| l.trim_end_matches(',').parse().unwrap());
    let mut end = Duration::ZERO;
    let whole = lengths.map(Duration::from_secs_f64).enumerate();
    let whole: Vec<_> = whole
        .map(|(i, length)| {
            let from = end;
            end += length;
            (i, from, length)
        })
        .filter(|(_, from, length)| *from + *length <= now)
        .collect();
    let shown = &whole[whole.len().saturating_sub(6)..];
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{}\n",
        shown.first().map_or(0, |(i, ..)| *i)
    );
    for (i, from, length) in shown {
        let (from, length) = (from.as_secs_f64(), length.as_secs_f64());
        let date = format!("1970-01-01T00:00:{from:06.3}Z");
        writeln!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF:{length},\n{i}.ts"
        )
        .unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_picture_is_lost_and_at_most_a_group_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let encoder = |name: &str, group| Encoder::start(dir.path().join(name), group, clock.clone());
    let (main, backup) = tokio::join!(encoder("a", GROUP_A), encoder("b", GROUP_B));
    let s = Running::start(&dir).await;
    let input = |id: &str, encoder: &Encoder, priority| {
        let url = format!("http://{}/live.m3u8", encoder.site.address);
        json!({"id": id, "url": url, "priority": priority, "clock": "trust"})
    };
    let inputs = json!([input("main", &main, 0), input("backup", &backup, 1)]);
    create(&s, json!({"name": "n", "inputs": inputs})).await;
    fed_by(&s, "n", "main").await;
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let url = format!("http://{}/n/index.m3u8", s.http);
    let viewer =
        tokio::spawn(async move { hashes(&format!("-live_start_index 0 -i {url} -t 18")).await });
    backup_is_ready(&s, "n").await;
    main.kill();
    let after = fed_by(&s, "n", "backup").await;
    let switches = after["switches"].as_array().unwrap();
    let by_clock = |s: &&Value| s["class"] == "clock" && s["gap"] == false;
    // The first input of all goes on from nothing.
    let all = switches.len() - 1;
    assert_eq!(switches.iter().filter(by_clock).count(), all, "{after:#}");

    let of = |hash| [&main, &backup].iter().find_map(|e| e.pictures.get(hash));
    let shown = viewer.await.unwrap();
    let shown: Vec<_> = shown
        .iter()
        .map(|hash| *of(hash.as_str()).expect("whole"))
        .collect();
    let different: BTreeSet<_> = shown.iter().copied().collect();
    let (first, last) = (different.first().unwrap(), different.last().unwrap());
    let repeated = shown.len() - different.len();
    println!(
        "{} pictures, {repeated} repeated at {all} switches",
        shown.len()
    );
    // None is lost; those that are shown out of their order at the very end may be cut off.
    assert!(different.len() >= last - first - 1, "{shown:?}");
    assert!(shown.contains(&(last - 3)) && last - first + repeated > 400);
    // Beside a group: two pictures that came before those that are shown before them.
    let group = |s: &Value| if s["to"] == "main" { GROUP_A } else { GROUP_B };
    let most: usize = switches.iter().take(all).map(|s| group(s) + 2).sum();
    assert!(repeated <= most, "{repeated} repeated");
    s.stop().await;
}
