//! Parts, blocking reloads and hints of our own output.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use http_media::pull::hls::Pull;
use tokio::time::Instant;

use super::site::Site;
use super::{anywhere, pull_hls};
use crate::source::Live;

/// Joins at the whole segment before, of eight seconds: with the parts behind it that is more than
/// is held, and the edge is never reached.
#[tokio::test]
async fn parts_of_long_segments_without_independent_ones() {
    let site = Site::start().await;
    let args = "-f lavfi -i testsrc2=s=160x90:r=24:d=16 -c:v libx264 -preset ultrafast -g 12 \
        -keyint_min 12 -sc_threshold 0 -pix_fmt yuv420p -f hls -hls_time 0.5 -hls_list_size 0 i.m3u8";
    site.ffmpeg(args).await;
    let read = |n: usize| std::fs::read(site.path(&format!("i{n}.ts"))).unwrap();
    site.write("s.ts", (0..16).flat_map(read).collect::<Vec<u8>>());
    let mut text = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:8\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=NO,PART-HOLD-BACK=1.5\n\
        #EXT-X-PART-INF:PART-TARGET=0.5\n#EXTINF:8,\ns.ts\n"
        .to_owned();
    for n in 16..32 {
        text.push_str(&format!("#EXT-X-PART:DURATION=0.5,URI=\"i{n}.ts\"\n"));
    }
    site.write("live.m3u8", text);
    let pull = Pull::new(anywhere(&site.url("live.m3u8")));
    let seen = pull_hls(pull, Duration::from_secs(6)).await;
    assert!(seen.end.is_ok(), "{:?}", seen.end);
    // What there is when joining goes out at once, the rest at its pace.
    assert!(seen.of(0).len() > 192, "{}", seen.of(0).len());
    assert!(seen.longest_step(0) <= 42, "{}", seen.longest_step(0));
}

#[tokio::test]
async fn parts_are_followed() {
    let mut live = Live::new();
    live.play(150);
    let outputs = live.outputs.clone();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    let serve = move |request: Request| {
        let (outputs, log) = (outputs.clone(), Arc::clone(&log));
        async move {
            let (path, query) = (request.uri().path(), request.uri().query().unwrap_or(""));
            log.lock().unwrap().push(request.uri().to_string());
            let peer = std::net::Ipv4Addr::LOCALHOST.into();
            let answer = outputs
                .handle(
                    request.method(),
                    path.trim_start_matches('/'),
                    query,
                    request.headers(),
                    peer,
                )
                .await;
            answer.unwrap_or_default()
        }
    };
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let site = Site::serving(Router::new().fallback(serve), folder, Arc::clone(&asked)).await;
    let feeding = async {
        let began = Instant::now();
        for n in 1..=240_u32 {
            tokio::time::sleep_until(began + Duration::from_secs(1) * n / 30).await;
            live.play(1);
        }
    };
    let pulling = pull_hls(
        Pull::new(anywhere(&site.url("a/news/index.m3u8"))),
        Duration::from_secs(8),
    );
    let (seen, ()) = tokio::join!(pulling, feeding);
    println!(
        "{} pictures, first after {:?}, longest gap {:.3} s; {:?}",
        seen.of(0).len(),
        seen.first,
        seen.longest_gap(0),
        (&seen.figures.counters, &seen.figures.ignored)
    );
    assert!(seen.end.is_ok(), "{:?}", seen.end);
    assert!(seen.of(0).len() > 180, "{}", seen.of(0).len());
    assert!(seen.longest_step(0) <= 34, "{}", seen.longest_step(0));
    let asked = asked.lock().unwrap();
    assert!(asked.iter().any(|p| p.contains("_HLS_part=")), "{asked:?}");
    let (parts, all) = asked
        .iter()
        .filter(|p| p.contains(".m4s"))
        .fold((0, 0), |(parts, all), p| {
            (parts + usize::from(p.matches('.').count() == 2), all + 1)
        });
    assert!(parts * 10 >= all * 8, "{asked:?}");
}
