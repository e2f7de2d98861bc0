//! Live playlists that ffmpeg writes while they are pulled.

use std::time::Duration;

use http_media::pull::hls::Pull;
use media::Span;
use tokio::time::Instant;

use super::site::Site;
use super::{anywhere, pull_hls, pull_hls_until};

const LIVE: &str = "-re -f lavfi -i testsrc2=s=160x90:r=25 -re -f lavfi -i sine=f=440:r=48000 \
    -c:v libx264 -preset ultrafast -tune zerolatency -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac \
    -f hls -hls_time 1 -hls_list_size 5 -hls_flags delete_segments+program_date_time";

async fn live(kind: &str) {
    let site = Site::start().await;
    let args = format!("{LIVE} {kind} i.m3u8");
    let began = Instant::now();
    let _encoder = site.ffmpeg_until(&args, "i.m3u8").await;
    let pull = Pull::new(anywhere(&site.url("i.m3u8")));
    let seen = pull_hls_until(pull, [100, 180]).await;
    assert!(seen.end.is_ok(), "{:?}", seen.end);
    let (video, audio) = (seen.of(0).len(), seen.of(1).len());
    println!(
        "{kind:?}: {video} pictures, {audio} sounds; first after {:?}; longest gap {:.3} s and {:.3} s; delay {:?}",
        seen.first,
        seen.longest_gap(0),
        seen.longest_gap(1),
        seen.delays
    );
    assert!(video >= 100 && audio >= 180, "{video} {audio}");
    // Each picture once: 25 a second without a hole. That they come at their pace is held where the
    // test owns the time, in `pull::play` and `media::pace`.
    assert_eq!(seen.longest_step(0), 40);
    assert!(seen.longest_step(1) <= 22, "{}", seen.longest_step(1));
    // Dated while the encoder ran.
    let wall = seen.wall.unwrap();
    let late = super::clock() - wall.utc;
    let most = Span::from(began.elapsed());
    assert!(late >= Span::ZERO && late <= most, "{wall:?}");
}

#[tokio::test]
async fn transport_streams() {
    live("").await;
}

#[tokio::test]
async fn fragmented_mp4() {
    live("-hls_segment_type fmp4").await;
}

/// The encoder is killed and begins again at number 0 on another clock.
#[tokio::test]
async fn an_encoder_that_begins_anew() {
    let site = Site::start().await;
    let args = format!("{LIVE} i.m3u8");
    let mut encoder = site.ffmpeg_until(&args, "i6.ts").await;
    let pulling = pull_hls(
        Pull::new(anywhere(&site.url("i.m3u8"))),
        Duration::from_secs(16),
    );
    let restarting = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        encoder.kill().await.unwrap();
        std::fs::remove_file(site.path("i.m3u8")).unwrap();
        site.ffmpeg_until(
            &format!("{LIVE} -hls_segment_filename n%d.ts i.m3u8"),
            "i.m3u8",
        )
        .await
    };
    let (seen, _encoder) = tokio::join!(pulling, restarting);
    assert!(seen.end.is_ok(), "{:?}", seen.end);
    let counter = seen
        .figures
        .counters
        .iter()
        .find(|(n, _)| *n == "discontinuities");
    assert_eq!(counter, Some(&("discontinuities", 1)));
    assert!(seen.longest_step(0) <= 80, "{} ms", seen.longest_step(0));
    let last = seen.frames.last().unwrap().0;
    assert!(last > 8.0, "went on after the restart: {last}");
}
