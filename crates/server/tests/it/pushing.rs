//! Streams pushed elsewhere: to another server of ours, and to far ends that we can look into.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use container::ingest::Stats;
use hub::{Event, Hub, Limits, Options};
use media::{Span, Track, TrackId};
use rtmp::{Listener, Request};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::actors::in_repository;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::events::{history, told};
use crate::failover::{create, fed_by, make_file, push, runtime, watch};
use crate::server::{Running, config};

const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until a push is as is wanted.
async fn pushed(s: &Running, index: usize, good: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let asking = async {
        loop {
            last = runtime(s, "n").await["push"][index].clone();
            if good(&last) {
                return;
            }
            crate::server::pause().await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, asking).await;
    assert!(done.is_ok(), "{last:#}");
    last
}

fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |push| push["state"] == state
}

/// What came over one connection.
#[derive(Debug, Default, Clone)]
struct Taken {
    stream: String,
    tracks: Vec<Track>,
    /// Nanoseconds.
    frames: Vec<(TrackId, i64)>,
    ended: bool,
}

impl Taken {
    fn take(&mut self, batch: &mut Vec<Event>) {
        for event in batch.drain(..) {
            match event {
                Event::Group { tracks, .. } => self.tracks = tracks.to_vec(),
                Event::Frame(frame) => self.frames.push((frame.track, frame.dts.as_nanos())),
                _ => {}
            }
        }
    }
}

/// A far end that takes what it is sent, or stops to after the first frame.
struct Far {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Far {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Far {
    async fn start(reads: bool) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::new(socket, rtmp::Config::default());
        let address = listener.local_addr().unwrap();
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let log = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            loop {
                let connection = listener.accept().await.unwrap();
                let log = Arc::clone(&log);
                sessions.spawn(async move {
                    if let Ok(Request::Publish(request)) = connection.request().await {
                        take(request, &log, reads).await;
                    }
                });
            }
        });
        Self {
            address,
            taken,
            task,
        }
    }

    fn url(&self) -> String {
        format!("rtmp://{}/app", self.address)
    }

    fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// Waits until there is what is wanted.
    async fn until(&self, good: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        let waiting = async {
            while !good(&self.taken()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(done.is_ok(), "{} connections", self.taken().len());
        self.taken()
    }
}

async fn take(request: rtmp::PublishRequest, log: &Mutex<Vec<Taken>>, reads: bool) {
    let stream = request.target().name.clone();
    let at = {
        let mut log = log.lock().unwrap();
        log.push(Taken {
            stream,
            ..Taken::default()
        });
        log.len() - 1
    };
    let presentation = Hub::new().announce("far").unwrap();
    let (publisher, relay) = presentation.add("source", Limits::default()).unwrap();
    let relay = tokio::spawn(relay.run());
    let mut reader = publisher.broadcast().subscribe(Options {
        max_latency: Span::from_secs(3600),
        ..Options::default()
    });
    let stats = Arc::new(Stats::new(testkit::clock));
    let mut run = std::pin::pin!(request.accept().run(publisher, stats));
    let (mut batch, mut ended) = (Vec::new(), false);
    while !ended {
        tokio::select! {
            _ = &mut run, if !ended => ended = true,
            () = reader.next(&mut batch) => {}
        }
        while reader.try_next(&mut batch) {}
        let stops = {
            let mut log = log.lock().unwrap();
            log[at].take(&mut batch);
            log[at].ended = ended;
            !reads && !log[at].frames.is_empty()
        };
        if stops {
            // The connection stays, and nobody reads.
            std::future::pending::<()>().await;
        }
    }
    relay.abort();
}

/// Every track's frames rise in time, and none is further from the next than `most`.
fn hold_together(taken: &Taken, most: Duration) {
    assert_eq!(taken.tracks.len(), 2, "{:?}", taken.tracks);
    for track in &taken.tracks {
        let times: Vec<_> = taken
            .frames
            .iter()
            .filter(|(t, _)| *t == track.id)
            .collect();
        for pair in times.windows(2) {
            let step = pair[1].1 - pair[0].1;
            let most = i64::try_from(most.as_nanos()).unwrap();
            assert!(
                step > 0 && step <= most,
                "{:?}: a step of {step} ns",
                track.id
            );
        }
    }
}

/// A file of ten seconds, and a server.
async fn start() -> (TempDir, Running, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clip.mp4");
    make_file(&file, "160x90").await;
    let s = Running::start(&dir).await;
    (dir, s, file)
}

fn stream(pushes: &Value) -> Value {
    let input = json!({"id": "main", "url": "publish://", "key": "k1"});
    json!({"name": "n", "inputs": [input], "push": pushes})
}

async fn patch(s: &Running, path: &str, body: Value) -> Value {
    let answer = s.api("PATCH", path, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn pushes_are_kept_shown_and_changed_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let pushes = json!([
        {"id": "cdn", "url": "rtmps://u:geheim@127.0.0.1:1/app?t=geheim", "key": "geheim"},
        {"id": "srt", "url": "srt://127.0.0.1:1?streamid=x&passphrase=geheimgeheim", "enabled": false},
    ]);
    create(&s, stream(&pushes)).await;
    let read = s.api("GET", "/streams/n", &Value::Null).await;
    assert!(!read.body.contains("geheim"), "{read:?}");
    let shown = read.json();
    assert_eq!(shown["push"][0]["url"], "rtmps://u:***@127.0.0.1:1/app?***");
    assert_eq!(shown["push"][0]["key"], json!({"set": true}));
    assert_eq!(shown["effective"]["push"][0]["tls_verify"], true);
    let states: Vec<_> = (0..2)
        .map(|i| &shown["runtime"]["push"][i]["state"])
        .collect();
    assert_eq!(states, ["idle", "disabled"]);
    let again = s.api("PUT", "/streams/n", &shown).await;
    assert_eq!(
        (again.status, again.header("etag")),
        (200, read.header("etag"))
    );
    let revealed = s
        .api("GET", "/streams/n?reveal=true", &Value::Null)
        .await
        .json();
    assert_eq!(revealed["push"], pushes);

    let one = s.api("GET", "/streams/n/push/cdn", &Value::Null).await;
    assert_eq!(one.header("etag"), read.header("etag"));
    let same = s.api("PUT", "/streams/n/push/cdn", &one.json()).await;
    assert_eq!(
        (same.status, same.header("etag")),
        (200, read.header("etag"))
    );
    let more = json!({"url": "rtmp://127.0.0.1:1/app/x"});
    assert_eq!(
        s.api("PUT", "/streams/n/push/more", &more).await.status,
        201
    );
    let off = patch(
        &s,
        "/streams/n/push/cdn",
        json!({"enabled": false, "key": "other"}),
    )
    .await;
    assert_eq!(
        (&off["enabled"], &off["key"]),
        (&json!(false), &json!({"set": true}))
    );
    let stale = format!(
        "If-Match: {}\r\nAuthorization: Bearer {}\r\n",
        read.header("etag"),
        crate::server::TOKEN
    );
    assert_eq!(
        s.send("DELETE", "/api/v1/streams/n/push/cdn", &stale, "")
            .await
            .status,
        412
    );
    assert_eq!(
        s.api("DELETE", "/streams/n/push/cdn", &Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        s.api("GET", "/streams/n/push/cdn", &Value::Null)
            .await
            .code(),
        "push_not_found"
    );
    let left = runtime(&s, "n").await["push"].clone();
    let ids: Vec<_> = left.as_array().unwrap().iter().map(|p| &p["id"]).collect();
    assert_eq!(ids, ["srt", "more"]);
    let metrics = s.get("/metrics").await.body;
    assert!(metrics.contains("weir_push_up{stream=\"n\",push=\"more\"} 0"));
    assert!(!metrics.contains("push=\"cdn\"") && !metrics.contains("geheim"));

    for (body, code, field) in [
        (
            json!({"url": "rtmp://h/app"}),
            "push_url_invalid",
            "push[0].url",
        ),
        (
            json!({"url": "ftp://h/app/x"}),
            "push_scheme_unsupported",
            "push[0].url",
        ),
        (
            json!({"url": "rtmp://h/app", "key": "a b"}),
            "key_invalid",
            "push[0].key",
        ),
        (
            json!({"url": "rtmp://h/a/b", "rendition": "720p"}),
            "rendition_unknown",
            "push[0].rendition",
        ),
        (
            json!({"url": "rtmp://h/a/b", "nope": 1}),
            "unknown_field",
            "push[0].nope",
        ),
        (
            json!({"url": "srt://h:1?***"}),
            "secret_missing",
            "push[0].url",
        ),
    ] {
        let refused = s.api("PUT", "/streams/n/push/srt", &body).await;
        let problem = refused.json();
        assert_eq!(
            (&problem["code"], &problem["field"]),
            (&json!(code), &json!(field)),
            "{body}"
        );
    }
    s.stop().await;
}

#[tokio::test]
async fn a_template_says_where_its_streams_are_pushed() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let push = json!({"id": "cdn", "url": "rtmp://127.0.0.1:1/app", "key": "geheim"});
    let template = json!({"name": "t", "push": [push]});
    assert_eq!(s.api("POST", "/templates", &template).await.status, 201);
    let own = json!({"id": "own", "url": "rtmp://127.0.0.1:1/app/own"});
    let less = json!({"id": "cdn", "enabled": false});
    create(
        &s,
        json!({"name": "n", "template": "t", "push": [less, own]}),
    )
    .await;
    let shown = s.api("GET", "/streams/n", &Value::Null).await.json();
    let states = &shown["runtime"]["push"];
    assert_eq!(
        (&states[0]["id"], &states[0]["state"]),
        (&json!("cdn"), &json!("disabled"))
    );
    assert_eq!(
        (&states[1]["id"], &states[1]["state"]),
        (&json!("own"), &json!("idle"))
    );
    create(&s, json!({"name": "m", "template": "t"})).await;
    let gone = s.api("DELETE", "/streams/m/push/cdn", &Value::Null).await;
    assert_eq!((gone.status, gone.code().as_str()), (409, "push_inherited"));
    s.stop().await;
}

/// Another server of ours, with a stream that is pushed to.
async fn other(dir: &TempDir, more: &[(&str, &str)]) -> Running {
    let other = Running::with(config(dir, more)).await;
    let input = json!({"id": "main", "url": "publish://", "key": "geheim-2"});
    other
        .api("POST", "/streams", &json!({"name": "b", "inputs": [input]}))
        .await;
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_end_that_is_killed_and_returns_is_pushed_to_again() {
    let (_dir, s, file) = start().await;
    let there = tempfile::tempdir().unwrap();
    let far = other(&there, &[]).await;
    let address = far.rtmp.to_string();
    let push_to =
        json!([{"id": "cdn", "url": format!("rtmp://{address}/live"), "key": "b?key=geheim-2"}]);
    create(&s, stream(&push_to)).await;
    pushed(&s, 0, is("idle")).await;
    let _encoder = push(&s, &file, "k1");
    let first = pushed(&s, 0, is("pushing")).await;
    assert_eq!(
        (&first["attempt"], &first["connections"]),
        (&json!(1), &json!(1))
    );
    far.until("/b/index.m3u8", |a| a.status == 200).await;
    assert_eq!(
        watch(&format!("http://{}/b/index.m3u8", far.http), 3)
            .await
            .unwrap(),
        ""
    );
    let tracks = runtime(&far, "b").await["tracks"].clone();
    assert_eq!(
        (&tracks[0]["codec"], &tracks[1]["codec"]),
        (&json!("h264"), &json!("aac"))
    );

    far.stop().await;
    let failed = pushed(&s, 0, |p| {
        p["state"] == "backing_off" && p["failures"].as_u64() > Some(1)
    })
    .await;
    let error = failed["errors"][0]["message"].as_str().unwrap();
    assert!(
        error.contains("refused") && failed["retry_in_ms"].is_u64(),
        "{failed:#}"
    );
    let far = other(&there, &[("WEIR_RTMP__LISTEN", &address)]).await;
    let again = pushed(&s, 0, is("pushing")).await;
    assert_eq!(again["connections"], 2);
    far.until("/b/index.m3u8", |a| a.status == 200).await;
    let started = told(&s, "push.started", 2).await;
    assert_eq!(
        started[0]["data"],
        json!({"push": "cdn", "protocol": "rtmp", "attempt": 1})
    );
    let all = history(&s, "stream=n").await;
    let kinds: Vec<_> = all.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert!(
        kinds.contains(&"push.stopped") && kinds.contains(&"push.failed"),
        "{kinds:?}"
    );
    assert!(!json!(all).to_string().contains("geheim"));
    let metrics = s.get("/metrics").await.body;
    assert!(metrics.contains("weir_push_connections_total{stream=\"n\",push=\"cdn\"} 2"));
    assert!(!metrics.contains("geheim") && !metrics.contains(&address));
    far.stop().await;
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_a_refusal_until_it_is_mended() {
    let (_dir, s, file) = start().await;
    let there = tempfile::tempdir().unwrap();
    let far = other(&there, &[]).await;
    let url = format!("rtmp://{}/live", far.rtmp);
    create(
        &s,
        stream(&json!([{"id": "cdn", "url": url, "key": "b?key=falsch"}])),
    )
    .await;
    let _encoder = push(&s, &file, "k1");
    let refused = pushed(&s, 0, is("refused")).await;
    let error = refused["errors"][0]["message"].as_str().unwrap();
    assert!(
        error.ends_with("NetStream.Publish.Unauthorized: wrong or missing key"),
        "{error}"
    );
    assert!(refused["retry_in_ms"].as_u64() > Some(1_000), "{refused:#}");
    assert_eq!(told(&s, "push.refused", 1).await[0]["data"]["push"], "cdn");
    patch(&s, "/streams/n/push/cdn", json!({"key": "b?key=geheim-2"})).await;
    let mended = pushed(&s, 0, is("pushing")).await;
    assert_eq!(
        (&mended["attempt"], &mended["failures"]),
        (&json!(1), &json!(1))
    );

    // What listens here is never called.
    let own = format!("rtmp://{}/live/n?key=k1", s.rtmp);
    s.api("PUT", "/streams/n/push/self", &json!({"url": own}))
        .await;
    let refused = pushed(&s, 1, is("refused")).await;
    let error = refused["errors"][0]["message"].as_str().unwrap();
    assert!(
        error.contains("not an address that may be connected to"),
        "{error}"
    );
    far.stop().await;
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_its_own_is_refused_or_taken_as_is_said() {
    let (_dir, s, file) = start().await;
    let there = tempfile::tempdir().unwrap();
    let [cert, key] = crate::secure::certificate(there.path());
    let far = other(
        &there,
        &[
            ("WEIR_TLS__CERTIFICATE", &cert),
            ("WEIR_TLS__KEY", &key),
            ("WEIR_RTMP__TLS_LISTEN", "127.0.0.1:0"),
            ("WEIR_HTTP__TLS_LISTEN", "127.0.0.1:0"),
        ],
    )
    .await;
    let url = format!("rtmps://{}/live/b?key=geheim-2", far.rtmps.unwrap());
    create(&s, stream(&json!([{"id": "cdn", "url": url}]))).await;
    let _encoder = push(&s, &file, "k1");
    let refused = pushed(&s, 0, is("refused")).await;
    let error = refused["errors"][0]["message"].as_str().unwrap();
    assert!(error.contains("TLS"), "{error}");
    patch(&s, "/streams/n/push/cdn", json!({"tls_verify": false})).await;
    pushed(&s, 0, is("pushing")).await;
    assert_eq!(
        told(&s, "push.started", 1).await[0]["data"]["protocol"],
        "rtmps"
    );
    far.until("/b/index.m3u8", |a| a.status == 200).await;
    far.stop().await;
    s.stop().await;
}

/// Enhanced RTMP, to who says that it takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hevc_is_pushed_too() {
    let (_dir, s, _) = start().await;
    let there = tempfile::tempdir().unwrap();
    let far = other(&there, &[]).await;
    let url = format!("rtmp://{}/live/b?key=geheim-2", far.rtmp);
    create(&s, stream(&json!([{"id": "cdn", "url": url}]))).await;
    let _encoder = current_ffmpeg(&format!(
        "-v error -re -f lavfi -i testsrc2=s=160x90:r=25 -f lavfi -i sine=r=48000 -c:v libx265 -preset ultrafast \
         -x265-params keyint=25:log-level=none -c:a aac -f flv rtmp://{}/live/n?key=k1",
        s.rtmp
    ));
    far.until("/b/index.m3u8", |a| a.status == 200).await;
    let tracks = runtime(&far, "b").await["tracks"].clone();
    assert_eq!(
        (&tracks[0]["codec"], &tracks[1]["codec"]),
        (&json!("h265"), &json!("aac"))
    );
    assert_eq!(pushed(&s, 0, is("pushing")).await["left_out"], json!([]));
    assert_eq!(
        watch(&format!("http://{}/b/index.m3u8", far.http), 3)
            .await
            .unwrap(),
        ""
    );
    far.stop().await;
    s.stop().await;
}

fn current_ffmpeg(args: &str) -> Child {
    Command::new(in_repository(".tools/ffmpeg"))
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect(".tools/ffmpeg; run `make setup`")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_are_switched_and_configurations_changed_over_one_connection() {
    let (_dir, s, file) = start().await;
    let far = Far::start(true).await;
    let inputs = json!([
        {"id": "main", "url": "publish://", "key": "k1"},
        {"id": "backup", "url": "publish://", "key": "k2", "priority": 1},
    ]);
    let pushes = json!([{"id": "cdn", "url": far.url(), "key": "geheim"}]);
    create(&s, json!({"name": "n", "inputs": inputs, "push": pushes})).await;
    let mut main = push(&s, &file, "k1");
    fed_by(&s, "n", "main").await;
    let mut backup = push(&s, &file, "k2");
    crate::failover::backup_is_ready(&s, "n").await;
    pushed(&s, 0, is("pushing")).await;
    let frames = |taken: &[Taken]| taken.first().map_or(0, |t| t.frames.len());
    far.until(|taken| frames(taken) > 100).await;
    for _ in 0..2 {
        main.kill().await.unwrap();
        fed_by(&s, "n", "backup").await;
        let before = frames(&far.taken());
        far.until(|taken| frames(taken) > before + 100).await;
        main = push(&s, &file, "k1");
        let back = json!({"input": "main"});
        while s.api("POST", "/streams/n/switch", &back).await.status != 204 {
            crate::server::pause().await;
        }
        fed_by(&s, "n", "main").await;
    }
    // What is not of this push does not touch it.
    patch(
        &s,
        "/streams/n",
        json!({"labels": {"a": "b"}, "hls": {"window_s": 30}}),
    )
    .await;
    let more = json!({"url": "rtmp://127.0.0.1:1/app/more"});
    assert_eq!(
        s.api("PUT", "/streams/n/push/more", &more).await.status,
        201
    );
    patch(&s, "/streams/n/push/more", json!({"enabled": false})).await;
    let before = frames(&far.taken());
    far.until(|taken| frames(taken) > before + 50).await;
    // On hold the connection stays, and goes on when media is back.
    main.kill().await.unwrap();
    backup.kill().await.unwrap();
    told(&s, "hold.started", 1).await;
    assert_eq!(pushed(&s, 0, is("pushing")).await["connections"], 1);
    let before = frames(&far.taken());
    let held = Duration::from_secs(60);
    backup = push(&s, &file, "k2");
    let taken = far.until(|taken| frames(taken) > before + 100).await;
    assert_eq!((taken.len(), taken[0].stream.as_str()), (1, "geheim"));
    hold_together(&taken[0], held);
    let now = pushed(&s, 0, is("pushing")).await;
    assert_eq!(
        (&now["connections"], &now["failures"]),
        (&json!(1), &json!(0))
    );
    // Who is pushed to is told when it is over.
    assert_eq!(
        s.api("DELETE", "/streams/n/push/cdn", &Value::Null)
            .await
            .status,
        204
    );
    assert!(far.until(|taken| taken[0].ended).await.len() == 1);
    backup.kill().await.unwrap();
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rendition_of_a_ladder_is_pushed() {
    let (_dir, s, file) = start().await;
    let far = Far::start(true).await;
    let rung = |name: &str, height: u32| json!({"name": name, "height": height, "bitrate_kbps": 200, "preset": "ultrafast", "tune": "zerolatency"});
    let pushes = json!([
        {"id": "low", "url": far.url(), "key": "low", "rendition": "64p"},
        {"id": "best", "url": far.url(), "key": "best"},
    ]);
    let mut stream = stream(&pushes);
    stream["transcode"] = json!({"video": [rung("90p", 90), rung("64p", 64)]});
    create(&s, stream).await;
    let _encoder = push(&s, &file, "k1");
    let both = |taken: &[Taken]| taken.len() == 2 && taken.iter().all(|t| t.frames.len() > 50);
    for taken in far.until(both).await {
        let video = taken.tracks.iter().find_map(|t| t.config.video()).unwrap();
        let height = if taken.stream == "low" { 64 } else { 90 };
        assert_eq!(video.height, height, "{}", taken.stream);
        assert_eq!(taken.tracks.len(), 2);
    }
    let gone = json!({"transcode": {"video": [rung("90p", 90)]}});
    let refused = s.api("PATCH", "/streams/n", &gone).await;
    assert_eq!(refused.code(), "rendition_unknown");
    s.stop().await;
}

/// Resident memory of this process, which is the server's.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let rss = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap();
    rss.split_whitespace().next().unwrap().parse().unwrap()
}

/// So many KiB more, beside what a push has sent.
fn is_little(grown: u64, sent: &Value) {
    let megabytes = sent["bytes"].as_u64().unwrap() >> 20;
    assert!(
        grown < (megabytes << 10) * 3,
        "{grown} KiB of {megabytes} MiB"
    );
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// About 20 Mb/s, so that sockets are full at once.
fn busy(s: &Running) -> Child {
    current_ffmpeg(&format!(
        "-v error -re -f lavfi -i testsrc2=s=320x180:r=25,noise=alls=100:allf=t -f lavfi -i sine=r=48000 -c:v libx264 \
         -preset ultrafast -tune zerolatency -qp 10 -g 25 -c:a aac -f flv rtmp://{}/live/n?key=k1",
        s.rtmp
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_ends_that_do_not_read_hold_no_memory_and_disturb_nobody() {
    let (_dir, s, _) = start().await;
    let (deaf, good) = (Far::start(false).await, Far::start(true).await);
    let mut pushes = vec![json!({"id": "good", "url": good.url(), "key": "x"})];
    for n in 0..12 {
        pushes.push(json!({"id": format!("deaf{n}"), "url": deaf.url(), "key": "x"}));
    }
    let mut stream = stream(&json!(pushes));
    stream["hls"] = json!({"window_s": 8, "segment_ms": 2000});
    create(&s, stream).await;
    let _encoder = busy(&s);
    pushed(&s, 12, is("pushing")).await;
    let viewer = watch(&format!("rtmp://{}/live/n", s.rtmp), 10);
    let before = resident_kib();
    let late = |push: &Value| {
        let told = push["errors"][0]["message"].as_str().unwrap_or_default();
        told.ends_with("timed out while sending")
    };
    for n in 1..=12 {
        pushed(&s, n, late).await;
    }
    let grown = resident_kib().saturating_sub(before);
    let sent = pushed(&s, 0, is("pushing")).await;
    // Twelve queues of all that was sent would be as much twelve times.
    is_little(grown, &sent);
    assert_eq!(
        (&sent["connections"], &sent["skips"]),
        (&json!(1), &json!(0))
    );
    let taken = good.taken().remove(0);
    hold_together(&taken, Duration::from_millis(150));
    assert_eq!(viewer.await.unwrap(), "");
    s.stop().await;
}

/// Encrypted, to another server of ours that is stopped and returns, and that refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_srt_too() {
    let (_dir, s, file) = start().await;
    let there = tempfile::tempdir().unwrap();
    let far = other(&there, &[]).await;
    let secret = json!({"srt": {"publish_passphrase": "geheimgeheim"}});
    assert_eq!(far.api("PATCH", "/streams/b", &secret).await.status, 200);
    let address = far.srt.unwrap().to_string();
    let url = format!("srt://{address}?passphrase=geheimgeheim&pbkeylen=32&latency=200");
    let pushes = json!([{"id": "cdn", "url": url, "key": "publish:b:geheim-2"}]);
    create(&s, stream(&pushes)).await;
    let _encoder = push(&s, &file, "k1");
    pushed(&s, 0, is("pushing")).await;
    far.until("/b/index.m3u8", |a| a.status == 200).await;
    let played = watch(&format!("http://{}/b/index.m3u8", far.http), 3).await;
    assert_eq!(played.unwrap(), "");
    let tracks = runtime(&far, "b").await["tracks"].clone();
    assert_eq!(tracks[0]["codec"], "h264");
    assert_eq!(tracks[1]["codec"], "aac");
    let now = pushed(&s, 0, |p| p["bytes"].as_u64() > Some(50_000)).await;
    assert_eq!(now["left_out"], json!([]));
    assert_eq!(
        told(&s, "push.started", 1).await[0]["data"]["protocol"],
        "srt"
    );

    far.stop().await;
    pushed(&s, 0, |p| {
        p["state"] == "backing_off" && p["failures"].as_u64() > Some(1)
    })
    .await;
    let far = other(&there, &[("WEIR_SRT__LISTEN", &address)]).await;
    assert_eq!(pushed(&s, 0, is("pushing")).await["connections"], 2);
    far.until("/b/index.m3u8", |a| a.status == 200).await;

    patch(
        &s,
        "/streams/n/push/cdn",
        json!({"key": "publish:b:falsch"}),
    )
    .await;
    let refused = pushed(&s, 0, is("refused")).await;
    let all = json!([refused, history(&s, "stream=n").await]);
    assert!(!all.to_string().contains("geheim") && !all.to_string().contains("falsch"));
    far.stop().await;
    s.stop().await;
}

/// libsrt listens, and is not read from where `output` is a pipe.
fn libsrt(output: Stdio) -> (Child, String) {
    let url = format!("srt://{}", free());
    let listener = Command::new("srt-live-transmit")
        .args(["-q", &format!("{url}?mode=listener"), "file://con"])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("srt-live-transmit is there: make setup");
    (listener, url)
}

async fn signal(to: &Child, name: &str) {
    let pid = to.id().unwrap().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().await;
    assert!(sent.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_srt_to_who_does_not_read() {
    let (_dir, s, _) = start().await;
    let (_good, good) = libsrt(Stdio::null());
    let (_full, full) = libsrt(Stdio::piped());
    let (frozen, at) = libsrt(Stdio::null());
    let pushes = json!([{"id": "good", "url": good}, {"id": "full", "url": full}, {"id": "frozen", "url": at}]);
    create(&s, stream(&pushes)).await;
    let _encoder = busy(&s);
    for n in 0..3 {
        pushed(&s, n, is("pushing")).await;
    }
    let viewer = watch(&format!("rtmp://{}/live/n", s.rtmp), 10);
    let before = resident_kib();
    signal(&frozen, "-STOP").await;
    let silent = |push: &Value| push["failures"] == 1;
    let gone = pushed(&s, 2, silent).await;
    let why = gone["errors"][0]["message"].as_str().unwrap();
    assert!(why.contains("timed out while waiting"), "{why}");
    let grown = resident_kib().saturating_sub(before);
    let sent = pushed(&s, 0, is("pushing")).await;
    // What it does not read in time is given up, on either side.
    pushed(&s, 1, |p| {
        p["state"] == "pushing" && p["counters"]["srt_dropped_packets"] != 0
    })
    .await;
    is_little(grown, &sent);
    assert_eq!(
        [&sent["connections"], &sent["failures"], &sent["skips"]],
        [1, 0, 0]
    );
    signal(&frozen, "-CONT").await;
    pushed(&s, 2, is("pushing")).await;
    assert_eq!(viewer.await.unwrap(), "");
    s.stop().await;
}

/// libsrt takes it, and has all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_srt_to_ffmpeg() {
    let (dir, s, file) = start().await;
    let taken = dir.path().join("taken.ts");
    let address = free();
    let mut far = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(format!(
            "srt://{address}?mode=listener&passphrase=geheimgeheim"
        ))
        .args(["-t", "4", "-c", "copy", "-y"])
        .arg(&taken)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = format!("srt://{address}?passphrase=geheimgeheim");
    create(&s, stream(&json!([{"id": "cdn", "url": url}]))).await;
    let _encoder = push(&s, &file, "k1");
    pushed(&s, 0, is("pushing")).await;
    let ended = tokio::time::timeout(PATIENCE, far.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    // It has hung up, and is called again.
    pushed(&s, 0, |p| p["failures"].as_u64() > Some(0)).await;
    let decode = format!("-v error -xerror -i {} -f null -", taken.display());
    assert_eq!(crate::failover::ffmpeg(&decode).await, "");
    let length = std::fs::metadata(&taken).unwrap().len();
    assert!(length > 50_000, "{length} bytes");
    s.stop().await;
}
