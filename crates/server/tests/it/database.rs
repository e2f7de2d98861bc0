//! PostgreSQL: all is kept there, and media does not wait for it.

use std::time::Duration;

use serde_json::{Value, json};
use server::app::Server;
use server::systemd::Inherited;
use testkit::actors::{Encoder, Postgres};

use crate::events::{history, told};
use crate::server::{Running, config};

async fn stream(s: &Running, name: &str) {
    let input = json!({"id": "main", "url": "publish://", "key": null});
    let stream = json!({"name": name, "inputs": [input]});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
}

fn encoder(s: &Running, name: &str) -> Encoder {
    Encoder::push(&format!("rtmp://{}/live/{name}", s.rtmp), "160x90", 10).unwrap()
}

/// A metric of one stream.
async fn metric(s: &Running, name: &str, stream: &str) -> u64 {
    let metrics = s.get("/metrics").await.body;
    let line = format!("{name}{{stream=\"{stream}\"}} ");
    let value = metrics.lines().find_map(|l| l.strip_prefix(&line));
    value.map_or(0, |v| v.parse().unwrap())
}

/// Waits until so many more parts are out.
async fn more_parts(s: &Running, stream: &str, more: u64) {
    let parts = "weir_packager_parts_total";
    let wanted = metric(s, parts, stream).await + more;
    let released = async { while metric(s, parts, stream).await < wanted {} };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, released).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_stops_no_media() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let dir = tempfile::tempdir().unwrap();
    let s = Running::with(config(&dir, &[("WEIR_DATABASE__URL", &url)])).await;
    stream(&s, "before").await;
    stream(&s, "during").await;
    let reader = json!({"name": "r", "role": "read"});
    let reader = s.api("POST", "/tokens", &reader).await.json();
    let reader = reader["token"].as_str().unwrap();
    let _before = encoder(&s, "before");
    more_parts(&s, "before", 20).await;

    postgres.freeze().unwrap();
    let write = s.api("POST", "/streams", &json!({"name": "new"})).await;
    assert_eq!(
        (write.status, write.code().as_str()),
        (503, "database_unavailable")
    );
    assert_eq!(write.header("content-type"), "application/problem+json");
    let degraded = s
        .until("/readyz", |a| a.body == "degraded: database\n")
        .await;
    assert_eq!(degraded.status, 200);
    assert!(
        s.get("/metrics")
            .await
            .body
            .contains("weir_database_degraded 1")
    );
    // One that comes now learns its grid and numbers its segments without SQL.
    let _during = encoder(&s, "during");
    more_parts(&s, "during", 50).await;
    more_parts(&s, "before", 50).await;
    let tokens = s.api_as(reader, "GET", "/tokens", &Value::Null).await;
    assert_eq!(tokens.status, 200, "tokens are known without SQL");

    postgres.thaw().unwrap();
    s.until("/readyz", |a| a.body == "ready\n").await;
    let write = s.api("POST", "/streams", &json!({"name": "new"})).await;
    assert_eq!(write.status, 201);
    let written = "SELECT count(*) FROM numbering_rows JOIN numbering_state USING (stream)
        WHERE stream IN ('before', 'during') AND highest > n0";
    while postgres.sql(name, written).unwrap().trim() != "2" {}
    // What happened meanwhile is told, in order and without a hole.
    told(&s, "database.recovered", 1).await;
    let during = history(&s, "stream=during").await;
    let kinds: Vec<_> = during.iter().map(|e| e["type"].as_str().unwrap()).collect();
    for kind in ["publish.started", "input.up", "numbering.changed"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let all = history(&s, "").await;
    let ids = all.iter().map(|e| e["id"].as_i64().unwrap());
    assert!(ids.eq(1..=all.len() as i64));
    assert!(all.iter().any(|e| e["type"] == "database.degraded"));
    for stream in ["before", "during"] {
        for lost in ["dropped_frames", "holds", "defects", "forced_cuts"] {
            let metric = metric(&s, &format!("weir_packager_{lost}_total"), stream).await;
            assert_eq!(metric, 0, "{stream}: {lost}");
        }
    }
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_tokens_outlive_the_server_and_its_directory() {
    let url = Postgres::shared().unwrap().database().unwrap();
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let database = [("WEIR_DATABASE__URL", url.as_str())];
    let s = Running::with(config(&one, &database)).await;
    stream(&s, "a/news").await;
    let token = json!({"name": "r", "role": "read"});
    let token = s.api("POST", "/tokens", &token).await.json();
    s.stop().await;
    assert!(!one.path().join("weir.db").exists());

    let s = Running::with(config(&other, &database)).await;
    let token = token["token"].as_str().unwrap();
    let read = s
        .api_as(token, "GET", "/streams/a%2Fnews", &Value::Null)
        .await;
    assert_eq!(
        (read.status, &read.json()["runtime"]["status"]),
        (200, &json!("waiting"))
    );
    // No name has one, whatever the database thinks of it.
    for path in ["/streams/a%00b", "/streams?prefix=%00"] {
        let odd = s.api("GET", path, &Value::Null).await.status;
        assert!(matches!(odd, 200 | 404), "{path}: {odd}");
    }
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_had_is_told_at_start() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let start = async |url: &str| {
        let config = config(&dir, &[("WEIR_DATABASE__URL", url)]);
        let refused = Server::bind(config, Inherited::default())
            .await
            .err()
            .unwrap();
        format!("{refused:#}")
    };
    let wrong = start(&url.replace("s3cret", "wr0ng")).await;
    assert!(
        wrong.contains("authentication failed") && !wrong.contains("wr0ng"),
        "{wrong}"
    );
    postgres.freeze().unwrap();
    assert_eq!(start(&url).await, "database: the database does not answer");
    drop(postgres);
    let gone = start(&url).await;
    assert!(
        gone.starts_with("database: ") && !gone.contains("s3cret"),
        "{gone}"
    );
}
