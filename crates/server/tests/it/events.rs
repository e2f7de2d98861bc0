//! What happens is told: in order, numbered, to those who follow along and to those who come back.

use serde_json::{Value, json};
use testkit::actors::Encoder;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

use crate::server::{Running, TOKEN};

pub(crate) async fn history(s: &Running, query: &str) -> Vec<Value> {
    let path = format!("/events/history?order=oldest&limit=1000&{query}");
    let page = s.api("GET", &path, &Value::Null).await.json();
    page["items"].as_array().unwrap().clone()
}

/// Waits until so many events of a type are there.
pub(crate) async fn told(s: &Running, kind: &str, count: usize) -> Vec<Value> {
    let asking = async {
        loop {
            let found = history(s, &format!("type={kind}")).await;
            if found.len() >= count {
                return found;
            }
        }
    };
    let patience = std::time::Duration::from_secs(30);
    let asked = tokio::time::timeout(patience, asking).await;
    asked.unwrap_or_else(|_| panic!("{kind} × {count}"))
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["type"].as_str().unwrap()).collect()
}

async fn news(s: &Running) {
    let input = json!({"id": "main", "url": "publish://", "key": "geheim-1"});
    let stream = json!({"name": "a/news", "inputs": [input]});
    assert_eq!(s.api("POST", "/streams", &stream).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_of_a_stream_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    news(&s).await;
    let refused = Encoder::push(
        &format!("rtmp://{}/live/a/news?key=geheim-2", s.rtmp),
        "160x90",
        10,
    );
    told(&s, "publish.refused", 1).await;
    drop(refused);
    let url = format!("rtmp://{}/live/a/news?key=geheim-1", s.rtmp);
    let encoder = Encoder::push(&url, "160x90", 10).unwrap();
    s.until("/a/news/index.m3u8", |a| a.status == 200).await;
    told(&s, "session.opened", 1).await;
    drop(encoder);
    told(&s, "hold.started", 1).await;
    s.api("DELETE", "/streams/a%2Fnews", &Value::Null).await;
    told(&s, "stream.deleted", 1).await;

    let all = history(&s, "").await;
    let ids: Vec<_> = all.iter().map(|e| e["id"].as_i64().unwrap()).collect();
    assert!(ids.iter().copied().eq(1..=all.len() as i64), "{ids:?}");
    let own = history(&s, "stream=a/news").await;
    let seqs = own.iter().map(|e| e["seq"].as_i64().unwrap());
    assert!(seqs.eq(1..=own.len() as i64));
    let kinds = types(&own);
    let order = [
        "stream.started",
        "stream.created",
        "publish.refused",
        "publish.started",
        "stream.switched",
        "numbering.changed",
        "publish.stopped",
        "hold.started",
        "stream.stopped",
        "stream.deleted",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|k| kinds.iter().position(|x| x == k))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{kinds:?}"
    );
    for kind in [
        "input.connected",
        "input.up",
        "input.down",
        "session.opened",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let refused = own.iter().find(|e| e["type"] == "publish.refused").unwrap();
    assert_eq!(refused["data"]["reason"], "unauthorised");
    assert!(!json!(all).to_string().contains("geheim"));
    assert_eq!(types(&all)[0], "server.started");
    s.stop().await;
}

/// A client of server-sent events.
struct Follower {
    lines: Lines<BufReader<TcpStream>>,
}

impl Follower {
    async fn open(s: &Running, path: &str, last: Option<i64>) -> Self {
        let mut socket = TcpStream::connect(s.http).await.unwrap();
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{last}\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(socket).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        assert!(first.contains("200"), "{first}");
        Self { lines }
    }

    /// The next line with data; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        while let Some(line) = self.lines.next_line().await.ok()? {
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
        None
    }
}

async fn relabel(s: &Running, name: &str, value: usize) {
    let patch = json!({"labels": {"n": value.to_string()}});
    let answer = s.api("PATCH", &format!("/streams/{name}"), &patch).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_gets_what_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    for name in ["a", "b"] {
        s.api("POST", "/streams", &json!({"name": name})).await;
    }
    told(&s, "stream.created", 2).await;
    let path = "/events?type=stream.updated&stream=a";
    let mut follower = Follower::open(&s, path, None).await;
    relabel(&s, "b", 0).await;
    relabel(&s, "a", 1).await;
    let first = follower.next().await.unwrap();
    assert_eq!(
        (&first["stream"], &first["data"]["changed"]),
        (&json!("a"), &json!(["labels"]))
    );
    drop(follower);
    for n in 2..5 {
        relabel(&s, "a", n).await;
    }
    let last = told(&s, "stream.updated", 5).await;
    s.stop().await;

    // Another process, and nothing of it in memory.
    let s = Running::start(&dir).await;
    let mut follower = Follower::open(&s, path, first["id"].as_i64()).await;
    for missed in last[2..].iter().filter(|e| e["stream"] == "a") {
        assert_eq!(&follower.next().await.unwrap(), missed);
    }
    relabel(&s, "a", 9).await;
    let next = follower.next().await.unwrap();
    assert!(
        next["id"].as_i64() > last[4]["id"].as_i64(),
        "numbers go on"
    );
    assert_eq!(
        next["seq"].as_i64().unwrap(),
        last[4]["seq"].as_i64().unwrap() + 2
    );
    let (stopped, end) = tokio::join!(s.stop(), follower.next());
    assert_eq!(
        (stopped, end),
        ((), None),
        "it is let go when the server stops"
    );
}

#[tokio::test]
async fn history_is_paged_and_filtered() {
    let dir = tempfile::tempdir().unwrap();
    let s = Running::start(&dir).await;
    for n in 0..5 {
        let name = format!("n{n}");
        s.api("POST", "/streams", &json!({"name": name})).await;
    }
    let made = told(&s, "stream.created", 5).await;
    let first = s
        .api(
            "GET",
            "/events/history?type=stream.created&limit=3",
            &Value::Null,
        )
        .await
        .json();
    let newest: Vec<_> = made.iter().rev().collect();
    assert!(
        first["items"]
            .as_array()
            .unwrap()
            .iter()
            .eq(newest[..3].iter().copied())
    );
    let rest = format!(
        "/events/history?type=stream.created&limit=3&cursor={}",
        first["next"]
    );
    let rest = s.api("GET", &rest, &Value::Null).await.json();
    assert!(
        rest["items"]
            .as_array()
            .unwrap()
            .iter()
            .eq(newest[3..].iter().copied())
    );
    assert_eq!(rest["next"], Value::Null);
    let since = made[2]["time_ms"].as_i64().unwrap();
    let late = history(&s, &format!("type=stream.*&stream=n*&since_ms={since}")).await;
    assert!(late.iter().all(|e| e["time_ms"].as_i64().unwrap() >= since) && late.len() >= 3);
    for query in ["limit=0", "order=x", "nope=1", "cursor=x"] {
        let path = format!("/events/history?{query}");
        assert_eq!(
            s.api("GET", &path, &Value::Null).await.status,
            400,
            "{query}"
        );
    }
    s.stop().await;
}
