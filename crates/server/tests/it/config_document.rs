//! The whole configuration as a document: out, in, and in git.

use serde_json::{Value, json};

use crate::server::{Answer, Running, TOKEN};

async fn fill(s: &Running) {
    let inputs = json!([
        {"id": "main", "url": "publish://"},
        {"id": "feed", "url": "http://u:geheim@host/x.ts?t=1", "headers": {"X": "geheim"}},
        {"id": "env", "url": "publish://", "key": {"env": "CARGO_PKG_NAME"}},
    ]);
    let template = json!({"name": "t", "inputs": inputs, "hls": {"window_s": 30}});
    assert_eq!(s.api("POST", "/templates", &template).await.status, 201);
    let own = json!([{"id": "own", "url": "publish://", "key": "geheim"}, {"id": "feed", "enabled": false}]);
    for stream in [
        json!({"name": "a", "template": "t"}),
        json!({"name": "b", "template": "t", "inputs": own, "hls": null}),
        json!({"name": "c/d", "labels": {"x": "ü"}}),
    ] {
        let made = s.api("POST", "/streams", &stream).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let hook =
        json!({"id": "h", "url": "https://example.org/", "secret": "geheim", "enabled": false});
    assert_eq!(s.api("POST", "/hooks", &hook).await.status, 201);
}

async fn export(s: &Running, reveal: bool) -> String {
    let path = format!("/config?reveal={reveal}");
    s.api("GET", &path, &Value::Null).await.body
}

async fn apply(s: &Running, query: &str, text: &str) -> Answer {
    let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
    s.send("PUT", &format!("/api/v1/config{query}"), &headers, text)
        .await
}

const NOTHING: &str = r#"{"version": 1}"#;

fn is_no_op(diff: &Value) -> bool {
    let kinds = ["templates", "streams", "hooks"];
    let empty = json!({"created": [], "changed": {}, "removed": []});
    kinds.iter().all(|kind| diff[kind] == empty)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_is_imported_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    fill(&s).await;
    let (open, plain) = (export(&s, true).await, export(&s, false).await);
    assert!(open.contains("geheim") && !plain.contains("geheim"));
    let same = apply(&s, "", &plain).await.json();
    assert!(is_no_op(&same), "{same}");

    let wiped = apply(&s, "", NOTHING).await.json();
    assert_eq!(wiped["streams"]["removed"], json!(["a", "b", "c/d"]));
    assert_eq!(
        s.api("GET", "/streams", &Value::Null).await.json()["items"],
        json!([])
    );
    let refused = apply(&s, "", &plain).await;
    let problem = refused.json();
    assert_eq!(
        (refused.status, &problem["code"]),
        (422, &json!("secret_missing"))
    );
    let missing: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["field"])
        .collect();
    let paths = [
        "templates[0].inputs[0].key",
        "templates[0].inputs[1].url",
        "templates[0].inputs[1].headers.X",
    ];
    assert_eq!(missing, paths.map(|p| json!(p)).each_ref());
    let line = problem["errors"][1]["line"].as_u64().unwrap() as usize;
    assert!(
        plain.lines().nth(line - 1).unwrap().contains("u:***@host"),
        "{line}"
    );

    let made = apply(&s, "", &open).await;
    assert_eq!(
        made.json()["streams"]["created"],
        json!(["a", "b", "c/d"]),
        "{}",
        made.body
    );
    assert_eq!(export(&s, true).await, open);
    s.stop().await;
    let s = Running::start(&dir).await;
    assert_eq!(export(&s, true).await, open, "in the next process, too");
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_document_changes_nothing_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    fill(&s).await;
    let before = export(&s, true).await;
    for (text, status, code, line) in [
        ("{\n\"version\": 1,\n\"streams\": [}", 400, "bad_json", 3),
        ("{\n\"version\": 2}", 422, "version_unknown", 2),
        ("{\"version\": 1,\n\"nope\": 1}", 422, "unknown_field", 2),
        (
            "{\"version\": 1,\n\"streams\": [\n{\"name\": \"x\"},\n{\"name\": \"y\",\n\"hls\": {\"part_ms\": 1}}]}",
            422,
            "out_of_range",
            5,
        ),
        (
            "{\"version\": 1,\n\"streams\": [{\"name\": \"x\"},\n{\"name\": \"x\"}]}",
            422,
            "name_taken",
            3,
        ),
        (
            "{\"version\": 1,\n\"streams\": [{\"name\": \"x\", \"template\": \"no\"}]}",
            422,
            "template_unknown",
            2,
        ),
        (
            "{\"version\": 1, \"hooks\": [\n{\"id\": \"x\", \"url\":\n \"ftp://x\"}]}",
            422,
            "url_invalid",
            3,
        ),
    ] {
        let answer = apply(&s, "", text).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["code"]),
            (status, &json!(code)),
            "{problem}"
        );
        assert_eq!(problem["line"], line, "{problem}");
    }
    let cycle = json!({"version": 1, "streams": [
        {"name": "x", "inputs": [{"id": "i", "url": "stream://y"}]},
        {"name": "y", "inputs": [{"id": "i", "url": "stream://x"}]},
    ]});
    assert_eq!(
        apply(&s, "", &cycle.to_string()).await.code(),
        "stream_cycle"
    );
    assert_eq!(export(&s, true).await, before);
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_tells_what_would_change() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    fill(&s).await;
    let before = export(&s, true).await;
    let mut wanted: Value = serde_json::from_str(&before).unwrap();
    wanted["templates"][0]["hls"]["window_s"] = json!(40);
    wanted["streams"][2]["labels"] = json!({"x": "y"});
    wanted["streams"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "new"}));
    wanted["hooks"] = json!([]);
    let diff = apply(&s, "?dry_run=true", &wanted.to_string()).await.json();
    let expected = json!({
        "dry_run": true,
        "templates": {"created": [], "changed": {"t": ["hls"]}, "removed": []},
        "streams": {"created": ["new"], "changed": {"a": ["hls"], "c/d": ["labels"]}, "removed": []},
        "hooks": {"created": [], "changed": {}, "removed": ["h"]},
    });
    assert_eq!(diff, expected);
    assert_eq!(export(&s, true).await, before);
    let mut done = apply(&s, "", &wanted.to_string()).await.json();
    done["dry_run"] = json!(true);
    assert_eq!(done, expected);
    let a = s.api("GET", "/streams/a", &Value::Null).await.json();
    assert_eq!(
        (&a["effective"]["hls"]["window_s"], &a["version"]),
        (&json!(40), &json!(1))
    );
    s.stop().await;
}
