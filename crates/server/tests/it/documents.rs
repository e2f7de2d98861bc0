//! What is written down is what the code does.

use std::path::Path;

use serde_json::json;

use crate::server::Running;

fn docs(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_api_document_is_up_to_date() {
    let weir = env!("CARGO_BIN_EXE_weir");
    let output = std::process::Command::new(weir)
        .arg("openapi")
        .output()
        .unwrap();
    let now = String::from_utf8(output.stdout).unwrap();
    let written = docs("openapi.json");
    assert!(now == written, "run: weir openapi > docs/openapi.json");
}

#[test]
fn manual_pages_and_completions_know_the_commands() {
    let weir = env!("CARGO_BIN_EXE_weir");
    let dir = tempfile::tempdir().unwrap();
    let written = std::process::Command::new(weir)
        .arg("man")
        .arg(dir.path())
        .status();
    assert!(written.unwrap().success());
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("weir.1").contains("Exit status"));
    assert!(page("weir-serve.1").contains("\\-\\-config"));
    for shell in ["bash", "zsh", "fish"] {
        let output = std::process::Command::new(weir)
            .args(["completions", shell])
            .output();
        let script = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(script.contains("check-config"), "{shell}");
    }
}

#[tokio::test]
async fn every_metric_is_documented() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let push = json!([{"id": "cdn", "url": "rtmp://127.0.0.1:1/app/x"}]);
    s.api("POST", "/streams", &json!({"name": "n", "push": push}))
        .await;
    let text = docs("metrics.md");
    let metrics = s.get("/metrics").await.body;
    let kinds = metrics.lines().filter_map(|l| l.strip_prefix("# TYPE "));
    for (name, kind) in kinds.filter_map(|l| l.split_once(' ')) {
        let row = format!("| `{name}` | {kind} |");
        assert!(text.contains(&row), "not in docs/metrics.md: {row}");
    }
    s.stop().await;
}

#[test]
fn every_setting_is_in_the_operators_guide_or_the_sample() {
    let sample = include_str!("../../../../weir.toml");
    for key in [
        "listen",
        "max_connections",
        "max_per_address",
        "request_timeout_s",
        "trust_loopback",
        "drain_s",
        "worker",
    ] {
        assert!(sample.contains(key), "{key}");
    }
}
