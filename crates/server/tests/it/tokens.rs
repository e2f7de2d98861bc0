//! Tokens: what each may do, from when on, and until when.

use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Running, TOKEN};

async fn make(s: &Running, name: &str, role: &str) -> Value {
    let body = json!({"name": name, "role": role});
    let made = s.api("POST", "/tokens", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[tokio::test]
async fn a_token_works_until_it_is_revoked_and_is_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let made = make(&s, "deploy", "admin").await;
    let (id, token) = (text(&made, "id"), text(&made, "token"));
    assert_eq!(made["last_used_ms"], Value::Null);
    let stream = json!({"name": "n"});
    let created = s.api_as(token, "POST", "/streams", &stream).await;
    assert_eq!(created.status, 201);

    let list = s.api("GET", "/tokens", &Value::Null).await;
    let item = &list.json()["items"][0];
    assert_eq!(
        (text(item, "id"), text(item, "name"), text(item, "role")),
        (id, "deploy", "admin")
    );
    assert!(item["last_used_ms"].as_i64() >= item["created_ms"].as_i64());
    assert!(!list.body.contains(token) && !s.get("/metrics").await.body.contains(token));

    let path = format!("/tokens/{id}");
    let status = async |token: &str| s.api_as(token, "DELETE", &path, &Value::Null).await.status;
    assert_eq!(status(token).await, 204, "one may revoke oneself");
    assert_eq!(status(token).await, 401);
    let gone = s.api("DELETE", &path, &Value::Null).await;
    assert_eq!(
        (gone.status, gone.code().as_str()),
        (404, "token_not_found")
    );
    s.stop().await;
    let kept = std::fs::read(dir.path().join("weir.db")).unwrap();
    let holds = |secret: &str| kept.windows(secret.len()).any(|w| w == secret.as_bytes());
    assert!(!holds(token) && !holds(TOKEN));
}

#[tokio::test]
async fn readers_read_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let input = json!({"id": "main", "url": "publish://", "key": "geheim-1"});
    let stream = json!({"name": "n", "inputs": [input]});
    s.api("POST", "/streams", &stream).await;
    let reader = make(&s, "grafana", "read").await;
    let token = text(&reader, "token");
    for path in [
        "/streams",
        "/streams/n",
        "/streams/n/inputs/main",
        "/tokens",
    ] {
        let answer = s.api_as(token, "GET", path, &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("geheim-1"));
    }
    let one = format!("/tokens/{}", text(&reader, "id"));
    for (method, path, code) in [
        ("GET", "/streams/n?reveal=true", "reveal_forbidden"),
        (
            "GET",
            "/streams/n/inputs/main?reveal=true",
            "reveal_forbidden",
        ),
        ("POST", "/streams", "read_only"),
        ("PATCH", "/streams/n", "read_only"),
        ("POST", "/streams/n/restart", "read_only"),
        ("POST", "/tokens", "read_only"),
        ("DELETE", one.as_str(), "read_only"),
    ] {
        let answer = s.api_as(token, method, path, &json!({"name": "x"})).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, code),
            "{path}"
        );
    }
    s.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_makes_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    for (body, code, field) in [
        (json!({"name": "", "role": "read"}), "out_of_range", "name"),
        (
            json!({"name": "a\nb", "role": "read"}),
            "out_of_range",
            "name",
        ),
        (
            json!({"name": "a", "role": "root"}),
            "invalid_field",
            "role",
        ),
        (
            json!({"name": "a", "role": "read", "x": 1}),
            "unknown_field",
            "x",
        ),
    ] {
        let refused = s.api("POST", "/tokens", &body).await;
        assert_eq!((refused.status, refused.code().as_str()), (422, code));
        assert_eq!(refused.json()["field"], field);
    }
    let list = s.api("GET", "/tokens", &Value::Null).await.json();
    assert_eq!(list, json!({"items": [], "next": null}));
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_makes_tokens_for_a_server_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let create = |name: &str, role: &str| {
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["token", "create", "--name", name, "--role", role])
            .env("WEIR_DATA__DIR", dir.path())
            .output()
            .unwrap()
    };
    let made = create("ops", "read");
    assert!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let taken_over = async {
        while s
            .api_as(&token, "GET", "/streams", &Value::Null)
            .await
            .status
            != 200
        {
            crate::server::pause().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, taken_over).await.unwrap();
    assert!(!create("ops", "root").status.success());
    assert!(!create("", "read").status.success());
    s.stop().await;

    // What a token was used for last is there after a restart.
    let s = Running::start(&dir).await;
    let list = s.api("GET", "/tokens", &Value::Null).await.json();
    assert!(list["items"][0]["last_used_ms"].is_i64(), "{list}");
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    s.stop().await;
}
