//! Ladders in the REST contract: what is taken, shown, inherited and refused.

use serde_json::{Value, json};

use crate::server::{Answer, Running, TOKEN};

fn ladder() -> Value {
    json!({
        "gop_ms": 1000,
        "video": [{"name": "source", "codec": "copy"}, {"name": "720p", "height": 720}],
        "audio": [{"name": "aac", "from": "en"}],
    })
}

async fn put(s: &Running, path: &str, text: &str) -> Answer {
    let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
    s.send("PUT", &format!("/api/v1{path}"), &headers, text)
        .await
}

async fn read(s: &Running, path: &str) -> Answer {
    s.api("GET", path, &Value::Null).await
}

#[tokio::test]
async fn a_ladder_is_made_read_changed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let made = s
        .api(
            "POST",
            "/streams",
            &json!({"name": "n", "transcode": ladder()}),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let before = read(&s, "/streams/n").await;
    assert_eq!(before.json()["transcode"], ladder(), "as it was written");
    let holds = before.json()["effective"]["transcode"].clone();
    assert_eq!(holds["video"][1]["bitrate_kbps"], 2_500);
    assert_eq!(holds["audio"][0]["codec"], "aac");

    let same = s.api("PUT", "/streams/n", &before.json()).await;
    assert_eq!(
        (same.status, same.header("etag")),
        (200, before.header("etag")),
        "GET, PUT: a no-op"
    );
    let text = before.body.replace("1000", "1e3");
    assert_eq!(put(&s, "/streams/n", &text).await.status, 422, "no integer");

    let patch = json!({"transcode": {"audio": null, "video": [{"name": "a"}], "gop_ms": 500}});
    let patched = s.api("PATCH", "/streams/n", &patch).await.json();
    let left = json!({"gop_ms": 500, "video": [{"name": "a"}]});
    assert_eq!(patched["transcode"], left);
    let none = json!({"transcode": null});
    let patched = s.api("PATCH", "/streams/n", &none).await.json();
    assert_eq!(patched.get("transcode"), None);
    assert_eq!(patched["effective"].get("transcode"), None);
    s.stop().await;
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let stream = json!({"name": "n", "transcode": ladder()});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
    let before = read(&s, "/streams/n").await;
    let cases = [
        (
            json!({"transcode": {"preset": "nope"}}),
            "preset_unknown",
            "transcode.preset",
        ),
        (
            json!({"transcode": {"preset": "default"}}),
            "invalid_field",
            "transcode.preset",
        ),
        (
            json!({"transcode": {"gop_ms": 1500}}),
            "gop_invalid",
            "transcode.gop_ms",
        ),
        (
            json!({"hls": {"segment_ms": 2500}}),
            "gop_invalid",
            "transcode.gop_ms",
        ),
        (
            json!({"transcode": {"video": [{"name": "a", "fps": 25}, {"name": "b", "fps": 29.97}]}}),
            "fps_invalid",
            "transcode.video[1].fps",
        ),
        (
            json!({"transcode": {"video": [{"name": "a"}, {"name": "b", "bitrate_kbps": 5}]}}),
            "out_of_range",
            "transcode.video[1].bitrate_kbps",
        ),
        (
            json!({"transcode": {"video": [{"name": "a", "level": "9"}]}}),
            "level_unknown",
            "transcode.video[0].level",
        ),
        (
            json!({"transcode": {"video": [{"name": "a"}, {"name": "a"}]}}),
            "name_taken",
            "transcode.video[1].name",
        ),
        (
            json!({"transcode": {"audio": [{"name": "a", "codec": "copy", "channels": 1}]}}),
            "invalid_field",
            "transcode.audio[0].channels",
        ),
        (
            json!({"transcode": {"video": [{"name": "a", "nope": 1}]}}),
            "unknown_field",
            "transcode.video[0].nope",
        ),
    ];
    for (patch, code, field) in cases {
        let answer = s.api("PATCH", "/streams/n", &patch).await;
        let problem = answer.json();
        let told = (&problem["code"], &problem["field"]);
        assert_eq!(told, (&json!(code), &json!(field)), "{problem}");
        assert_eq!(answer.status, 422, "{problem}");
    }
    let after = read(&s, "/streams/n").await;
    assert_eq!(after.header("etag"), before.header("etag"));
    s.stop().await;
}

#[tokio::test]
async fn a_template_s_ladder_is_laid_under_the_streams_list_by_list() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let template = json!({"name": "t", "transcode": ladder()});
    assert_eq!(s.api("POST", "/templates", &template).await.status, 201);
    for stream in [
        json!({"name": "a", "template": "t"}),
        json!({"name": "b", "template": "t", "transcode": {"video": [{"name": "own", "fps": 30}]}}),
        json!({"name": "c", "template": "t", "transcode": null}),
        json!({"name": "d", "template": "t", "transcode": {"video": null, "preset": "default"}}),
    ] {
        let made = s.api("POST", "/streams", &stream).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let names = async |name: &str| {
        let stream = read(&s, &format!("/streams/{name}")).await.json();
        let holds = stream["effective"]["transcode"].clone();
        let video = holds["video"].as_array().cloned().unwrap_or_default();
        let names = video.iter().filter_map(|rung| rung["name"].as_str());
        let names: Vec<_> = names.map(str::to_owned).collect();
        format!("{} {}", holds["gop_ms"], names.join(" "))
    };
    assert_eq!(names("a").await, "null source 720p");
    assert_eq!(names("b").await, "1000 own");
    assert_eq!(names("c").await, "null ");
    assert_eq!(names("d").await, "1000 1080p 720p 480p 360p");

    let patch = json!({"transcode": {"gop_ms": 500}});
    let patched = s.api("PATCH", "/templates/t", &patch).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(names("b").await, "500 own");
    // 30 pictures a second are seven and a half in 250 ms.
    let patch = json!({"transcode": {"gop_ms": 250}});
    let problem = s.api("PATCH", "/templates/t", &patch).await.json();
    let field = json!("streams.b.transcode.video[0].fps");
    assert_eq!(problem["field"], field, "{problem}");
    assert_eq!(names("b").await, "500 own");
    s.stop().await;
}

#[tokio::test]
async fn ladders_are_exported_and_imported_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let template = json!({"name": "t", "transcode": ladder()});
    assert_eq!(s.api("POST", "/templates", &template).await.status, 201);
    let rungs =
        json!([{"name": "a", "fps": 29.97, "crf": 23.5}, {"name": "b", "fps": "half", "crf": 30}]);
    for stream in [
        json!({"name": "a", "template": "t", "transcode": {"video": rungs, "audio": null}}),
        json!({"name": "b", "transcode": {"preset": "H264_1080P_30FPS_1_LAYER"}}),
    ] {
        let made = s.api("POST", "/streams", &stream).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let exported = read(&s, "/config?reveal=true").await.body;
    let nothing = put(&s, "/config", "{\"version\": 1}").await;
    assert_eq!(nothing.status, 200, "{}", nothing.body);
    let made = put(&s, "/config", &exported).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(read(&s, "/config?reveal=true").await.body, exported);
    let same = put(&s, "/config", &exported).await.json();
    assert_eq!(same["streams"]["changed"], json!({}));

    let wrong = exported.replace("29.97", "33.3");
    let problem = put(&s, "/config", &wrong).await.json();
    let field = json!("streams[0].transcode.video[0].fps");
    assert_eq!(problem["field"], field, "{problem}");
    let line = wrong.lines().position(|line| line.contains("33.3"));
    assert_eq!(problem["line"], json!(line.map(|at| at + 1)));
    s.stop().await;
}
