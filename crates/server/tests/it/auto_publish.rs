//! An encoder brings a name: a stream is made of a template, goes with it, or is kept.

use serde_json::{Value, json};
use testkit::actors::Encoder;

use crate::events::told;
use crate::server::Running;

async fn template(s: &Running, auto_publish: Value) {
    let inputs = json!([{"id": "main", "url": "publish://", "key": "k1"}]);
    let body = json!({"name": "cup", "inputs": inputs, "auto_publish": auto_publish});
    let made = s.api("POST", "/templates", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

fn push(s: &Running, name: &str, key: &str) -> Encoder {
    let url = format!("rtmp://{}/live/{name}?key={key}", s.rtmp);
    Encoder::push(&url, "160x90", 10).unwrap()
}

async fn read(s: &Running, path: &str) -> Value {
    s.api("GET", path, &Value::Null).await.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_comes_with_its_encoder_and_goes_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    template(&s, json!({"prefixes": ["cup"], "idle_timeout_s": 5})).await;
    let _wrong = push(&s, "cup/wrong", "k2");
    told(&s, "publish.refused", 1).await;
    let encoder = push(&s, "cup/final", "k1");
    s.until("/cup/final/index.m3u8", |a| a.status == 200).await;
    let stream = read(&s, "/streams/cup%2Ffinal").await;
    assert_eq!(
        (&stream["source"], &stream["template"]),
        (&json!("runtime"), &json!("cup"))
    );
    let names = |list: &Value| -> Vec<Value> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|i| i["name"].clone()).collect()
    };
    assert_eq!(
        names(&read(&s, "/streams?prefix=cup").await),
        [json!("cup/final")]
    );
    let fixed = s
        .api("PATCH", "/streams/cup%2Ffinal", &json!({"labels": {}}))
        .await;
    assert_eq!(
        (fixed.status, fixed.code().as_str()),
        (409, "stream_is_runtime")
    );
    let used = s.api("DELETE", "/templates/cup", &Value::Null).await;
    assert_eq!(used.code(), "template_in_use");
    // It follows its template, like others.
    s.api("PATCH", "/templates/cup", &json!({"hls": {"window_s": 12}}))
        .await;
    let stream = read(&s, "/streams/cup%2Ffinal").await;
    assert_eq!(stream["effective"]["hls"]["window_s"], 12);
    assert_eq!(stream["runtime"]["inputs"][0]["sessions"], 1);
    drop(encoder);
    told(&s, "stream.runtime_expired", 1).await;
    assert_eq!(
        s.api("GET", "/streams/cup%2Ffinal", &Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(s.get("/cup/final/index.m3u8").await.status, 404);
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_promoted_stays() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    template(
        &s,
        json!({"prefixes": ["cup"], "idle_timeout_s": 5, "max_per_address": 1}),
    )
    .await;
    let _encoder = push(&s, "cup/a", "k1");
    s.until("/cup/a/index.m3u8", |a| a.status == 200).await;
    let _other = push(&s, "cup/b", "k1");
    let refused = told(&s, "publish.refused", 1).await;
    assert_eq!(refused[0]["data"]["reason"], "overload");
    let promoted = s
        .api("POST", "/streams/cup%2Fa/promote", &Value::Null)
        .await;
    assert_eq!(
        (promoted.status, &promoted.json()["source"]),
        (201, &json!("config"))
    );
    let again = s
        .api("POST", "/streams/cup%2Fa/promote", &Value::Null)
        .await;
    assert_eq!(again.code(), "stream_is_kept");
    let stream = read(&s, "/streams/cup%2Fa").await;
    assert_eq!(
        stream["runtime"]["inputs"][0]["sessions"], 1,
        "nobody noticed"
    );
    // There is room for one more now.
    let _third = push(&s, "cup/c", "k1");
    s.until("/cup/c/index.m3u8", |a| a.status == 200).await;
    s.stop().await;
    let s = Running::start(&dir).await;
    assert_eq!(read(&s, "/streams/cup%2Fa").await["template"], "cup");
    assert_eq!(
        s.api("GET", "/streams/cup%2Fc", &Value::Null).await.status,
        404
    );
    s.stop().await;
}
