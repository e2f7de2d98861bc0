//! The REST contract: what is refused, what is kept, what is shown.

use serde_json::{Value, json};

use crate::server::{Running, TOKEN};

fn news() -> Value {
    json!({"name": "a/news", "labels": {"tenant": "t1"}, "inputs": [{"id": "main", "url": "publish://", "key": "geheim-1"}]})
}

#[tokio::test]
async fn a_stream_is_made_read_changed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let made = s.api("POST", "/streams", &news()).await;
    assert_eq!(
        (made.status, made.header("location")),
        (201, "/api/v1/streams/a%2Fnews")
    );
    assert!(
        made.json()["urls"]["play"]["hls"]
            .as_str()
            .unwrap()
            .ends_with("/a/news/index.m3u8")
    );
    let read = s.api("GET", "/streams/a%2Fnews", &Value::Null).await;
    assert_eq!(read.json()["effective"]["hls"]["part_ms"], 200);
    assert_eq!(read.json()["runtime"]["status"], "waiting");
    assert_eq!(read.json()["inputs"][0]["key"], json!({"set": true}));

    let same = s.api("PUT", "/streams/a%2Fnews", &read.json()).await;
    assert_eq!(
        (same.status, same.header("etag")),
        (200, read.header("etag")),
        "GET, PUT: a no-op"
    );

    let patch = json!({"hls": {"window_s": 30}, "labels": null});
    let patched = s.api("PATCH", "/streams/a%2Fnews", &patch).await.json();
    assert_eq!(
        (&patched["hls"]["window_s"], &patched["labels"]),
        (&json!(30), &Value::Null)
    );
    let revealed = s
        .api("GET", "/streams/a%2Fnews?reveal=true", &Value::Null)
        .await
        .json();
    assert_eq!(revealed["inputs"][0]["key"], "geheim-1");

    assert_eq!(
        s.api("POST", "/streams/a%2Fnews/restart", &Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        s.api("DELETE", "/streams/a%2Fnews", &Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        s.api("GET", "/streams/a%2Fnews", &Value::Null).await.code(),
        "stream_not_found"
    );
    s.stop().await;
}

#[tokio::test]
async fn a_refused_request_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    s.api("POST", "/streams", &news()).await;
    let before = s
        .api("GET", "/streams/a%2Fnews?reveal=true", &Value::Null)
        .await;
    let second = json!([{"id": "main", "url": "publish://"}, {"id": "main", "url": "publish://"}]);
    for (method, path, body, status, code) in [
        ("POST", "/streams", news(), 409, "stream_exists"),
        (
            "POST",
            "/streams",
            json!({"name": "live/x"}),
            422,
            "name_reserved",
        ),
        (
            "POST",
            "/streams",
            json!({"name": "x", "nope": 1}),
            422,
            "unknown_field",
        ),
        (
            "PATCH",
            "/streams/a%2Fnews",
            json!({"inputs": second}),
            422,
            "id_taken",
        ),
        (
            "PATCH",
            "/streams/a%2Fnews",
            json!({"hls": {"part_ms": 1}}),
            422,
            "out_of_range",
        ),
        (
            "PATCH",
            "/streams/a%2Fnews",
            json!({"name": "b"}),
            422,
            "name_fixed",
        ),
        (
            "PUT",
            "/streams/a%2Fnews/inputs/main",
            json!({"url": "srt://x"}),
            422,
            "url_invalid",
        ),
        (
            "GET",
            "/streams/a%2Fnews/inputs/nope",
            Value::Null,
            404,
            "input_not_found",
        ),
        ("GET", "/streams?limit=0", Value::Null, 400, "bad_query"),
    ] {
        let answer = s.api(method, path, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path} {body}"
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let after = s
        .api("GET", "/streams/a%2Fnews?reveal=true", &Value::Null)
        .await;
    assert_eq!(
        (before.header("etag"), before.json()),
        (after.header("etag"), after.json())
    );
    s.stop().await;
}

#[tokio::test]
async fn tags_guard_against_lost_updates() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let tag = s
        .api("POST", "/streams", &news())
        .await
        .header("etag")
        .to_owned();
    let patch = |tag: &str| {
        format!(
            "Authorization: Bearer {TOKEN}\r\nContent-Type: application/merge-patch+json\r\nIf-Match: {tag}\r\n"
        )
    };
    let path = "/api/v1/streams/a%2Fnews";
    let body = r#"{"labels": {"x": "1"}}"#;
    assert_eq!(s.send("PATCH", path, &patch(&tag), body).await.status, 200);
    let stale = s
        .send("PATCH", path, &patch(&tag), r#"{"labels": {"x": "2"}}"#)
        .await;
    assert_eq!((stale.status, stale.code().as_str()), (412, "stale"));
    assert_eq!(s.send("DELETE", path, &patch(&tag), "").await.status, 412);
    s.stop().await;
}

#[tokio::test]
async fn an_input_is_a_resource_too() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    s.api("POST", "/streams", &json!({"name": "n"})).await;
    let made = s
        .api(
            "PUT",
            "/streams/n/inputs/main",
            &json!({"url": "publish://"}),
        )
        .await;
    assert_eq!(
        (made.status, &made.json()["key"]),
        (201, &json!({"set": true}))
    );
    let open = s
        .api("PATCH", "/streams/n/inputs/main", &json!({"key": null}))
        .await;
    assert_eq!(open.json()["key"], Value::Null);
    assert_eq!(
        s.api("DELETE", "/streams/n/inputs/main", &Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        s.api("GET", "/streams/n", &Value::Null).await.json()["inputs"],
        json!([])
    );
    s.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    for i in 0..7 {
        let tenant = format!("t{}", i % 2);
        s.api(
            "POST",
            "/streams",
            &json!({"name": format!("s{i}"), "labels": {"tenant": tenant}}),
        )
        .await;
    }
    let names = |v: &Value| -> Vec<String> {
        let items = v["items"].as_array().unwrap();
        items
            .iter()
            .map(|i| i["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = s.api("GET", "/streams?limit=3", &Value::Null).await.json();
    assert_eq!(names(&first), ["s0", "s1", "s2"]);
    let cursor = first["next"].as_str().unwrap().to_owned();
    let rest = s
        .api(
            "GET",
            &format!("/streams?limit=5&cursor={cursor}"),
            &Value::Null,
        )
        .await
        .json();
    assert_eq!((names(&rest).len(), &rest["next"]), (4, &Value::Null));
    let mine = s
        .api("GET", "/streams?label=tenant=t1", &Value::Null)
        .await
        .json();
    assert_eq!(names(&mine), ["s1", "s3", "s5"]);
    assert_eq!(
        names(
            &s.api("GET", "/streams?status=live", &Value::Null)
                .await
                .json()
        )
        .len(),
        0
    );
    s.stop().await;
}

#[tokio::test]
async fn nobody_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    for headers in [
        "",
        "Authorization: Bearer wrong-wrong-wrong\r\n",
        "Authorization: Basic eDp5\r\n",
    ] {
        let answer = s.send("GET", "/api/v1/streams", headers, "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "unauthorised")
        );
    }
    s.stop().await;
}

#[tokio::test]
async fn streams_and_keys_outlive_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    s.api("POST", "/streams", &news()).await;
    s.stop().await;
    let s = Running::start(&dir).await;
    let read = s
        .api("GET", "/streams/a%2Fnews?reveal=true", &Value::Null)
        .await
        .json();
    assert_eq!(
        (&read["inputs"][0]["key"], &read["runtime"]["status"]),
        (&json!("geheim-1"), &json!("waiting"))
    );
    s.stop().await;
}

#[tokio::test]
async fn health_metrics_and_documents() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    s.api("POST", "/streams", &news()).await;
    assert_eq!(s.get("/healthz").await.body, "ok\n");
    assert_eq!(s.get("/readyz").await.body, "ready\n");
    assert_eq!(s.get("/api/v1/openapi.json").await.status, 200);
    assert_eq!(s.get("/api/docs/").await.status, 200);
    assert_eq!(s.get("/a/news").await.header("location"), "/a/news/");
    assert!(s.get("/a/news/").await.body.contains("<video"));
    let metrics = s.get("/metrics").await.body;
    for name in [
        "weir_streams 1",
        "weir_stream_live{stream=\"a/news\"} 0",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    assert!(!metrics.contains("geheim"));
    s.stop().await;
}
