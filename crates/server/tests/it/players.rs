//! Real players in a real browser: they play, and come back by themselves.

use std::time::Duration;

use serde_json::json;
use testkit::actors::{Encoder, PlayerReport, Players};

use crate::server::Running;

const PATIENCE: Duration = Duration::from_secs(60);
/// Small enough that six players keep up on a machine that is busy.
const SIZE: &str = "160x90";
const FPS: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_player_comes_back_when_the_encoder_does() {
    let kinds = ["page", "hls-ll", "hls", "shaka-ll", "shaka", "native"];
    come_back(&kinds, "cmaf").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_player_comes_back_to_mpeg_ts() {
    // Chromium's own HLS plays it (below), but not over a hole in time where pictures and sound are
    // in one segment: docs/protocols.md.
    for report in come_back(&["page", "hls", "shaka"], "ts").await {
        assert_eq!(report.refused.count, 0, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_itself_plays_mpeg_ts() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let stream = json!({"name": "n", "inputs": [input], "hls": {"container": "ts"}});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
    let _encoder = Encoder::push(&format!("rtmp://{}/live/n", s.rtmp), SIZE, FPS).unwrap();
    s.until("/n/v0.a1.ts.m3u8", |a| {
        a.body.matches("#EXTINF").count() > 2
    })
    .await;
    let origin = format!("http://{}", s.http);
    let mut players = Players::open(&origin, "n", &["native"]).await.unwrap();
    players.playing(80, PATIENCE).await.unwrap();
    let report = &players.report().await.unwrap()[0];
    assert!(
        report.dead.is_none() && report.refused.count == 0,
        "{report:?}"
    );
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_player_of_dash_comes_back_too_and_is_refused_nothing() {
    let kinds = [
        "page-dash",
        "dash-ll",
        "dash",
        "shaka-dash-ll",
        "shaka-dash",
    ];
    for report in come_back(&kinds, "cmaf").await {
        assert_eq!(report.refused.count, 0, "{report:?}");
    }
}

/// `docs/time-and-numbering.md`, absence: no reload, no dead player, whatever the player.
async fn come_back(kinds: &[&str], container: &str) -> Vec<PlayerReport> {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let stream = json!({"name": "n", "inputs": [input], "hls": {"container": container}});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
    let url = format!("rtmp://{}/live/n", s.rtmp);
    let encoder = Encoder::push(&url, SIZE, FPS).unwrap();
    s.until("/n/v0.m3u8", |a| a.body.contains("PRELOAD-HINT"))
        .await;
    let mut players = Players::open(&format!("http://{}", s.http), "n", kinds)
        .await
        .unwrap();
    players.playing(30, PATIENCE).await.unwrap();

    encoder.kill().await.unwrap();
    s.until("/n/v0.m3u8", |a| !a.body.contains("PRELOAD-HINT"))
        .await;
    // Until those with the most media in hand have shown the last of it.
    let dry = |r: &PlayerReport| r.silent.is_some_and(|s| s > 1.5);
    players.until(PATIENCE, dry).await.unwrap();
    players.mark("back").await.unwrap();
    let _encoder = Encoder::push(&url, SIZE, FPS).unwrap();
    let moving = |r: &PlayerReport| r.back_after("back", 30).is_some();
    players.until(PATIENCE, moving).await.unwrap();
    let reports = players.report().await.unwrap();
    s.stop().await;
    reports
}
