//! The REST API is what its description says, for every role: schemathesis makes requests out of the
//! description, good ones and bad ones, and compares what comes back.

use std::path::Path;

use serde_json::{Value, json};
use testkit::actors::{Postgres, in_repository};

use crate::server::{Running, TOKEN, config};

/// Requests per operation that are made at random, beside those that always are.
const EXAMPLES: &str = "5";
/// Those who change nothing have no story to tell.
const READ: [&str; 2] = ["--phases", "fuzzing"];
/// What the coverage phase would find is the same on every database.
const SAME: [&str; 2] = ["--phases", "examples,fuzzing,stateful"];

async fn conforms(s: &Running, token: Option<&str>, more: &[&str]) {
    let examples = std::env::var("CONTRACT_EXAMPLES");
    let examples = examples.as_deref().unwrap_or(EXAMPLES);
    let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis.toml");
    let mut st = tokio::process::Command::new(in_repository(".tools/schemathesis/bin/st"));
    st.arg("--config-file").arg(config).arg("run");
    st.arg(format!("http://{}/api/v1/openapi.json", s.http));
    st.args(["--checks", "all", "--max-examples", examples, "--no-color"]);
    st.args(["--continue-on-failure", "--generation-database", "none"]);
    st.args(bearer.iter().flat_map(|bearer| ["-H", bearer]))
        .args(more);
    let dir = tempfile::tempdir().unwrap();
    let ended = st.current_dir(dir.path()).kill_on_drop(true).output().await;
    let ended = ended.expect(".tools/schemathesis cannot be run: `make setup`");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}");
    assert_eq!(s.get("/readyz").await.body, "ready\n");
}

async fn something_to_find(s: &Running) {
    let input = json!({"id": "main", "url": "publish://"});
    let push = json!({"id": "cdn", "url": "rtmp://127.0.0.1:1/app", "key": "geheim"});
    let news = json!({"name": "news", "inputs": [input], "push": [push]});
    assert_eq!(s.api("POST", "/streams", &news).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_an_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    something_to_find(&s).await;
    conforms(&s, Some(TOKEN), &[]).await;
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_those_who_may_read_and_for_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    something_to_find(&s).await;
    let reader = json!({"name": "r", "role": "read"});
    let reader = s.api("POST", "/tokens", &reader).await.json();
    conforms(&s, reader["token"].as_str(), &READ).await;
    conforms(&s, None, &READ).await;
    let streams = s.api("GET", "/streams", &Value::Null).await.json();
    assert_eq!(streams["items"].as_array().unwrap().len(), 1, "{streams}");
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    let url = Postgres::shared().unwrap().database().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let s = Running::with(config(&dir, &[("WEIR_DATABASE__URL", &url)])).await;
    something_to_find(&s).await;
    conforms(&s, Some(TOKEN), &SAME).await;
    s.stop().await;
}
