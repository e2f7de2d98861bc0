//! Hooks deliver: signed, in order, again until it is taken, to where they may.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::watch;

use crate::events::told;
use crate::server::{Running, config};
use crate::site::Site;

/// One request as it came.
#[derive(Debug, Clone)]
struct Arrival {
    headers: HeaderMap,
    body: Bytes,
}

impl Arrival {
    fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Takes events, or not: by the stream's name.
struct Receiver {
    site: Site,
    arrived: Arc<Mutex<Vec<Arrival>>>,
    count: watch::Receiver<usize>,
    refuses: Arc<Mutex<Option<(String, u16)>>>,
    /// Nobody is answered while it is shut.
    open: watch::Sender<bool>,
}

impl Receiver {
    async fn start() -> Self {
        let arrived: Arc<Mutex<Vec<Arrival>>> = Arc::default();
        let refuses: Arc<Mutex<Option<(String, u16)>>> = Arc::default();
        let (counts, count) = watch::channel(0);
        let open = watch::Sender::new(true);
        let gate = open.subscribe();
        let (seen, refused) = (Arc::clone(&arrived), Arc::clone(&refuses));
        let serve = move |request: Request| {
            let (seen, refused, counts) = (Arc::clone(&seen), Arc::clone(&refused), counts.clone());
            let mut gate = gate.clone();
            async move {
                let headers = request.headers().clone();
                let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
                let arrival = Arrival { headers, body };
                let wrong = refused.lock().unwrap().clone();
                let status = wrong.filter(|(stream, _)| arrival.event()["stream"] == *stream);
                seen.lock().unwrap().push(arrival);
                counts.send_modify(|n| *n += 1);
                let _ = gate.wait_for(|open| *open).await;
                StatusCode::from_u16(status.map_or(204, |(_, status)| status)).unwrap()
            }
        };
        let site = Site::serve(serve).await;
        Self {
            site,
            arrived,
            count,
            refuses,
            open,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/hook?t=geheim", self.site.address)
    }

    async fn after(&mut self, count: usize) -> Vec<Arrival> {
        let waited = self.count.wait_for(|n| *n >= count);
        let patience = std::time::Duration::from_secs(30);
        tokio::time::timeout(patience, waited)
            .await
            .expect("deliveries")
            .unwrap();
        self.arrived.lock().unwrap().clone()
    }
}

async fn start(dir: &TempDir) -> Running {
    Running::with(config(dir, &[("WEIR_EGRESS__HOOKS", "127.0.0.1")])).await
}

async fn hook(s: &Running, body: Value) {
    let made = s.api("POST", "/hooks", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

async fn figures(s: &Running, id: &str) -> Value {
    let hook = s.api("GET", &format!("/hooks/{id}"), &Value::Null).await;
    hook.json()["runtime"].clone()
}

/// Waits until a hook's figures are as they should be.
async fn until(s: &Running, id: &str, good: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let now = figures(s, id).await;
            if good(&now) {
                return now;
            }
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, asking)
        .await
        .expect("figures")
}

async fn stream(s: &Running, name: &str) {
    assert_eq!(
        s.api("POST", "/streams", &json!({"name": name}))
            .await
            .status,
        201
    );
}

/// What a program that is not ours makes of it.
async fn openssl(secret: &str, signed: &[u8]) -> String {
    let key = format!("key:{secret}");
    let mut openssl = Command::new("openssl")
        .args([
            "dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-binary",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl
        .stdin
        .take()
        .unwrap()
        .write_all(signed)
        .await
        .unwrap();
    let digest = openssl.wait_with_output().await.unwrap().stdout;
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), digest).unwrap();
    let coded = Command::new("base64").arg("-w0").arg(path.path()).output();
    String::from_utf8(coded.await.unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wanted_arrives_signed_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir).await;
    let mut receiver = Receiver::start().await;
    hook(
        &s,
        json!({
            "id": "all", "url": receiver.url(), "secret": "shh-1", "events": ["stream.created"],
            "streams": {"only": ["a/*"]}, "metadata": {"site": "x"}, "headers": {"X-Own": "1"},
        }),
    )
    .await;
    for name in ["a/1", "b", "a/2", "a/3"] {
        stream(&s, name).await;
    }
    let arrived = receiver.after(3).await;
    let made = told(&s, "stream.created", 4).await;
    for arrival in &arrived {
        let mut event = arrival.event();
        assert_eq!(event["metadata"], json!({"site": "x"}));
        event.as_object_mut().unwrap().remove("metadata");
        assert!(made.contains(&event), "{event}");
        let (id, at) = (
            arrival.header("webhook-id"),
            arrival.header("webhook-timestamp"),
        );
        assert_eq!(id, format!("all.{}", event["id"]));
        let signed = [id.as_bytes(), at.as_bytes(), &arrival.body].join(&b'.');
        let expected = format!("v1,{}", openssl("shh-1", &signed).await);
        assert_eq!(arrival.header("webhook-signature"), expected);
        assert_eq!(arrival.header("x-own"), "1");
    }
    until(&s, "all", |f| f["delivered"] == 3 && f["waiting"] == 0).await;
    let shown = s.api("GET", "/hooks/all", &Value::Null).await;
    assert!(
        !shown.body.contains("geheim") && !shown.body.contains("shh-1"),
        "{}",
        shown.body
    );
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_target_gets_all_that_waited() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    hook(&s, json!({"id": "h", "url": url, "events": ["stream.*"]})).await;
    for n in 0..5 {
        stream(&s, "n").await;
        assert_eq!(
            s.api("DELETE", "/streams/n", &Value::Null).await.status,
            204,
            "{n}"
        );
    }
    let failing = until(&s, "h", |f| f["failing"] == true).await;
    assert_eq!(
        (&failing["delivered"], &failing["waiting"]),
        (&json!(0), &json!(20))
    );
    s.stop().await;

    // Another process, another target.
    let s = start(&dir).await;
    let mut receiver = Receiver::start().await;
    let patch = json!({"url": receiver.url()});
    assert_eq!(s.api("PATCH", "/hooks/h", &patch).await.status, 200);
    let arrived = receiver.after(20).await;
    let seqs: Vec<_> = arrived
        .iter()
        .map(|a| a.event()["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    until(&s, "h", |f| f["waiting"] == 0).await;
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_a_dead_letter_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir).await;
    let mut receiver = Receiver::start().await;
    *receiver.refuses.lock().unwrap() = Some(("bad".to_owned(), 410));
    hook(
        &s,
        json!({"id": "h", "url": receiver.url(), "events": ["stream.created"]}),
    )
    .await;
    for name in ["bad", "good"] {
        stream(&s, name).await;
    }
    receiver.after(2).await;
    until(&s, "h", |f| f["dead"] == 1 && f["delivered"] == 1).await;
    told(&s, "hook.dead_letters", 1).await;
    let dead = async || {
        let page = s.api("GET", "/hooks/h/dead", &Value::Null).await.json();
        page["items"].clone()
    };
    // It is counted at once, and written a moment later.
    let listed = async {
        loop {
            let items = dead().await;
            if items != json!([]) {
                return items[0].clone();
            }
        }
    };
    let patience = std::time::Duration::from_secs(30);
    let letter = tokio::time::timeout(patience, listed).await.unwrap();
    assert_eq!(letter["event"]["stream"], "bad");
    assert_eq!(letter["error"], "410 Gone");

    *receiver.refuses.lock().unwrap() = None;
    let replayed = s.api("POST", "/hooks/h/dead/replay", &json!({})).await;
    assert_eq!(replayed.json(), json!({"count": 1}));
    let dead_now = figures(&s, "h").await["dead"].clone();
    assert_eq!(dead_now, 0, "counted before the answer");
    let arrived = receiver.after(3).await;
    let bad = arrived.iter().filter(|a| a.event()["stream"] == "bad");
    let ids: Vec<_> = bad.map(|a| a.header("webhook-id")).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    until(&s, "h", |f| f["dead"] == 0 && f["delivered"] == 2).await;
    assert_eq!(dead().await, json!([]));
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_call_tells_what_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir).await;
    let site = Site::serve(|_| async { (StatusCode::IM_A_TEAPOT, "short and stout") }).await;
    let to = format!("http://{}/", site.address);
    hook(&s, json!({"id": "tea", "url": to})).await;
    let tested = s.api("POST", "/hooks/tea/test", &Value::Null).await.json();
    assert_eq!(tested["delivered"], false);
    assert_eq!(
        (&tested["status"], &tested["body"]),
        (&json!(418), &json!("short and stout"))
    );
    hook(&s, json!({"id": "file", "url": "file://logs/all.jsonl"})).await;
    let tested = s.api("POST", "/hooks/file/test", &Value::Null).await.json();
    assert_eq!(tested["delivered"], true, "{tested}");
    let written = std::fs::read_to_string(dir.path().join("events/logs/all.jsonl")).unwrap();
    assert!(
        written.lines().any(|line| line.contains("hook.test")),
        "{written}"
    );
    s.api("PATCH", "/hooks/tea", &json!({"enabled": false}))
        .await;
    let off = s.api("POST", "/hooks/tea/test", &Value::Null).await;
    assert_eq!((off.status, off.code().as_str()), (409, "hook_disabled"));
    s.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_where_it_must_not() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    let mut receiver = Receiver::start().await;
    hook(&s, json!({"id": "inside", "url": receiver.url()})).await;
    let own = format!("http://{}/metrics", s.http);
    hook(&s, json!({"id": "own", "url": own})).await;
    for id in ["inside", "own"] {
        let tested = s
            .api("POST", &format!("/hooks/{id}/test"), &Value::Null)
            .await;
        let error = tested.json()["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(error.contains("egress policy"), "{error}");
    }
    s.api("DELETE", "/hooks/inside", &Value::Null).await;
    s.stop().await;

    // Where this host is allowed, a redirect still leads nowhere.
    let s = start(&dir).await;
    let to = receiver.url();
    let site = Site::serve(move |_| {
        let to = to.clone();
        async move { (StatusCode::TEMPORARY_REDIRECT, [("location", to)]) }
    })
    .await;
    let url = format!("http://{}/", site.address);
    hook(&s, json!({"id": "inside", "url": url})).await;
    let tested = s
        .api("POST", "/hooks/inside/test", &Value::Null)
        .await
        .json();
    assert_eq!(
        (&tested["status"], &tested["delivered"]),
        (&json!(307), &json!(false))
    );
    assert_eq!(*receiver.count.borrow_and_update(), 0);
    s.stop().await;
}

/// What is dropped is what is dropped: the answers to others are their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_too_long_loses_the_oldest_and_mixes_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let s = start(&dir).await;
    let mut receiver = Receiver::start().await;
    *receiver.refuses.lock().unwrap() = Some(("bad".to_owned(), 400));
    hook(
        &s,
        json!({"id": "h", "url": receiver.url(), "events": ["stream.updated"], "max_waiting": 100}),
    )
    .await;
    for name in ["bad", "good"] {
        stream(&s, name).await;
    }
    receiver.open.send_replace(false);
    for n in 0..300 {
        let name = if n % 2 == 0 { "bad" } else { "good" };
        let patch = json!({"labels": {"n": n.to_string()}});
        s.api("PATCH", &format!("/streams/{name}"), &patch).await;
    }
    // Requests are under way whose events are dropped meanwhile.
    until(&s, "h", |f| f["dropped"].as_u64().unwrap() > 100).await;
    receiver.open.send_replace(true);
    let all = |f: &Value| -> u64 {
        let counted = ["delivered", "dead", "dropped", "waiting"].map(|n| f[n].as_u64().unwrap());
        counted.iter().sum()
    };
    let done = until(&s, "h", |f| f["waiting"] == 0 && all(f) >= 300).await;
    let count = |name: &str| done[name].as_u64().unwrap();
    assert_eq!(all(&done), 300, "{done}");
    let arrived = receiver.after(1).await;
    let good = arrived.iter().filter(|a| a.event()["stream"] == "good");
    assert!(good.count() as u64 >= count("delivered"));
    let listed = async {
        loop {
            let path = "/hooks/h/dead?limit=1000";
            let dead = s.api("GET", path, &Value::Null).await.json()["items"].clone();
            if dead.as_array().unwrap().len() as u64 == count("dead") {
                return dead;
            }
        }
    };
    let patience = std::time::Duration::from_secs(30);
    let dead = tokio::time::timeout(patience, listed).await.unwrap();
    let all_bad = dead
        .as_array()
        .unwrap()
        .iter()
        .all(|d| d["event"]["stream"] == "bad");
    assert!(all_bad, "{dead}");
    s.stop().await;
}
