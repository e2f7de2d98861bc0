//! An HLS source whose encoder is gone, but whose playlist is still served: it is shown once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::failover::{create, fed_by, ffmpeg, runtime, start};
use crate::server::Running;
use crate::site::Site;

/// A list of one segment, until it has grown.
struct Origin {
    site: Site,
    grown: Arc<AtomicBool>,
}

impl Origin {
    async fn start(folder: PathBuf) -> Self {
        for n in 0..2 {
            ffmpeg(&format!(
                "-v error -f lavfi -i testsrc2=s=160x90:r=25 -f lavfi -i sine=r=48000 -t 1 -c:v libx264 \
                 -preset ultrafast -tune zerolatency -c:a aac {}/{n}.ts",
                folder.display()
            ))
            .await;
        }
        let grown = Arc::<AtomicBool>::default();
        let told = Arc::clone(&grown);
        let serve = move |request: Request| {
            let name = request.uri().path().trim_start_matches('/');
            let answer: Response = match name {
                "live.m3u8" => list(told.load(Relaxed)).into_response(),
                name => std::fs::read(folder.join(name)).unwrap().into_response(),
            };
            async { answer }
        };
        Self {
            site: Site::serve(serve).await,
            grown,
        }
    }
}

fn list(grown: bool) -> String {
    let more = if grown { "#EXTINF:1,\n1.ts\n" } else { "" };
    format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n0.ts\n{more}")
}

/// Waits until the first input has failed so often.
async fn failed(s: &Running, times: usize) -> Value {
    let asking = async {
        loop {
            let now = runtime(s, "n").await;
            if now["inputs"][0]["errors"].as_array().unwrap().len() >= times {
                return now;
            }
            crate::server::pause().await;
        }
    };
    let told = timeout(Duration::from_secs(30), asking).await;
    told.expect("it fails again and again")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_playlist_that_stands_still_is_shown_once() {
    let (dir, s) = start().await;
    let origin = Origin::start(dir.path().to_owned()).await;
    let url = format!("http://{}/live.m3u8", origin.site.address);
    let input = json!({"id": "main", "url": url, "silence_timeout_ms": 500});
    let slate = json!({"url": "file://slate.mp4"});
    create(&s, json!({"name": "n", "inputs": [input], "slate": slate})).await;
    fed_by(&s, "n", "main").await;
    let switched = fed_by(&s, "n", "slate").await["switches"].clone();

    let after = failed(&s, 2).await;
    assert_eq!(after["switches"], switched, "{after:#}");
    let error = &after["inputs"][0]["errors"][0]["message"];
    assert!(
        error.as_str().unwrap().contains("nothing new for"),
        "{error}"
    );

    origin.grown.store(true, Relaxed);
    fed_by(&s, "n", "main").await;
    s.stop().await;
}
