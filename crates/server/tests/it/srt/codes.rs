//! Each refusal has a code.

use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::Request;
use http::StatusCode;
use serde_json::{Value, json};
use testkit::actors::ffmpeg_started;

use super::{
    OLD, PATIENCE, call, clip, code, counts, ends, libsrt_hears, refused, send, stream, told_of,
};
use crate::events::told;
use crate::server::{Running, config};
use crate::site::Site;

type Asked = Arc<Mutex<Vec<Value>>>;

/// Lets friends in, leads some elsewhere, and nobody else.
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
            let brings = |pair| query.split('&').any(|p| p == pair);
            if brings("user=friend") {
                (StatusCode::NO_CONTENT, String::new())
            } else if brings("user=moved") {
                (StatusCode::OK, json!({"redirect": "busy"}).to_string())
            } else {
                let why = json!({"reason": "pay first"});
                (StatusCode::FORBIDDEN, why.to_string())
            }
        }
    })
    .await;
    (site, asked)
}

async fn start(dir: &tempfile::TempDir, decider: &Site) -> Running {
    let own = [
        ("WEIR_EGRESS__HOOKS", "127.0.0.1"),
        ("WEIR_SRT__MAX_PER_ADDRESS", "4"),
    ];
    let s = Running::with(config(dir, &own)).await;
    let callback = json!({"url": format!("http://{}/", decider.address)});
    let asked = json!({"on_publish": callback, "on_play": callback});
    stream(&s, "busy", json!("k1"), json!({})).await;
    stream(&s, "asked", json!("k1"), asked).await;
    stream(&s, "off", json!("k1"), json!({"enabled": false})).await;
    stream(&s, "odd", Value::Null, json!({})).await;
    s
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_is_told_why() {
    let (dir, file) = clip().await;
    let (site, asked) = decider().await;
    let s = start(&dir, &site).await;
    let mut encoder = send(OLD, &s, &file, "publish:busy:k1");
    // Sound in a codec that MPEG-TS has no place for, and no pictures.
    let flac = format!(
        "-v error -re -f lavfi -i sine=r=48000 -c:a flac -f flv rtmp://{}/live/odd",
        s.rtmp
    );
    let _odd = ffmpeg_started(&flac).unwrap();
    s.until("/busy/index.m3u8", |a| a.status == 200).await;
    s.until("/odd/index.m3u8", |a| a.status == 200).await;
    for (query, told) in [
        ("", Some(1400)),
        ("streamid=publish:", Some(1400)),
        ("streamid=%23!::r=busy,m=bidirectional,s=k1", Some(1400)),
        ("streamid=%23!::m=publish,s=k1", Some(1400)),
        ("streamid=publish:busy:k2", Some(1401)),
        ("streamid=publish:busy", Some(1401)),
        ("streamid=%23!::r=busy,m=publish,s=k2", Some(1401)),
        ("streamid=publish:asked?user=friend", Some(1401)),
        ("streamid=publish:asked?key=k1%26user=foe", Some(1403)),
        ("streamid=publish:asked:k1", Some(1403)),
        ("streamid=read:asked?user=foe", Some(1403)),
        ("streamid=read:asked", Some(1403)),
        ("streamid=publish:nope:k1", Some(1404)),
        ("streamid=publish:busy?key=k1%26input=nope", Some(1404)),
        ("streamid=nope", Some(1404)),
        ("streamid=read:busy@720p", Some(1404)),
        ("streamid=publish:busy:k1", Some(1409)),
        ("streamid=publish:asked?key=k1%26user=moved", Some(1409)),
        ("streamid=read:odd", Some(1501)),
        ("streamid=publish:off:k1", Some(1503)),
        ("streamid=read:off", Some(1503)),
        ("streamid=publish:asked?key=k1%26user=friend", None),
        ("streamid=%23!::r=asked,m=request,user=friend", None),
        ("streamid=read:asked?user=moved", None),
        ("streamid=/busy", None),
    ] {
        assert_eq!(code(&s, query).await, told, "{query}");
    }
    for (reason, count) in [
        ("bad_request", 4),
        ("unauthorised", 4),
        ("denied", 4),
        ("not_found", 4),
        ("busy", 2),
        ("unsupported", 1),
        ("disabled", 2),
    ] {
        refused(&s, reason, count).await;
    }
    for (stream, kind, reason, detail) in [
        ("busy", "publish.refused", "unauthorised", Value::Null),
        ("busy", "publish.refused", "busy", Value::Null),
        ("asked", "publish.refused", "denied", json!("pay first")),
        ("asked", "play.refused", "denied", json!("pay first")),
        ("odd", "play.refused", "unsupported", Value::Null),
        ("off", "publish.refused", "disabled", Value::Null),
        ("off", "play.refused", "disabled", Value::Null),
    ] {
        let data = json!({"reason": reason, "protocol": "srt", "detail": detail});
        told_of(&s, stream, kind, data).await;
    }
    for name in ["asked", "busy"] {
        let left = json!({"protocol": "srt", "reason": "left"});
        told_of(&s, name, "session.closed", left).await;
    }
    callbacks_know_who_asks(&asked.lock().unwrap());

    // A program of others sees the same.
    let own = "Application-defined rejection reason";
    libsrt_hears(&s, "read:asked", own).await;
    libsrt_hears(&s, "read:nope", own).await;
    // What we do not speak is refused before anybody is asked.
    let filter = "read:asked&packetfilter=fec,cols:10,rows:5";
    libsrt_hears(&s, filter, "Packet Filter").await;
    let line = "weir_srt_turned_away_total{reason=\"filter\"} ";
    s.until("/metrics", |a| a.body.contains(line)).await;
    let mut second = send(OLD, &s, &file, "publish:busy:k1");
    assert!(!ends("a second publisher", &mut second).await.success());
    no_room_for_a_fifth(&s).await;
    assert!(encoder.try_wait().unwrap().is_none(), "nobody disturbed it");
    s.stop().await;
}

/// What is asked: a caller without the key never is, and what it brought is there.
fn callbacks_know_who_asks(asked: &[Value]) {
    let of = |action: &str| -> Vec<&str> {
        let of = asked.iter().filter(|q| q["action"] == action);
        of.map(|q| q["query"].as_str().unwrap()).collect()
    };
    let publish = [
        "key=k1&user=foe",
        "key=k1",
        "key=k1&user=moved",
        "key=k1&user=friend",
    ];
    assert_eq!(of("publish"), publish);
    let play = [
        "user=foe",
        "",
        "r=asked&m=request&user=friend",
        "user=moved",
    ];
    assert_eq!(of("play"), play);
    for question in asked {
        let from = (
            &question["protocol"],
            &question["address"],
            &question["stream"],
        );
        let (srt, here) = (json!("srt"), json!("127.0.0.1"));
        assert_eq!(from, (&srt, &here, &json!("asked")), "{question}");
    }
}

/// One encoder is there, and three players come.
async fn no_room_for_a_fifth(s: &Running) {
    counts(s, "busy", "weir_srt_players", 0).await;
    s.until("/metrics", |a| a.body.contains("weir_srt_sessions 1\n"))
        .await;
    let mut players = Vec::new();
    for _ in 0..3 {
        players.push(call(s, "streamid=read:busy").await.unwrap());
    }
    assert_eq!(code(s, "streamid=read:busy").await, Some(1402));
    assert_eq!(code(s, "streamid=publish:asked").await, Some(1402));
    refused(s, "overload", 2).await;
    let limit = told(s, "viewers.limit_reached", 1).await;
    assert_eq!(limit[0]["data"]["limit"], "srt_connections");
    players.pop().unwrap().close().await;
    let again = async { while code(s, "streamid=read:busy").await.is_some() {} };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_nothing_is_let_go_with_a_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::with(config(&dir, &[("WEIR_SRT__READ_TIMEOUT_S", "1")])).await;
    stream(&s, "n", Value::Null, json!({})).await;
    let mut session = call(&s, "streamid=publish:n").await.unwrap();
    let mut heard = Vec::new();
    let goodbye = tokio::time::timeout(PATIENCE, session.next(&mut heard)).await;
    assert!(!goodbye.unwrap().unwrap() && heard.is_empty());
    let silent = json!({"reason": "timed out while waiting for media"});
    told_of(&s, "n", "publish.stopped", silent).await;
    s.stop().await;
}
