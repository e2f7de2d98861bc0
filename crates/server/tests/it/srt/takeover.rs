//! One input, two encoders, two protocols.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{OLD, PATIENCE, clip, code, ends, play, send, stream, told_of};
use crate::failover::{fed_by, push, runtime, watch};
use crate::server::{Running, config};

fn now_ms() -> i64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

async fn refused_over_rtmp(s: &Running, reason: &str) {
    let line = format!("weir_rtmp_refused_total{{reason=\"{reason}\"}}");
    s.until("/metrics", |a| a.body.contains(&line)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoder_takes_over_from_one_that_vanished() {
    let (dir, file) = clip().await;
    let s = Running::with(config(&dir, &[("WEIR_SRT__IDLE_TIMEOUT_S", "4")])).await;
    stream(&s, "n", json!("k1"), json!({})).await;
    let mut over_srt = send(OLD, &s, &file, "publish:n:k1");
    fed_by(&s, "n", "main").await;
    s.until("/n/index.m3u8", |a| a.status == 200).await;
    let viewers = [
        watch(&format!("http://{}/n/index.m3u8", s.http), 7),
        watch(&super::address(&s, "read:n"), 7),
    ];
    let mut player = play(OLD, &s, "read:n");
    let mut second = push(&s, &file, "k1");
    assert!(!ends("RTMP beside SRT", &mut second).await.success());
    refused_over_rtmp(&s, "busy").await;

    // It says nothing when it is killed.
    over_srt.start_kill().unwrap();
    let killed = now_ms();
    let mut over_rtmp = loop {
        let mut encoder = push(&s, &file, "k1");
        let data = json!({"protocol": "rtmp", "input": "main"});
        let came = async {
            tokio::select! {
                _ = encoder.wait() => None,
                told = told_of(&s, "n", "publish.started", data) => Some(told),
            }
        };
        if let Some(told) = came.await {
            let after = told["time_ms"].as_i64().unwrap() - killed;
            // A second after what it sent last, which was held for the latency.
            assert!((900..6000).contains(&after), "after {after} ms");
            break encoder;
        }
    };
    let over = json!({"protocol": "srt", "reason": "kicked"});
    told_of(&s, "n", "publish.stopped", over).await;
    assert_eq!(code(&s, "streamid=publish:n:k1").await, Some(1409));
    // What is watched goes on, in one piece.
    for viewer in viewers {
        assert_eq!(viewer.await.unwrap(), "");
    }
    assert!(player.try_wait().unwrap().is_none());

    // One of RTMP that is killed is missed at once.
    over_rtmp.kill().await.unwrap();
    told_of(&s, "n", "publish.stopped", json!({"protocol": "rtmp"})).await;
    let mut last = send(OLD, &s, &file, "publish:n:k1");
    let on_air = async { while runtime(&s, "n").await["publisher"] == Value::Null {} };
    tokio::time::timeout(PATIENCE, on_air).await.unwrap();
    // One of SRT for whom nobody comes is missed later, and so is a player.
    last.start_kill().unwrap();
    player.start_kill().unwrap();
    let silent = json!({"reason": "timed out while waiting for the peer"});
    let missed = told_of(&s, "n", "publish.stopped", silent.clone()).await;
    told_of(&s, "n", "session.closed", silent).await;
    let lived = Duration::from_millis(missed["data"]["duration_ms"].as_u64().unwrap());
    assert!(lived >= Duration::from_secs(3), "{missed}");
    assert_eq!(runtime(&s, "n").await["publisher"], Value::Null);
    s.stop().await;
}
