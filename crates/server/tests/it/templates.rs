//! Templates: streams have what their template has, at once when it changes.

use serde_json::{Value, json};
use testkit::actors::Encoder;

use crate::events::told;
use crate::server::Running;

fn sports() -> Value {
    json!({
        "name": "sports", "labels": {"tenant": "a"}, "hls": {"window_s": 30},
        "inputs": [{"id": "main", "url": "publish://", "key": "k1"}],
    })
}

async fn made(s: &Running, path: &str, body: &Value) -> Value {
    let made = s.api("POST", path, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()
}

async fn read(s: &Running, path: &str) -> Value {
    s.api("GET", path, &Value::Null).await.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_all_who_have_it_and_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    made(&s, "/templates", &sports()).await;
    made(&s, "/streams", &json!({"name": "a", "template": "sports"})).await;
    made(
        &s,
        "/streams",
        &json!({"name": "b", "template": "sports", "hls": {"window_s": 20}}),
    )
    .await;
    let url = format!("rtmp://{}/live/a?key=k1", s.rtmp);
    let _encoder = Encoder::push(&url, "160x90", 10).unwrap();
    s.until("/a/index.m3u8", |a| a.status == 200).await;

    let patch = json!({"hls": {"window_s": 40}, "failover": {"hold_s": 600}});
    let patched = s.api("PATCH", "/templates/sports", &patch).await;
    assert_eq!(patched.json()["runtime"]["streams"], 2, "{}", patched.body);
    let (a, b) = (read(&s, "/streams/a").await, read(&s, "/streams/b").await);
    assert_eq!(
        (&a["effective"]["hls"]["window_s"], &a["hls"]),
        (&json!(40), &Value::Null)
    );
    assert_eq!(b["effective"]["hls"]["window_s"], 20, "its own");
    assert_eq!(b["effective"]["failover"]["hold_s"], 600);
    let told = told(&s, "stream.updated", 2).await;
    assert_eq!(told[1]["data"]["changed"], json!(["failover"]));
    assert_eq!(a["runtime"]["inputs"][0]["sessions"], 1);
    assert!(a["version"] == 1 && a["runtime"]["publisher"].is_string());
    s.stop().await;

    // What holds is the same in the next process.
    let s = Running::start(&dir).await;
    let again = read(&s, "/streams/a?reveal=true").await;
    assert_eq!(again["effective"]["inputs"][0]["key"], "k1");
    assert_eq!(again["effective"]["hls"]["window_s"], 40);
    s.stop().await;
}

#[tokio::test]
async fn what_would_break_a_stream_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    made(&s, "/templates", &sports()).await;
    let own = json!([{"id": "main", "priority": 3}]);
    made(
        &s,
        "/streams",
        &json!({"name": "a", "template": "sports", "inputs": own}),
    )
    .await;
    let before = read(&s, "/templates/sports?reveal=true").await;
    for (method, path, body, status, code, field) in [
        (
            "PATCH",
            "/templates/sports",
            json!({"inputs": null}),
            422,
            "invalid_field",
            "streams.a.inputs[0]",
        ),
        (
            "PATCH",
            "/templates/sports",
            json!({"hls": {"part_ms": 9}}),
            422,
            "out_of_range",
            "hls.part_ms",
        ),
        (
            "DELETE",
            "/templates/sports",
            Value::Null,
            409,
            "template_in_use",
            "",
        ),
        ("POST", "/templates", sports(), 409, "template_exists", ""),
        (
            "POST",
            "/streams",
            json!({"name": "b", "template": "nope"}),
            422,
            "template_unknown",
            "template",
        ),
        (
            "DELETE",
            "/streams/a/inputs/nope",
            Value::Null,
            404,
            "input_not_found",
            "",
        ),
    ] {
        let answer = s.api(method, path, &body).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["code"]),
            (status, &json!(code)),
            "{problem}"
        );
        assert_eq!(problem["field"].as_str().unwrap_or_default(), field);
    }
    assert_eq!(read(&s, "/templates/sports?reveal=true").await, before);
    s.api("DELETE", "/streams/a", &Value::Null).await;
    assert_eq!(
        s.api("DELETE", "/templates/sports", &Value::Null)
            .await
            .status,
        204
    );
    s.stop().await;
}

#[tokio::test]
async fn an_inherited_input_is_overridden_and_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    made(&s, "/templates", &sports()).await;
    made(&s, "/streams", &json!({"name": "a", "template": "sports"})).await;
    let path = "/streams/a/inputs/main";
    assert_eq!(
        read(&s, path).await["key"],
        json!({"set": true}),
        "the template's"
    );
    let removed = s.api("DELETE", path, &Value::Null).await;
    assert_eq!(
        (removed.status, removed.code().as_str()),
        (409, "input_inherited")
    );
    s.api("PATCH", path, &json!({"priority": 5})).await;
    let stream = read(&s, "/streams/a?reveal=true").await;
    assert_eq!(stream["inputs"], json!([{"id": "main", "priority": 5}]));
    assert_eq!(stream["effective"]["inputs"][0]["key"], "k1");
    s.api("PATCH", path, &json!({"enabled": false})).await;
    let refused = Encoder::push(&format!("rtmp://{}/live/a?key=k1", s.rtmp), "160x90", 10);
    let told = told(&s, "publish.refused", 1).await;
    assert_eq!(told[0]["data"]["reason"], "unauthorised");
    drop(refused);
    assert_eq!(
        s.api("DELETE", path, &Value::Null).await.status,
        204,
        "what it says itself"
    );
    assert_eq!(read(&s, "/streams/a").await["inputs"], json!([]));
    s.stop().await;
}
