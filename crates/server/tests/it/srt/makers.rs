//! Encoders that bring a stream's name.

use serde_json::{Value, json};

use super::{clip, code, current, decodes, refused, send, told_of};
use crate::events::{history, told};
use crate::server::{Running, config};

const IN: &str = "passphrase=geheim-hinein";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_comes_and_goes_with_an_encoder_of_srt() {
    let (dir, file) = clip().await;
    let s = Running::with(config(&dir, &[("WEIR_SRT__IDLE_TIMEOUT_S", "2")])).await;
    let template = json!({
        "name": "cup",
        "inputs": [{"id": "main", "url": "publish://", "key": "k1"}],
        "srt": {"publish_passphrase": "geheim-hinein"},
        "auto_publish": {"prefixes": ["cup"], "idle_timeout_s": 5, "max_per_address": 1},
    });
    assert_eq!(s.api("POST", "/templates", &template).await.status, 201);
    let call = |name: &str, more: &str| format!("streamid={name}&{more}");
    for (query, told) in [
        (call("publish:cup/a:k2", IN), 1401),
        (call("publish:cup/a:k1", "passphrase=geheim-anders"), 10),
        (call("publish:cup/a:k1", ""), 11),
        (call("publish:cups/a:k1", IN), 1404),
        (call("read:cup/a", ""), 1404),
    ] {
        assert_eq!(code(&s, &query).await, Some(told), "{query}");
    }
    let path = "/streams/cup%2Fa";
    assert_eq!(s.api("GET", path, &Value::Null).await.status, 404);
    // They are told of without a name: there is no such stream.
    told(&s, "publish.refused", 4).await;
    assert!(history(&s, "stream=cup/a").await.is_empty());
    let mut encoder = send(&current(), &s, &file, &format!("publish:cup/a:k1&{IN}"));
    s.until("/cup/a/index.m3u8", |a| a.status == 200).await;
    let made = s.api("GET", path, &Value::Null).await.json();
    let from = (&made["source"], &made["template"]);
    assert_eq!(from, (&json!("runtime"), &json!("cup")));
    decodes(&current(), &s, "read:cup/a", 1).await;
    let another = call("publish:cup/b:k1", IN);
    assert_eq!(code(&s, &another).await, Some(1402), "one of an address");
    refused(&s, "overload", 1).await;
    encoder.kill().await.unwrap();
    let expired = json!({"template": "cup"});
    told_of(&s, "cup/a", "stream.runtime_expired", expired).await;
    assert_eq!(code(&s, &call("read:cup/a", "")).await, Some(1404));
    s.stop().await;
}
