//! Callbacks: the operator's server is asked before an encoder or a player is let in.

use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::Request;
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::actors::{Encoder, Postgres};
use tokio::process::Command;

use crate::events::told;
use crate::server::{Running, config};
use crate::site::Site;

type Asked = Arc<Mutex<Vec<Value>>>;

/// Answers by the `user` in the query; never, where there is none.
async fn decider() -> (Site, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let site = Site::serve(move |request: Request| {
        let seen = Arc::clone(&seen);
        async move {
            let body = to_bytes(request.into_body(), 1 << 16).await.unwrap();
            let question: Value = serde_json::from_slice(&body).unwrap();
            let query = question["query"].as_str().unwrap().to_owned();
            seen.lock().unwrap().push(question);
            let user = query.split('&').find_map(|pair| pair.strip_prefix("user="));
            match user {
                Some("friend") => (StatusCode::NO_CONTENT, String::new()),
                Some("moved") => (StatusCode::OK, json!({"redirect": "other"}).to_string()),
                Some(_) => (
                    StatusCode::FORBIDDEN,
                    json!({"reason": "pay first"}).to_string(),
                ),
                None => std::future::pending().await,
            }
        }
    })
    .await;
    (site, asked)
}

async fn start(dir: &TempDir) -> Running {
    Running::with(config(dir, &[("WEIR_EGRESS__HOOKS", "127.0.0.1")])).await
}

async fn stream(s: &Running, name: &str, more: Value) {
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let mut body = json!({"name": name, "inputs": [input]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let made = s.api("POST", "/streams", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// What ffmpeg says when it is turned away.
async fn turned_away(s: &Running, name: &str) -> String {
    let url = format!("rtmp://{}/live/{name}", s.rtmp);
    let args = format!("-v warning -re -f lavfi -i sine=r=48000:d=20 -c:a aac -f flv {url}");
    let ffmpeg = Command::new("ffmpeg")
        .args(args.split_whitespace())
        .output();
    let ended = ffmpeg.await.unwrap();
    assert!(!ended.status.success());
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

fn push(s: &Running, name: &str) -> Encoder {
    Encoder::push(&format!("rtmp://{}/live/{name}", s.rtmp), "160x90", 10).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_is_let_in_led_elsewhere_or_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    encoders_are_asked_about(start(&dir).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_is_asked_about_on_postgresql_too() {
    let url = Postgres::shared().unwrap().database().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let own = [
        ("WEIR_EGRESS__HOOKS", "127.0.0.1"),
        ("WEIR_DATABASE__URL", url.as_str()),
    ];
    encoders_are_asked_about(Running::with(config(&dir, &own)).await).await;
}

async fn encoders_are_asked_about(s: Running) {
    let (site, asked) = decider().await;
    let url = format!("http://{}/", site.address);
    let callback = json!({"url": url, "secret": "s", "timeout_ms": 300});
    stream(&s, "n", json!({"on_publish": callback})).await;
    stream(&s, "other", json!({})).await;
    stream(
        &s,
        "lenient",
        json!({"on_publish": {"url": url, "timeout_ms": 300, "on_failure": "allow"}}),
    )
    .await;

    let said = turned_away(&s, "n?user=nobody").await;
    assert!(said.contains("pay first"), "{said}");
    let said = turned_away(&s, "n").await;
    assert!(said.contains("nobody can say"), "{said}");
    let refused = told(&s, "publish.refused", 1).await;
    assert_eq!(
        (&refused[0]["data"]["reason"], &refused[0]["data"]["detail"]),
        (&json!("denied"), &json!("pay first"))
    );

    let _moved = push(&s, "n?user=moved");
    s.until("/other/index.m3u8", |a| a.status == 200).await;
    let _friend = push(&s, "n?user=friend");
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let _unheard = push(&s, "lenient");
    s.until("/lenient/index.m3u8", |a| a.status == 200).await;
    let question = asked.lock().unwrap()[0].clone();
    assert_eq!(
        (&question["action"], &question["stream"]),
        (&json!("publish"), &json!("n"))
    );
    assert_eq!(
        (&question["protocol"], &question["address"]),
        (&json!("rtmp"), &json!("127.0.0.1"))
    );
    s.stop().await;
}

async fn status_of(s: &Running, path: &str, agent: &str) -> u16 {
    let headers = format!("User-Agent: {agent}\r\n");
    s.send("GET", path, &headers, "").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_shows_its_token_once() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir).await;
    let (site, asked) = decider().await;
    let url = format!("http://{}/", site.address);
    stream(&s, "n", json!({"on_play": {"url": url, "timeout_ms": 300}})).await;
    stream(&s, "other", json!({})).await;
    let _encoders = ["n", "other"].map(|name| push(&s, name));
    s.until("/n/index.m3u8?user=friend", |a| a.status == 200)
        .await;
    let index = "/n/index.m3u8?user=friend";
    assert_eq!(status_of(&s, index, "vlc").await, 200);
    for path in ["/n/v0.m3u8", "/n/v0.m3u8?_HLS_msn=1&_HLS_part=0"] {
        assert!(
            matches!(status_of(&s, path, "vlc").await, 200 | 400),
            "{path}"
        );
        assert_eq!(status_of(&s, path, "mpv").await, 403, "{path}");
    }
    let refused = s
        .send("GET", "/n/index.m3u8?user=nobody", "User-Agent: x\r\n", "")
        .await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (403, "pay first\n")
    );
    let moved = s
        .send("GET", "/n/index.m3u8?user=moved", "User-Agent: y\r\n", "")
        .await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (302, "/other/index.m3u8?user=moved")
    );
    let friend = |q: &&Value| q["query"] == "user=friend";
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(friend).count(), 1, "{asked:?}");
    assert_eq!(asked[0]["action"], "play");
    s.stop().await;
}
